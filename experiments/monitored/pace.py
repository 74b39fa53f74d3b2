"""Does the monitor keep up: beside the embedded policy in a loop of its own pace, and by count."""

import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from experiments.monitored.signals import Signals
from experiments.timing.released import FORMS
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.monitoring.joint import Timing, measured, rows_may_join, timing
from iss_jax.monitoring.lateness import Beside
from iss_jax.pi05 import flops, params as pi05
from iss_jax.policies.frames import FrameOptions, read_frames
from iss_jax.sampling import Savings


def pace_rows(signals: Signals, *, calls: int, periods: int, period: float) -> list[dict[str, Any]]:
    """A row a program: how long it takes, in wall and in processor time.

    Args:
        signals: The policy and the monitor's program.
        calls: Of each program; of fewer than 99 no 99th percentile is known.
        periods: Of the loop.
        period: Seconds from one inference to the next.
    """
    raw, labels = _frame()
    obs = signals.policy.observe(raw)
    key = jax.random.key(0)
    noise = signals.noise(key)[0]

    def act() -> None:
        signals.policy.infer(raw, noise=noise)

    def shares() -> None:
        signals.program(obs, labels, key)

    def joint() -> None:
        signals.program(obs, labels, key, noise=noise)

    rows = []
    for name, call in (("policy", act), ("shares", shares), ("policy and shares", joint)):
        found = measured(call, calls)
        cpu = measured(call, max(3, calls // 20), time.process_time)
        rows.append(_row(name, found, cpu.median, period))
    rows += _loop(act, lambda: signals.program(obs, labels, key), periods, period)
    return rows


def _row(name: str, found: Timing, cpu: float | None, period: float) -> dict[str, Any]:
    return {
        "program": name,
        "median_s": round(found.median, 4),
        "p99_s": round(found.p99, 4) if np.isfinite(found.p99) else None,
        "cpu_s": None if cpu is None else round(cpu, 4),
        "fits": rows_may_join(found, period),
        "calls": found.calls,
        "late": None,
        "skipped": None,
    }


def _loop(act: Any, shares: Any, periods: int, period: float) -> list[dict[str, Any]]:
    """Actions at their pace, the shares beside them: how long each took, and what was late."""
    rows = []
    for name, watch in (
        ("actions alone, at their pace", False),
        ("actions beside the monitor", True),
    ):
        seconds, late = [], 0
        with Beside(shares, deadline=period) as beside:
            for _ in range(periods):
                start = time.perf_counter()
                act()
                seconds.append(time.perf_counter() - start)
                late += int(watch and beside.latest().late)
                if watch:
                    beside.see()
                time.sleep(max(0.0, period - (time.perf_counter() - start)))
            skipped = beside.latest().skipped
        row = _row(name, timing(seconds), None, period)
        rows.append(row | ({"late": late, "skipped": skipped} if watch else {}))
    return rows


def _frame() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    views = FrameOptions().used
    dataset = open_dataset(embedded.episodes_path())
    episode = read_frames(dataset, 0, [0], FrameOptions())
    raw: Mapping[str, Any] = {
        "images": {camera: episode.images[camera][0] for camera in views.values()},
        "state": episode.state[0],
        "prompt": episode.prompt,
    }
    labels = {view: episode.regions[camera].astype(np.int32) for view, camera in views.items()}
    return dict(raw), labels


def counted_rows(runs: int, rate: float) -> list[dict[str, Any]]:
    """A row a form of the released π0.5: FLOPs of its own pass and of one monitored frame.

    Args:
        runs: Policy runs of one frame.
        rate: Monitored frames a second.
    """
    rows = []
    for form, (tokens, views, horizon) in FORMS.items():
        plain = flops.policy_flops(pi05.PI05, prompt_tokens=200, action_horizon=horizon).total
        copy = flops.masked_copy_flops(
            pi05.PI05,
            Savings(),
            valid_tokens=tokens,
            present_views=views,
            action_horizon=horizon,
            rows=runs,
        ).total
        rows.append(
            {
                "form": form,
                "policy_tflops": round(plain / 1e12, 2),
                "monitor_tflops": round(runs * copy / 1e12, 1),
                "passes": round(runs * copy / plain, 1),
                "tflops_a_second": round(rate * runs * copy / 1e12, 1),
            }
        )
    return rows
