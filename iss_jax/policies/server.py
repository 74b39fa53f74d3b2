"""Serves a policy by openpi's websocket protocol (the `serve` extra)."""

import http
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from iss_jax.extras import imports_of
from iss_jax.policies import wire


def serve(
    infer: Callable[[dict[str, Any]], Mapping[str, Any]],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    metadata: Mapping[str, Any] | None = None,
    ready: Callable[[int], None] | None = None,
) -> None:
    """Answers observations until the process is interrupted, one at a time.

    An observation that the policy refuses is answered with its traceback as text, and that
    connection ends; others go on. `GET /healthz` is answered with 200.

    Args:
        infer: Observation -> a dict with `actions` [H, a].
        host: Address to listen at; the loopback unless told otherwise, since anyone who can reach
            it can use the policy.
        port: 0 lets the system choose.
        metadata: Sent to every client that connects.
        ready: Called with the port, once the server listens.
    """
    import threading

    with imports_of("serve"):
        from websockets.exceptions import ConnectionClosed
        from websockets.http11 import Request, Response
        from websockets.sync.server import ServerConnection, serve as listen

    # Connections have threads of their own; a policy is not made for that.
    turn = threading.Lock()

    def answer(connection: ServerConnection) -> None:
        connection.send(wire.pack(dict(metadata or {})))
        for message in connection:
            try:
                with turn:
                    reply = wire.pack(dict(infer(wire.unpack(_bytes(message)))))
            except Exception:
                # Whatever it was, the client is to hear of it.
                connection.send(traceback.format_exc())
                connection.close(1011, "the policy failed; its traceback is in the last message")
                return
            connection.send(reply)

    def handle(connection: ServerConnection) -> None:
        try:
            answer(connection)
        except ConnectionClosed:
            return

    def health(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        return None

    with listen(
        handle,
        host,
        port,
        compression=None,
        max_size=None,
        process_request=health,
        ping_interval=None,
    ) as server:
        if ready is not None:
            ready(server.socket.getsockname()[1])
        server.serve_forever()


def _bytes(message: str | bytes) -> bytes:
    if isinstance(message, str):
        raise ValueError("a text message, wanted a binary one")
    return message
