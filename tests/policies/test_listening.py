"""A shortage of file descriptors is waited out."""

import errno
import socket
import threading

import pytest

from iss_jax.policies.listening import listen_at


def test_a_client_that_comes_in_a_shortage_is_accepted_after_it(monkeypatch):
    left = [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED]
    accept = socket.socket.accept

    def short(self):
        if left:
            raise OSError(left.pop(0), "short")
        return accept(self)

    monkeypatch.setattr(socket.socket, "accept", short)
    with (
        listen_at("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()) as client,
    ):
        found, _ = listening.accept()
        with found:
            assert found.getpeername() == client.getsockname() and not left
            # Connections wait for their clients as long as it takes.
            assert found.gettimeout() is None
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_any_other_error_is_raised_and_a_close_ends_the_wait(monkeypatch):
    listening, errors = listen_at("localhost", 0), []

    def wait():
        try:
            listening.accept()
        except OSError as error:
            errors.append(error.errno)

    thread = threading.Thread(target=wait)
    thread.start()
    listening.close()
    thread.join(3)
    assert errors == [errno.EBADF]


def test_an_address_that_is_taken_is_an_error():
    with listen_at("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen_at("127.0.0.1", first.getsockname()[1])
