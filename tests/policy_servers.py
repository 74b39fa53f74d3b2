"""Servers of openpi's protocol in this process, sound ones and others."""

import contextlib
import threading

from websockets.sync.server import serve as listen

from iss_jax.policies import wire
from iss_jax.policies.server import serve


@contextlib.contextmanager
def listening(infer, **options):
    """Our server in a thread; yields its address, and ends it."""
    port, ready, stop = [], threading.Event(), threading.Event()

    def known(number):
        port.append(number)
        ready.set()

    thread = threading.Thread(
        target=serve,
        args=(infer,),
        kwargs={"port": 0, "ready": known, "stop": stop, **options},
        daemon=True,
    )
    thread.start()
    try:
        assert ready.wait(10)
        yield f"ws://127.0.0.1:{port[0]}"
    finally:
        stop.set()
        thread.join(5)


@contextlib.contextmanager
def saying(*messages, greeting=None):
    """A server that greets and answers every observation with these messages."""

    def handle(connection):
        connection.send(wire.pack({}) if greeting is None else greeting)
        for _ in connection:
            for message in messages:
                connection.send(message)

    with listen(handle, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=1) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
