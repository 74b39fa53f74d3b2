"""A listening socket that a shortage does not end."""

import errno
import socket
import time

__all__ = ["listen_at"]

# What `accept` meets where this process or the system is short of something, or a client has gone.
_PASSING = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EAGAIN,
    errno.EINTR,
}
_PAUSE_S = 0.05


class _Patient(socket.socket):
    """Accepts again where a shortage kept it from that, until it is closed."""

    def accept(self) -> tuple[socket.socket, object]:
        while True:
            try:
                return super().accept()
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno not in _PASSING:
                    raise
                # A client that waits keeps the socket readable: without a pause this would spin.
                time.sleep(_PAUSE_S)


def listen_at(host: str, port: int) -> socket.socket:
    """A socket that listens there; `accept` waits where file descriptors run out.

    Args:
        host: Name or address.
        port: 0 lets the system choose.

    Raises:
        OSError: The address is taken, or none of this machine's.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = _Patient(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it: those whose client has vanished end, and free their descriptors.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        found.bind(address)
        found.listen(128)
        # So that a close from another thread is seen; connections themselves have no time-out.
        found.settimeout(0.5)
    except BaseException:
        found.close()
        raise
    return found
