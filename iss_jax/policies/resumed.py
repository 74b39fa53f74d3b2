"""Answers of a policy that is asked, kept in a file, and whose they are.

A file belongs to one observation, one set of masks, one set of options and one policy. The first
three are compared by their digests. Of the policy there are two signs: what its server says of
itself, and how it answers the unmasked frame, asked anew.

Answers that repeat have to be the same bit for bit. Of a policy that draws its own noise, m new
answers are compared with the k of the file. With S the covariance of both about their own means,

    F = |mean_m - mean_k|^2 / ((1/m + 1/k) tr S)

is about F-distributed with nu and nu n degrees of freedom, n = k + m - 2 and nu = (tr S)^2 / tr S^2
(Box 1954, Annals of Mathematical Statistics 25), so that no scale of the dimensions is taken for
granted. Beyond what one of `ODDS` answers of the same policy reach, it is another one.
"""

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iss_jax.policies.answers import actions_of

__all__ = ["Answers", "is_same_policy"]

VERSION = 2  # of the file and of how masked frames are made
ODDS = 10_000


class Answers:
    """Action chunks so far, in memory and in a file that is whole or not there.

    Args:
        path: The file; none when None.
        run: Name -> what the answers depend on besides the policy.
        baselines: How many of the first answers are of the unmasked frame.
        metadata: What the policy says of itself, called after it has answered.

    Raises:
        ValueError: The file cannot be read, or is of another run; the message says in what.
    """

    def __init__(
        self,
        path: str | os.PathLike | None,
        run: Mapping[str, Any],
        baselines: int,
        metadata: Callable[[], Mapping[str, Any]],
    ):
        self._path = None if path is None else Path(path)
        self._run = {name: _digest(value) for name, value in run.items()}
        self._baselines, self._metadata = baselines, metadata
        self._chunks: list[np.ndarray] = []
        self._saved = 0
        self._who: dict[str, str] | None = None
        if self._path is None:
            return
        if self._path.suffix != ".npz":
            raise ValueError(f"resume: {self._path}: a file name that ends in .npz wanted")
        if self._path.exists():
            self._read(self._path)

    def __len__(self) -> int:
        return len(self._chunks)

    def check_who(self, ask: Callable[[], Any]) -> None:
        """Asks for the unmasked frame anew, where the file holds answers.

        Args:
            ask: Gives an answer to it.

        Raises:
            ValueError: Another policy answers, or another server.
        """
        if not self._chunks:
            return
        stored = np.stack(self._chunks[: self._baselines])
        found: list[np.ndarray] = []
        for number in range(self._baselines):
            shape = None if number == 0 else found[0].shape
            found.append(actions_of(ask(), f"the unmasked frame, asked anew ({number})", shape))
            if number == 0:
                self._check_metadata()
            if found[0].shape != stored.shape[1:]:
                break
            if (stored == stored[0]).all() and (len(stored) > 1 or (found[0] == stored[0]).all()):
                break
        if not is_same_policy(stored, np.stack(found)):
            raise ValueError(
                f"resume: {self._path} holds answers of another policy: to the unmasked frame it "
                f"has {_described(stored)}, now {_described(np.stack(found))} came; name another "
                "file, or remove it"
            )

    def add(self, answers: Sequence[Any], wanted: int) -> None:
        """Takes the next answers.

        Args:
            answers: Dicts with `actions`.
            wanted: How many there should be.

        Raises:
            ValueError: Another number of them, or one that holds no such actions as those before.
        """
        if len(answers) != wanted:
            raise ValueError(f"answer {len(self)}: {len(answers)} answers to {wanted} observations")
        for answer in answers:
            shape = self._chunks[0].shape if self._chunks else None
            self._chunks.append(actions_of(answer, f"answer {len(self)}", shape))
        if self._who is None:
            self._who = _digests(self._metadata())

    def actions(self) -> np.ndarray:
        """All answers, [n, H, a]."""
        return np.stack(self._chunks)

    def save(self) -> None:
        """Writes the file, if there is one and it lacks an answer."""
        from iss_jax.data.atomic import atomic_path

        if self._path is None or len(self) == self._saved:
            return
        key = {"version": VERSION, "run": self._run, "who": self._who}
        with atomic_path(self._path) as temporary:
            np.savez(temporary, key=json.dumps(key), actions=self.actions())
        self._saved = len(self)

    def _read(self, path: Path) -> None:
        try:
            # From memory: numpy leaves a truncated file open.
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                if "key" not in file:
                    raise ValueError("a file of an earlier version")
                key, chunks = json.loads(str(file["key"])), file["actions"]
                version, run, who = key["version"], dict(key["run"]), dict(key["who"])
        except Exception as error:
            raise ValueError(f"resume: {path} cannot be read ({error!r})") from error
        if version != VERSION:
            raise ValueError(f"resume: {path} is of version {version}, {VERSION} wanted")
        if other := _unlike(run, self._run):
            raise ValueError(
                f"resume: {path} holds answers to another run ({', '.join(other)}); name another "
                "file, or remove it"
            )
        if chunks.ndim != 3 or chunks.dtype != np.float32 or not np.isfinite(chunks).all():
            raise ValueError(
                f"resume: {path} holds {chunks.dtype} {list(chunks.shape)}, finite float32 "
                "[n, H, a] wanted"
            )
        self._chunks, self._saved, self._who = list(chunks), len(chunks), who

    def _check_metadata(self) -> None:
        found = _digests(self._metadata())
        if other := _unlike(self._who or {}, found):
            raise ValueError(
                f"resume: {self._path} holds answers of another server, whose metadata had another "
                f"{', '.join(map(repr, other))}; name another file, or remove it"
            )


