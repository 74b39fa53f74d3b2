"""Episodes of random signals, some of which tell failures."""

import numpy as np

from experiments.monitored.episodes import Watched
from experiments.monitored.signals import SCALARS


def episodes(tells=(), tasks=6, trials=6, suites=("a", "b"), seed=0, good=0.5):
    """Of every task so many; `tells` says by how many deviations a signal is higher in failures."""
    rng = np.random.default_rng(seed)
    made = []
    for suite in suites:
        for task in range(tasks):
            for trial in range(trials):
                success = bool(rng.random() < good)
                length = int(rng.integers(6, 11)) if success else 10
                bad = 0.0 if success else 1.0
                tell = dict(tells)
                signals = {
                    name: rng.normal(size=length) + bad * tell.get(name, 0.0) for name in SCALARS
                }
                features = {
                    name: (rng.normal(size=(length, 6)) + bad * tell.get(name, 0.0)).astype(
                        np.float32
                    )
                    for name in ("image", "hidden")
                }
                made.append(
                    Watched(
                        policy="embedded",
                        suite=suite,
                        task=f"task {task}",
                        split="seen",
                        panel="",
                        trial=trial,
                        success=success,
                        steps=16 * length,
                        signals=signals,
                        features=features,
                    )
                )
    return made
