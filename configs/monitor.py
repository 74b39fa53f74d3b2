r"""Does a monitor ring before a policy fails, and how often for nothing?

    # Tables and figure of the signals that ship, of whole trials and of first frames; minutes.
    python -m experiments.monitor --config=configs/monitor.py
    python -m experiments.monitor --config=configs/monitor.py:shipped_first
    # Those signals again. Trials in the simulator (the `libero` extra), every second inference:
    python -m experiments.monitor --config=configs/monitor.py:pilot
    python -m experiments.monitor --config=configs/monitor.py:rollouts
    # First frames of the episodes that ship, no simulator:
    python -m experiments.monitor --config=configs/monitor.py:first
    # Whether it keeps up with the policy:
    python -m experiments.monitor --config=configs/monitor.py:pace
    python -m experiments.monitor --config=configs/monitor.py:smoke

Variants: `shipped` and `shipped_first` (from a file of signals, `--config.table`), `rollouts` (220
trials, twenty minutes of one core; resumable), `pilot` (two of each kind), `first` (an alarm at the
first frame, before the robot moves; three minutes of one core), `pace` (the monitor's own speed; a
minute), `smoke` (first frames that ship, few partitions; seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("shipped", "shipped_first", "rollouts", "pilot", "first", "pace", "smoke")


def get_config(variant: str = "shipped") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"monitor-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # `rollouts`: acted out. `recorded`: of episodes that ship. `table`: a file of trials.
    # `pace`: none of these, times alone.
    sources = {"rollouts": "rollouts", "pilot": "rollouts", "first": "recorded", "pace": "pace"}
    config.source = sources.get(variant, "table")
    config.table = "docs/monitor/trials.npz" if variant == "shipped" else "docs/monitor/first.npz"
    # Of `recorded`: policy, and what its panel shows.
    config.recorded_panels = (
        ("embedded", ""),
        ("reader", "own"),
        ("reader", "other"),
        ("embedded", "other"),
    )
    config.recorded_suites = ()  # all when empty
    config.recorded_seeds = 0  # of each task; all when 0
    # Policy, suite, panel (none, the object that is asked for, another one), trials of each task,
    # and their control steps at most.
    config.plans = (
        ("embedded", "libero_object", "", 6, 160),
        ("embedded", "libero_spatial", "", 8, 160),
        ("embedded", "libero_object_swap", "", 4, 160),
        ("embedded", "libero_object_object", "", 3, 160),
        ("embedded", "libero_spatial_object", "", 4, 160),
        ("reader", "libero_object", "own", 2, 160),
        ("reader", "libero_object", "other", 2, 160),
        ("embedded", "libero_object", "other", 2, 160),
    )
    config.tasks = 0  # the first so many of each suite; all when 0
    # Trials of each plan and task that are run before the next scene.
    config.per_round = 10
    config.init_states = 25
    config.init_apart = 3
    config.execute = 8
    config.every = 2  # inferences from one that is measured to the next
    config.signals = ml_collections.ConfigDict(
        {
            "draws": 4,
            "masks": 16,
            "chunks": 16,
            "num_steps": 10,
            "percent": 10.0,
            "donors": 82,
            "image_size": 80,
            "action_horizon": 16,
        }
    )
    # Whether trials that have no result yet are left out instead of run.
    config.finished_only = False
    # Judging. Alarms are calibrated on successful episodes of these suites.
    config.home = ("libero_object", "libero_spatial")
    config.window = 2  # measured inferences that a score is the mean of
    config.levels = (0.1, 0.2)
    config.horizon = 10  # measured inferences: 160 steps
    config.equal_steps = 5  # those that nearly all episodes have: 80 steps
    config.partitions = 30
    config.resamples = 2_000
    config.confidence = 0.95
    config.seed = 0
    # Of `pace`.
    config.calls, config.periods, config.period = 120, 120, 0.4
    if variant == "pilot":
        config.tasks = 1
        config.plans = tuple((p, s, panel, 2, most) for p, s, panel, _, most in config.plans)
    if variant in ("shipped_first", "first", "smoke"):
        config.window, config.horizon, config.equal_steps = 1, 1, 1
    if variant == "smoke":
        config.partitions, config.resamples = 2, 50
    return config