def is_same_policy(stored: np.ndarray, found: np.ndarray) -> bool:
    """Whether two sets of answers to one frame can be of one policy.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> answers = rng.normal(size=(16, 4, 7))
    >>> is_same_policy(answers[:8], answers[8:]), is_same_policy(answers[:8], answers[8:] + 2)
    (True, False)

    Args:
        stored: [k, H, a].
        found: [m, H, a].
    """
    if stored.shape[1:] != found.shape[1:]:
        return False
    both = np.concatenate([stored, found]).reshape(len(stored) + len(found), -1).astype(np.float64)
    old, new = both[: len(stored)], both[len(stored) :]
    if (both == both[0]).all():
        return True
    rest = np.concatenate([old - old.mean(0), new - new.mean(0)])
    freedom = len(both) - 2
    # Of the answers' products, which are fewer than those of the dimensions.
    products = rest @ rest.T / max(freedom, 1)
    spread = np.trace(products)
    if freedom < 1 or spread == 0.0:
        return False
    from scipy import stats

    dims = spread**2 / (products**2).sum()
    moved = ((new.mean(0) - old.mean(0)) ** 2).sum() / (1 / len(old) + 1 / len(new))
    return bool(stats.f.sf(moved / spread, dims, dims * freedom) > 1 / ODDS)


def _described(chunks: np.ndarray) -> str:
    shape, kind = list(chunks.shape[1:]), "one answer" if len(chunks) == 1 else "answers"
    return f"{kind} {shape} of mean {chunks.mean():.6g}, spread {chunks.std(0).mean():.2g}"


def _unlike(stored: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return sorted(n for n in {*stored, *wanted} if stored.get(n) != wanted.get(n))


def _digests(content: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): _digest(value) for name, value in content.items()}


def _digest(content: Any) -> str:
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, Mapping):
            for name in sorted(value, key=str):
                digest.update(f"{name}:".encode())
                add(value[name])
            return
        array = np.asarray(value) if not isinstance(value, list | tuple) else None
        if array is not None and array.dtype.kind not in "OV":
            digest.update(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes())
        elif isinstance(value, list | tuple):
            digest.update(f"{len(value)} of ".encode())
            for one in value:
                add(one)
        else:
            # An object's bytes are its address.
            digest.update(repr(value).encode())

    add(content)
    return digest.hexdigest()
