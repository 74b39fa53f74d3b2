"""One noise for all rows of a batch, of whatever a PyTorch policy draws while it answers."""

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator
from typing import Any

__all__ = ["free_rows", "shared_noise"]

# Functions that make noise of a size. `normal` does where it is given no tensors.
OF_SIZE = ("rand", "randn", "normal", "randint")
# Functions of tensors whose rows are those of the batch.
OF_TENSORS = (
    *("rand_like", "randn_like", "randint_like", "normal", "bernoulli", "multinomial", "poisson"),
    *("binomial", "_standard_gamma", "_sample_dirichlet"),
    *("normal_", "uniform_", "exponential_", "random_", "bernoulli_", "log_normal_", "cauchy_"),
    *("geometric_", "trunc_normal_"),
)
# Likewise, unless they are told that this is no training.
DROPOUT = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "dropout_")


def free_rows(rows: int, fixed: Collection[int]) -> int:
    """The least number of rows, `rows` at least, that is no size of what is drawn for all of them.

    >>> free_rows(16, {16, 17, 4}), free_rows(16, {4})
    (18, 16)

    Args:
        rows: That are wanted; a single one is always free.
        fixed: Leading sizes of draws that do not change with the number of rows.
    """
    while rows > 1 and rows in fixed:
        rows += 1
    return rows


@contextlib.contextmanager
def shared_noise(rows: int, seed: int, device: Any = None) -> Iterator[set[int]]:
    """Draws of torch in the block are those of one row, given to all rows.

    A policy draws its noise for a batch, one chunk a row. Here the first row is drawn and repeated,
    so that what a row answers depends on its frame, and neither on its place nor on how many rows
    there are. Draws that depend on tensors, such as `bernoulli`, start at the same number of the
    generator for each row. A tensor of another leading size is drawn as it is; one that happens to
    have as many rows is not told apart (`free_rows` avoids it). torch's generators are seeded, and
    are afterwards as they were before.

    >>> import torch  # doctest: +SKIP
    >>> with shared_noise(2, seed=0):  # doctest: +SKIP
    ...     noise = torch.randn(2, 5)
    >>> bool((noise[0] == noise[1]).all())  # doctest: +SKIP
    True

    Args:
        rows: Of the batch.
        seed: Of the noise.
        device: On which the policy draws; its generator is seeded, too.

    Yields:
        Leading sizes of what is drawn as it is; filled while the block runs.
    """
    import torch
    from torch.overrides import TorchFunctionMode

    fixed: set[int] = set()

    class OneRow(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
            drawn = name in OF_TENSORS or (name in DROPOUT and _trains(args, kwargs))
            out = kwargs.pop("out", None) if drawn or name in OF_SIZE else None
            tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
            found = None
            if drawn and tensors:
                leading = {x.shape[0] for x in tensors if x.ndim > int(name == "multinomial")}
                fixed.update(leading - {rows})
                if rows in leading:
                    found = row_by_row(func, args, kwargs, tensors)
            elif name in OF_SIZE:
                size, placed = _of_size(name, args, kwargs)
                fixed.update(set(size[:1]) - {rows})
                if size and size[0] == rows:
                    one = placed(func, (1, *size[1:]))
                    found = one.expand(rows, *size[1:]).clone()
            if found is None:
                return func(*args, **kwargs, **({} if out is None else {"out": out}))
            return found if out is None else out.resize_(found.shape).copy_(found)

    def row_by_row(func: Any, args: Any, kwargs: Any, tensors: Any) -> Any:
        read, write = _state(tensors[0], kwargs.get("generator"))

        def row(value: Any, index: int) -> Any:
            whole = not isinstance(value, torch.Tensor) or not value.ndim or len(value) != rows
            return value if whole else value[index : index + 1]

        start, found = read(), []
        for index in range(rows):
            write(start)
            own = {name: row(value, index) for name, value in kwargs.items()}
            found.append(func(*(row(value, index) for value in args), **own))
        # Rows are views: what is filled in place is the tensor that was given.
        in_place = func.__name__.endswith("_")
        return tensors[0] if in_place else torch.cat(found)

    own = None if device is None else torch.device(device)
    devices = [own] if own is not None and own.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        with OneRow():
            yield fixed


def _trains(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    third = args[2] if len(args) > 2 else True
    return bool(kwargs.get("training", kwargs.get("train", third)))


def _of_size(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[int, ...], Callable[..., Any]]:
    """The size that is asked for, and how the function is called with another one."""
    if "size" in kwargs:
        return _size(kwargs["size"]), lambda func, size: func(*args, **kwargs | {"size": size})
    # Before the size stand the bounds of integers, or mean and spread.
    first = {"rand": 0, "randn": 0, "normal": 2}.get(name, len(args) - 1)
    if len(args) <= first:
        return (), lambda func, size: func(*args, **kwargs)
    if name in ("rand", "randn") and hasattr(args[0], "__index__"):
        return _size(args), lambda func, size: func(size, **kwargs)
    rest = args[first + 1 :]
    return _size(args[first]), lambda func, size: func(*args[:first], size, *rest, **kwargs)


def _size(given: Any) -> tuple[int, ...]:
    return tuple(map(int, given))


def _state(tensor: Any, generator: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """How the state of the generator that fills a tensor is read, and set."""
    import torch

    if generator is not None:
        return generator.get_state, generator.set_state
    place = tensor.device
    if place.type == "cuda":
        read = functools.partial(torch.cuda.get_rng_state, place)
        return read, lambda state: torch.cuda.set_rng_state(state, place)
    if place.type == "mps":
        return torch.mps.get_rng_state, torch.mps.set_rng_state
    return torch.get_rng_state, torch.set_rng_state
