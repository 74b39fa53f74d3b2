"""The monitor's numbers by name: for TensorBoard, wandb, rerun, and a server's reply."""

from collections.abc import Callable, Mapping
from typing import Any

from iss_jax.monitoring.alarm import Alarm
from iss_jax.monitoring.lateness import Answer

__all__ = ["logged", "numbers"]


def numbers(answer: Answer) -> dict[str, Any]:
    """What an answer says, as plain numbers by name.

    >>> from iss_jax.monitoring.lateness import Answer
    >>> from iss_jax.monitoring.lines import numbers
    >>> numbers(Answer(8, {"nuisance_share": 0.25}, 0.5, 0.1, False, 0, 0, ""))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'nuisance_share': 0.25, 'step': 8, 'age_s': 0.5, 'took_s': 0.1, 'late': 0, 'skipped': 0,
     'failed': 0}

    Args:
        answer: Whose value is a mapping of numbers, or has `numbers()` as `Shares` has.
    """
    value = answer.value
    own = value.numbers() if hasattr(value, "numbers") else value
    found = {name: float(one) for name, one in own.items()} if isinstance(own, Mapping) else {}
    return found | {
        "step": answer.step,
        "age_s": round(answer.age, 4),
        "took_s": round(answer.took, 4),
        "late": int(answer.late),
        "skipped": answer.skipped,
        "failed": answer.failed,
    }


def logged(
    writer: Any,
    *,
    alarm: Alarm | None = None,
    score: str = "nuisance_share",
    prefix: str = "monitor",
) -> Callable[[Answer], None]:
    """A function for `Beside(told=...)` that writes each answer's numbers.

    >>> from iss_jax.monitoring.lateness import Answer
    >>> from iss_jax.monitoring.lines import logged
    >>> class Printer:
    ...     def log(self, data, /, step):
    ...         print(step, data["monitor/nuisance_share"])
    >>> logged(Printer())(Answer(8, {"nuisance_share": 0.25}, 0.5, 0.1, False, 0, 0, ""))
    8 0.25

    Args:
        writer: Has `log(dict, step=int)`: that of `iss_jax.viz.tensorboard` or
            `iss_jax.viz.rerun_log`, or wandb.
        alarm: Sees every score; whether it has rung is written, too. `reset` begins an episode.
        score: Name of the number that the alarm sees.
        prefix: Of all names.
    """

    def told(answer: Answer) -> None:
        found = numbers(answer)
        if alarm is not None:
            found["alarm"] = int(alarm.see(found.get(score, float("nan"))))
        writer.log({f"{prefix}/{name}": value for name, value in found.items()}, step=answer.step)

    return told
