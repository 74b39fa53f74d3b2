"""What is said of the monitor: the table of detectors, and the lines that are printed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def interval(row: Row, name: str = "rate") -> str:
    """A rate in per cent with its interval.

    >>> interval({"rate": 0.25, "low": 0.1, "high": 0.4})
    '25 [10, 40] %'
    >>> interval({"rate": 0.25, "low": None, "high": None})
    '25 %'
    """
    text = f"{100 * row[name]:.0f}"
    if row.get("low") is not None:
        text += f" [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
    return f"{text} %"


def chosen(rows: Iterable[Row], **facts: Any) -> list[Row]:
    """Rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in facts.items())]


def comparison(
    rates: Sequence[Row], areas: Sequence[Row], names: Sequence[str], level: float, looks: int
) -> list[dict[str, Any]]:
    """A row a detector: false alarms, detections of each kind and areas, at one level."""

    def rate(name: str, kind: str, outcome: str) -> Row | None:
        own = {"detector": name, "kind": kind, "outcome": outcome, "level": level, "looks": looks}
        return next(iter(chosen(rates, **own)), None)

    columns = {
        "false alarms, held out": ("as calibrated", "success"),
        "failures, as calibrated": ("as calibrated", "failure"),
        "failures, shifted": ("shifted", "failure"),
        "false alarms, shifted": ("shifted", "success"),
        "failures, panel decides": ("panel decides", "failure"),
        "false alarms, panel agrees": ("panel agrees", "success"),
        "false alarms, panel ignored": ("panel ignored", "success"),
    }
    found = []
    for name in names:
        row: dict[str, Any] = {"detector": name, "level": level, "looks": looks}
        for column, (kind, outcome) in columns.items():
            own = rate(name, kind, outcome)
            row[column] = None if own is None else interval(own)
        lead = rate(name, "as calibrated", "failure")
        row["lead, as calibrated (s)"] = None if lead is None else lead["lead_s"]
        for kind in ("as calibrated", "shifted", "panel decides"):
            against = "panel agrees" if kind == "panel decides" else "as calibrated"
            own = chosen(areas, detector=name, kind=kind, against=against, looks=looks)
            row[f"AUC, {kind}"] = interval(own[0], "area") if own else None
        found.append(row)
    return found


def lines(table: Sequence[Row], counts: Mapping[str, Any]) -> list[str]:
    """What is printed."""
    found = [f"{name}: {count}" for name, count in counts.items()]
    for row in table:
        text = ", ".join(
            f"{column} {value}"
            for column, value in row.items()
            if value is not None and column not in ("detector", "level", "looks")
        )
        found.append(f"{row['detector']}: {text}")
    return found
