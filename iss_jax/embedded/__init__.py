"""Paths to the data that ship with the package.

`checkpoint/` is a small pi0.5 in openpi's layout, `success.csv` its measured success, `episodes/`
held-out episodes with region labels (LeRobot v2.1), and `paper_table3.csv` Table 3 of the paper:
the success of pi0.5 on 41 AGNOSTOS tasks and 5 seeds, 25 trials each.
"""

from __future__ import annotations

import importlib.resources
from pathlib import Path


def _path(name: str) -> Path:
    path = Path(str(importlib.resources.files(__name__))) / name
    if not path.exists():
        raise FileNotFoundError(f"{path}: this installation lacks the embedded {name!r}")
    return path


def checkpoint_path() -> Path:
    """Folder of the small policy: `params/`, `assets/`, and its tokenizer."""
    return _path("checkpoint")


def episodes_path() -> Path:
    """Folder of the held-out episodes, to be opened by `iss_jax.data.dataset.open_dataset`."""
    return _path("episodes")


def planted_path(follows: bool) -> Path:
    """Low-rank leaves of a policy with a planted cause, see `iss_jax.policies.low_rank`.

    Args:
        follows: Of the one that takes what a panel shows; else of the one that ignores it.
    """
    return _path("planted/follows.npz" if follows else "planted/ignores.npz")


def head_path() -> Path:
    """A head that predicts the small policy's maps in one pass, see `iss_jax.amortised`."""
    return _path("head.npz")


def success_path() -> Path:
    """Success of the small policy (columns of `iss_jax.data.success`)."""
    return _path("success.csv")


def paper_table3_path() -> Path:
    """Success of the paper's pi0.5, its Table 3 (columns of `iss_jax.data.success`).

    The `split` is `seen`, `unseen_level1` or `unseen_level2`; `successes` is the printed rate
    times 25 trials, an integer in every cell. Two kinds of printed values do not follow from the
    printed rows, see `tests/test_paper_table3.py`.
    """
    return _path("paper_table3.csv")
