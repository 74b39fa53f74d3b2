"""One noise for all rows of a batch, of whatever a PyTorch policy draws while it answers."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

__all__ = ["shared_noise"]

# Functions that make noise of a size, like a tensor, and in place.
OF_SIZE = ("rand", "randn", "normal", "randint")
LIKE = ("rand_like", "randn_like")
IN_PLACE = ("normal_", "uniform_", "exponential_", "random_")


@contextlib.contextmanager
def shared_noise(rows: int, seed: int, device: Any = None) -> Iterator[None]:
    """Every draw of torch in the block is that of one row, given to all rows.

    A policy draws its noise for a batch, one chunk a row. Here the first row is drawn and repeated,
    so that what a row answers depends on its frame, and neither on its place nor on how many rows
    there are. A tensor of another leading size is drawn as it is. torch's generators are seeded,
    and are afterwards as they were before.

    >>> import torch  # doctest: +SKIP
    >>> with shared_noise(2, seed=0):  # doctest: +SKIP
    ...     noise = torch.randn(2, 5)
    >>> bool((noise[0] == noise[1]).all())  # doctest: +SKIP
    True

    Args:
        rows: Of the batch.
        seed: Of the noise.
        device: On which the policy draws; its generator is seeded, too.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    class OneRow(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
            if name in IN_PLACE and args[0].ndim and args[0].shape[0] == rows:
                func(args[0][:1], *args[1:], **kwargs)
                return args[0].copy_(args[0][:1].clone().expand_as(args[0]))
            if name in LIKE and args[0].ndim and args[0].shape[0] == rows:
                return func(args[0][:1], *args[1:], **kwargs).expand_as(args[0]).clone()
            if name in OF_SIZE and "out" not in kwargs:
                placed = _one_row(name, args, kwargs, rows)
                if placed is not None:
                    one = func(*placed[0], **placed[1])
                    return one.expand(rows, *one.shape[1:]).clone()
            return func(*args, **kwargs)

    own = None if device is None else torch.device(device)
    devices = [own] if own is not None and own.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        with OneRow():
            yield


def _one_row(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], rows: int
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments of one row's draw; None where their size has not as many rows."""

    def cut(size: Any) -> tuple[int, ...] | None:
        size = tuple(map(int, size))
        return (1, *size[1:]) if size and size[0] == rows else None

    if "size" in kwargs:
        size = cut(kwargs["size"])
        return None if size is None else (args, kwargs | {"size": size})
    # Before the size stand the bounds of integers, or mean and spread.
    first = {"rand": 0, "randn": 0, "normal": 2}.get(name, len(args) - 1)
    if len(args) <= first or (name == "normal" and not all(map(_is_number, args[:2]))):
        return None
    bare = name in ("rand", "randn") and isinstance(args[0], int)
    size = cut(args if bare else args[first])
    if size is None:
        return None
    return ((size,) if bare else (*args[:first], size, *args[first + 1 :])), kwargs


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
