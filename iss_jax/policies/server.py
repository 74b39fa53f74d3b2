"""Serves a policy by openpi's websocket protocol (the `serve` extra)."""

import contextlib
import http
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iss_jax.extras import imports_of
from iss_jax.policies import wire
from iss_jax.policies.listening import listen_at

Infer = Callable[[dict[str, Any]], Mapping[str, Any]]

_LAST_WORDS_S = 1.0  # for connections to be closed before the server is gone


def serve(
    infer: Infer,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    metadata: Mapping[str, Any] | None = None,
    ready: Callable[[int], None] | None = None,
    infer_batch: Callable[[list[dict[str, Any]]], Sequence[Mapping[str, Any]]] | None = None,
    most_at_once: int = 16,
    most_bytes: int = wire.MOST_BYTES,
    stop: threading.Event | None = None,
    sent: Callable[[dict[str, Any]], object] | None = None,
) -> None:
    """Answers observations until the process is interrupted, one at a time.

    An observation that the policy refuses is answered with its traceback as text, and that
    connection ends; others go on. `GET /healthz` is answered with 200. Where file descriptors run
    out, new clients wait until one is free. It ends within two seconds, whatever is being answered.

    Args:
        infer: Observation -> a dict with `actions` [H, a].
        host: Address to listen at; the loopback unless told otherwise, since anyone who can reach
            it can use the policy.
        port: 0 lets the system choose.
        metadata: Sent to every client that connects.
        ready: Called with the port, once the server listens.
        infer_batch: Observations -> their answers, for clients that send several at once.
        most_at_once: Of them.
        most_bytes: Of one message.
        stop: Ends the server once it is set.
        sent: Called with each observation after its answer is sent, such as by a monitor that is to
            delay no action; not with several at once. It should return at once and raise nothing:
            the client's next observation waits for it.

    Raises:
        OSError: The address is taken.
    """
    with imports_of("serve"):
        from websockets.exceptions import ConnectionClosed
        from websockets.http11 import Request, Response
        from websockets.sync.server import ServerConnection, serve as listen

    said = dict(metadata or {})
    if infer_batch is not None:
        said[wire.BATCH] = most_at_once
    # Connections have threads of their own; a policy is not made for that.
    turn = threading.Lock()

    def reply(message: str | bytes) -> tuple[bytes, dict[str, Any] | None]:
        content = wire.unpack_dict(message, "the observation", most_bytes)
        many = content.get(wire.BATCH) if infer_batch is not None else None
        with turn:
            if infer_batch is None or many is None:
                found: dict[str, Any] = dict(infer(content))
                asked: dict[str, Any] | None = content
            else:
                checked = _observations(many, most_at_once)
                found = {wire.BATCH: [dict(one) for one in infer_batch(checked)]}
                asked = None
        return wire.pack(found, most_bytes), asked

    def answer(connection: ServerConnection) -> None:
        connection.send(wire.pack(said))
        for message in connection:
            try:
                packed, asked = reply(message)
            except Exception:
                # Whatever it was, the client is to hear of it, in what can be sent as text.
                connection.send(traceback.format_exc().encode("utf-8", "replace").decode())
                connection.close(1011, "the policy failed; its traceback is in the last message")
                return
            connection.send(packed)
            if sent is not None and asked is not None:
                sent(asked)

    def handle(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            answer(connection)

    def health(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/healthz":
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        return None

    server = listen(
        handle,
        sock=listen_at(host, port),
        compression=None,
        max_size=most_bytes,
        # What a client sends before its last answer stays with the system.
        max_queue=1,
        process_request=health,
        ping_interval=None,
        close_timeout=1,
    )
    number = server.socket.getsockname()[1]
    # Threads of connections are daemons as this one is: a policy that computes, or a client that
    # does not hang up, keeps no process from ending.
    listener = threading.Thread(target=server.serve_forever, daemon=True)
    listener.start()
    try:
        if ready is not None:
            ready(number)
        while listener.is_alive() and not (stop is not None and stop.is_set()):
            listener.join(0.1)
    finally:
        last = threading.Thread(target=server.shutdown, daemon=True)
        last.start()
        last.join(_LAST_WORDS_S)
        server.socket.close()


def _observations(content: Any, most: int) -> list[dict[str, Any]]:
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise ValueError(f"{wire.BATCH}: {type(content).__name__} given, a list of dicts wanted")
    if len(content) > most:
        raise ValueError(f"{wire.BATCH}: {len(content)} observations given, at most {most} wanted")
    return content
