"""What rows found, as lines to read and as a table."""

from collections.abc import Iterable, Mapping
from typing import Any

from experiments.timing.rows import PEAK

MEASURED, FAILED, NOT_MEASURED = "measured", "failed", "not measured"
_AS_FOUND = (
    *("seconds", "least_seconds", "most_seconds", "laps", "ratio", "beside", "images_at_once"),
    *("argument_bytes", "output_bytes", "temp_bytes"),
    *("device_peak_bytes", "device_peak_bytes_before"),
    *("trace_seconds", "compile_seconds", "first_call_seconds", "compiled_before"),
)


def csv_rows(
    names: Iterable[str],
    found: Mapping[str, Mapping[str, Any]],
    not_measured: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """A row a name, all with the same keys; what is not known is None.

    Args:
        names: in order.
        found: name -> what was measured, or an `error`.
        not_measured: name -> why.
    """
    peak = found.get(PEAK, {}).get("flops_per_second")
    rows = []
    for name in names:
        own = found.get(name, {})
        known = "seconds" in own
        status = MEASURED if known else FAILED if "error" in own else NOT_MEASURED
        row: dict[str, Any] = {"name": name, "status": status}
        row |= {key: own.get(key) for key in _AS_FOUND[:1]}
        row["hz"] = 1.0 / own["seconds"] if known else None
        row["tflop"] = own["flops"] / 1e12 if known else None
        row["tflop_per_second"] = own["flops_per_second"] / 1e12 if known else None
        row["share_of_peak"] = own["flops_per_second"] / peak if known and peak else None
        row |= {key: own.get(key) for key in _AS_FOUND[1:]}
        row["reason"] = own.get("error") or (not_measured or {}).get(name)
        rows.append(row)
    return rows


def live_line(name: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """What was just found of a row."""
    (row,) = (row for row in csv_rows([name], found) if row["name"] == name)
    if row["status"] != MEASURED:
        return f"{name}: {row['status']}: {_first_line(row['reason'])}"
    parts = [f"{name}: {_duration(row['seconds'])}", f"{row['tflop']:.3g} TFLOP"]
    if row["share_of_peak"] is not None and name != PEAK:
        parts.append(f"{100 * row['share_of_peak']:.0f} % of the peak")
    else:
        parts.append(f"{row['tflop_per_second']:.3g} TFLOP/s")
    if row["ratio"]:
        parts.append(f"{row['ratio']:.3g} × {row['beside']}")
    return ", ".join(parts)


def device_line(device: Mapping[str, Any], measured_with: Mapping[str, Any]) -> str:
    """The device and the versions, for people."""
    return (
        f"{device['kind']} (driver {device['driver']}), jax {measured_with['packages']['jax']}, "
        f"Python {measured_with['python']}"
    )


def table_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table that is printed at the end."""
    head = ("time", "TFLOP", "of peak", "program", "rows", "first call")
    rows = list(rows)
    width = max(len(row["name"]) for row in rows)
    lines = [f"{'':{width}}" + "".join(f"{title:>12}" for title in head)]
    for row in rows:
        if row["status"] != MEASURED:
            lines.append(f"{row['name']:{width}}    {row['status']}: {_first_line(row['reason'])}")
            continue
        first = sum(row[f"{part}_seconds"] or 0.0 for part in ("trace", "compile", "first_call"))
        share, images = row["share_of_peak"], row["images_at_once"]
        cells = (
            _duration(row["seconds"]),
            f"{row['tflop']:.3g}",
            "" if share is None else f"{100 * share:.0f} %",
            _gigabytes(row),
            "" if images is None else str(images),
            _duration(first),
        )
        lines.append(f"{row['name']:{width}}" + "".join(f"{cell:>12}" for cell in cells))
    peak = next((row for row in rows if row["name"] == PEAK), None)
    if peak and peak["tflop_per_second"]:
        lines.append(f"{PEAK}, sustained: {peak['tflop_per_second']:.4g} TFLOP/s")
    return "\n".join(lines)


def _gigabytes(row: Mapping[str, Any]) -> str:
    parts = [row[f"{part}_bytes"] for part in ("argument", "output", "temp")]
    return "" if None in parts else f"{sum(parts) / 1e9:.2f} GB"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 10 else f"{1000 * seconds:.4g} ms"


def _first_line(reason: str | None) -> str:
    return (reason or "").split("\n", 1)[0][:100]
