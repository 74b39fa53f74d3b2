"""A policy behind openpi's websocket protocol, as a callable (the `serve` extra)."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from iss_jax.extras import imports_of
from iss_jax.policies import wire
from iss_jax.policies.answers import actions_of

_TOO_BIG = 1009  # the websocket protocol's code of a message that is too large


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
        most_bytes: Of one message, either way.

    Attributes:
        metadata: What the server says of itself, known from `connect` or the first answer on.
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
        most_bytes: int = wire.MOST_BYTES,
    ):
        self._uri = uri
        self._connect_timeout, self._reply_timeout = connect_timeout, reply_timeout
        self._retries, self._pause = retries, pause
        self._headers = {"Authorization": f"Api-Key {api_key}"} if api_key else None
        self._most_bytes = most_bytes
        self._open = contextlib.ExitStack()
        self._socket: Any = None
        self.metadata: dict[str, Any] = {}

    def infer(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """The server's answer, a dict with `actions` [H, a].

        Raises:
            ServerError: The server's own error.
            ConnectionError: No answer after all attempts; the message says what the last one met.
            ValueError: The observation or the answer is not of the protocol, is too large, or holds
                actions that are none; or the server sent a message that nothing asked for.
        """
        return self._checked(self._ask(dict(observation)), self._uri)

    def infer_batch(self, observations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The server's answers to several observations, in their order.

        In as few messages as the server takes (`infer_batch` in its metadata); one by one where it
        says nothing of it.

        Raises:
            Exception: As `infer`.
            ValueError: Another number of answers than of observations.
        """
        self.connect()
        most = self.metadata.get(wire.BATCH, 0)
        if type(most) is not int or most < 2:
            return [self.infer(one) for one in observations]
        found: list[dict[str, Any]] = []
        for start in range(0, len(observations), most):
            part = [dict(one) for one in observations[start : start + most]]
            answers = self._ask({wire.BATCH: part}).get(wire.BATCH)
            if not isinstance(answers, list) or len(answers) != len(part):
                self.close()
                given = f"{len(answers)} answers" if isinstance(answers, list) else "none"
                raise ValueError(f"{self._uri}: {given} given, {len(part)} wanted")
            for answer in answers:
                found.append(self._checked(answer, f"{self._uri}: answer {len(found)}"))
        return found

    def connect(self) -> None:
        """Connects, unless it is; the server's `metadata` is known from then on.

        Raises:
            ConnectionError: No server after all attempts.
            ValueError: No address of a server, or a greeting that is not of the protocol.
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

    def _ask(self, content: dict[str, Any]) -> dict[str, Any]:
        message = wire.pack(content, self._most_bytes)

        def ask() -> str | bytes:
            self._refuse_unasked()
            self._socket.send(message)
            return self._socket.recv(timeout=self._reply_timeout)

        answer = self._insist(ask)
        if isinstance(answer, str):
            self.close()
            raise ServerError(f"{self._uri}: {answer}")
        try:
            return wire.unpack_dict(answer, f"{self._uri}: the answer", self._most_bytes)
        except ValueError:
            self.close()
            raise

    def _checked(self, answer: Any, where: str) -> dict[str, Any]:
        """An answer whose actions, where it has some, are actions."""
        try:
            if not isinstance(answer, Mapping) or "actions" in answer:
                actions_of(answer, where)
        except ValueError:
            self.close()
            raise
        return dict(answer)

    def _refuse_unasked(self) -> None:
        # Answers carry no number: one too many would be taken for the answer to what is asked next.
        try:
            extra = self._socket.recv(timeout=0)
        except TimeoutError:
            return
        said = f": {extra[:200]}" if isinstance(extra, str) else f" of {len(extra)} bytes"
        raise ValueError(f"{self._uri}: a message that no observation asked for{said}")

    def _insist(self, act: Callable[[], Any]) -> Any:
        """Does something on an open connection, connecting again where that fails."""
        with imports_of("serve"):
            from websockets.exceptions import InvalidURI, WebSocketException

        for attempt in range(self._retries + 1):
            try:
                if self._socket is None:
                    self._connect()
                return act()
            except InvalidURI as error:
                raise ValueError(f"{self._uri!r} given, ws://host:port wanted") from error
            except (OSError, TimeoutError, WebSocketException) as error:
                # A late answer must not be taken for that to the next observation.
                self.close()
                self._refuse_too_big(error)
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

    def _refuse_too_big(self, error: Exception) -> None:
        """A message that is too large is so again, however often it is sent."""
        closes = [getattr(error, name, None) for name in ("sent", "rcvd")]
        if not any(getattr(close, "code", None) == _TOO_BIG for close in closes):
            return
        if getattr(error, "rcvd_then_sent", False):
            what = "the observation is larger than it takes"
        else:
            what = f"an answer is larger than {self._most_bytes} bytes"
        raise ValueError(f"{self._uri}: {what}") from error

    def _connect(self) -> None:
        with imports_of("serve"):
            from websockets.sync.client import connect

        self._socket = self._open.enter_context(
            connect(
                self._uri,
                open_timeout=self._connect_timeout,
                close_timeout=1,
                compression=None,
                max_size=self._most_bytes,
                additional_headers=self._headers,
                # A policy that computes does not answer pings.
                ping_interval=None,
            )
        )
        greeting = self._socket.recv(timeout=self._connect_timeout)
        if isinstance(greeting, str):
            raise ValueError(
                f"{self._uri}: greets with the text {greeting[:200]!r}, not a message of openpi's "
                "protocol: its metadata wanted"
            )
        self.metadata = wire.unpack_dict(greeting, f"{self._uri}: the greeting", self._most_bytes)
