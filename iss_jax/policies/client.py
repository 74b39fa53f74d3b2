"""A policy behind openpi's websocket protocol, as a callable (the `serve` extra)."""

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from iss_jax.extras import imports_of
from iss_jax.policies import wire


class ServerError(RuntimeError):
    """The server answered with an error of its own, whose text this holds."""


class PolicyClient:
    """One connection, made again where it breaks.

    An observation whose answer is lost is sent again: a policy server keeps no state between
    observations. What the server itself reports as an error is raised at once.

    Args:
        uri: `ws://host:port`.
        connect_timeout: Seconds for one attempt to connect.
        reply_timeout: Seconds for one answer. A server's first answer may wait for a compilation.
        retries: Further attempts, after the first, for each observation.
        pause: Seconds before the first further attempt; doubled each time, to 30 at most.
        api_key: Sent as openpi's `Authorization: Api-Key`.
    """

    def __init__(
        self,
        uri: str,
        *,
        connect_timeout: float = 10.0,
        reply_timeout: float = 120.0,
        retries: int = 5,
        pause: float = 0.5,
        api_key: str | None = None,
    ):
        self._uri = uri
        self._connect_timeout, self._reply_timeout = connect_timeout, reply_timeout
        self._retries, self._pause = retries, pause
        self._headers = {"Authorization": f"Api-Key {api_key}"} if api_key else None
        self._open = contextlib.ExitStack()
        self._socket: Any = None
        self.metadata: dict[str, Any] = {}

    def infer(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """The server's answer, a dict with `actions` [H, a].

        Raises:
            ServerError: The server's own error.
            ConnectionError: No answer after all attempts; the message says what the last one met.
            ValueError: The observation or the answer is not of the protocol.
        """
        message = wire.pack(dict(observation))

        def ask() -> str | bytes:
            self._socket.send(message)
            return self._socket.recv(timeout=self._reply_timeout)

        answer = self._insist(ask)
        if isinstance(answer, str):
            self.close()
            raise ServerError(f"{self._uri}: {answer}")
        return wire.unpack(answer)

    def connect(self) -> None:
        """Connects, unless it is; the server's `metadata` is known from then on.

        Raises:
            ConnectionError: No server after all attempts.
        """
        self._insist(lambda: None)

    def close(self) -> None:
        """Hangs up; the next observation connects again."""
        self._socket = None
        with contextlib.suppress(OSError):
            self._open.close()

    def __enter__(self) -> "PolicyClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _insist(self, act: Callable[[], Any]) -> Any:
        """Does something on an open connection, connecting again where that fails."""
        with imports_of("serve"):
            from websockets.exceptions import WebSocketException

        for attempt in range(self._retries + 1):
            try:
                if self._socket is None:
                    self._connect()
                return act()
            except (OSError, TimeoutError, WebSocketException) as error:
                # A late answer must not be taken for that to the next observation.
                self.close()
                if attempt == self._retries:
                    raise ConnectionError(
                        f"{self._uri}: no answer after {attempt + 1} attempts, the last one met "
                        f"{error!r}"
                    ) from error
                time.sleep(min(self._pause * 2**attempt, 30.0))
            except BaseException:
                # Here too an answer, or a greeting, may still be on its way.
                self.close()
                raise
        raise AssertionError

    def _connect(self) -> None:
        with imports_of("serve"):
            from websockets.sync.client import connect

        self._socket = self._open.enter_context(
            connect(
                self._uri,
                open_timeout=self._connect_timeout,
                close_timeout=1,
                compression=None,
                max_size=None,
                additional_headers=self._headers,
                # A policy that computes does not answer pings.
                ping_interval=None,
            )
        )
        self.metadata = wire.unpack(self._socket.recv(timeout=self._connect_timeout))
