"""Between a robot and its policy server: the same actions, with the monitor's numbers beside them.

    robot  ──observation──▶  proxy  ──observation──▶  policy server
    robot  ◀── actions + "monitor" ──  proxy  ◀── actions ──

An observation is passed on at once, and its answer is passed back at once with what the monitor
knows by then: the shares of an earlier frame, with their age. Only then is the frame measured.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from iss_jax.monitoring.lateness import Beside
from iss_jax.monitoring.lines import numbers
from iss_jax.policies import wire
from iss_jax.policies.client import PolicyClient
from iss_jax.policies.server import serve

__all__ = ["ANSWER", "watched", "watched_server"]

ANSWER = "monitor"
"""The key of a reply under which the monitor's numbers stand."""


def watched(
    infer: Callable[[dict[str, Any]], Mapping[str, Any]], beside: Beside
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A policy's `infer`, whose answers hold the monitor's last numbers.

    >>> from iss_jax.monitoring.lateness import Beside
    >>> from iss_jax.monitoring.proxy import watched
    >>> with Beside(lambda raw: {"nuisance_share": 0.25}, deadline=5.0) as beside:
    ...     infer = watched(lambda raw: {"actions": [[0.0]]}, beside)
    ...     first = infer({})["monitor"]["step"]
    ...     beside.see({})  # what a server does once the answer is sent
    ...     _ = beside.wait(5.0)
    ...     infer({})["monitor"]["nuisance_share"], first
    (0.25, -1)

    Args:
        infer: Observation -> a dict with `actions`.
        beside: The monitor; it is asked and not waited for.
    """

    def infer_and_tell(raw: dict[str, Any]) -> dict[str, Any]:
        return {**infer(raw), ANSWER: numbers(beside.latest())}

    return infer_and_tell


def watched_server(
    uri: str,
    beside: Beside,
    *,
    host: str = "127.0.0.1",
    port: int = 8001,
    ready: Callable[[int], None] | None = None,
    stop: threading.Event | None = None,
    **client_options: Any,
) -> None:
    """Serves a policy server's answers with the monitor's numbers, until it is interrupted.

    Robots talk to it as to the server itself. Several observations at once are not offered.

    Args:
        uri: Of the policy server, `ws://host:port`.
        beside: The monitor; its measurement gets the robot's dict. It must not ask the same server,
            which answers one observation at a time.
        host: Address to listen at.
        port: 0 lets the system choose.
        ready: Called with the port, once it listens.
        stop: Ends it once it is set.
        client_options: Of `PolicyClient`.

    Raises:
        ConnectionError: There is no policy server.
        OSError: The address is taken.
    """
    with PolicyClient(uri, **client_options) as client:
        client.connect()
        said = {name: value for name, value in client.metadata.items() if name != wire.BATCH}
        serve(
            watched(client.infer, beside),
            host=host,
            port=port,
            metadata=said,
            ready=ready,
            stop=stop,
            sent=beside.see,
        )
