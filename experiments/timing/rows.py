"""The rows that `experiments.bench` measures one by one, the most valuable first."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from experiments.timing import stages
from experiments.timing.programs import Program, saliency_map, single_pass
from experiments.timing.subject import Subject, SubjectOptions
from iss_jax.sampling import Sampling, Savings

PEAK = "matrix peak"
SINGLE = "single pass"


@dataclasses.dataclass(frozen=True)
class RowOptions:
    """One attribute per key of `configs/bench.py:full`, which says what each means."""

    subject: SubjectOptions
    effects_masks: int
    num_masks: int
    micro_batch: int
    as_the_paper: dict[str, Any]
    pearson_0_9: dict[str, Any]
    rows: tuple[str, ...]
    repeats: int
    warm_seconds: float
    least_seconds: float
    peak_seconds: float
    budget_s: float
    row_limit_s: float
    cache: str
    quiet: bool

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "RowOptions":
        """The options of a config's content."""
        content: dict[str, Any] = {k: v for k, v in config.items() if k != "name"}
        content["subject"] = SubjectOptions(**content["subject"])
        return cls(**content)


class Row(NamedTuple):
    """One row.

    Attributes:
        build: its program, of the subject and of the rows of a micro-batch of its whole map.
        beside: the row whose program is timed in turn with it.
    """

    build: Callable[[Subject, int], Program]
    beside: str | None = None


def all_rows(options: RowOptions) -> dict[str, Row]:
    """Name -> row, in the order in which they are measured."""

    def of_map(config: Mapping[str, Any], **changes: Any) -> Callable[[Subject, int], Program]:
        chosen = {"micro_batch": options.micro_batch, **changes}
        return lambda subject, _: saliency_map(subject, config, **chosen)

    def of_pass(sampling: Sampling) -> Callable[[Subject, int], Program]:
        return lambda subject, _: single_pass(subject, sampling)

    plain, again = Sampling(savings=Savings.none()), Sampling(rematerialise=True)
    count = {"num_masks": options.num_masks}
    whole, one = f"map, N = {options.num_masks}", options.as_the_paper
    first = _gradient_runs(one) + ", rematerialised"
    return {
        PEAK: Row(stages.products),
        SINGLE: Row(of_pass(plain)),
        f"effects of {options.effects_masks} masks": Row(
            of_map({"num_masks": options.effects_masks}), beside=SINGLE
        ),
        whole: Row(of_map(count), beside=SINGLE),
        f"{whole}, plain loop": Row(of_map(count, sampling=plain), beside=whole),
        "image encoder": Row(stages.image_encoder),
        "prefix": Row(stages.prefix),
        "denoising": Row(stages.denoising),
        first: Row(of_map(one, sampling=again)),
        f"{_gradient_runs(one)}, kept": Row(of_map(one), beside=first),
        f"{SINGLE}, savings": Row(of_pass(Sampling()), beside=SINGLE),
        _gradient_runs(options.pearson_0_9): Row(of_map(options.pearson_0_9), beside=SINGLE),
        f"{whole}, called outside jit": Row(of_map(count, whole=False), beside=whole),
    }


def chosen_rows(options: RowOptions) -> list[str]:
    """Names of `all_rows` that the options name, in their order; all when they name none.

    Raises:
        ValueError: a name that no row has.
    """
    names = list(all_rows(options))
    unknown = sorted(set(options.rows) - set(names))
    if unknown:
        raise ValueError(f"config.rows: {unknown} given, some of {names} wanted")
    return [name for name in names if not options.rows or name in options.rows]


def _gradient_runs(config: Mapping[str, Any]) -> str:
    runs = config["num_masks"]
    return f"{runs} gradient run{'' if runs == 1 else 's'}"
