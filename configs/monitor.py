r"""Does a monitor ring before a policy fails, and how often for nothing?

    # Before the robot moves: first frames of the episodes that ship, no simulator; minutes.
    python -m experiments.monitor --config=configs/monitor.py
    # Whole trials in the simulator (the `libero` extra), signals of every second inference:
    python -m experiments.monitor --config=configs/monitor.py:pilot
    python -m experiments.monitor --config=configs/monitor.py:rollouts
    # Tables and figure again from a file of trials:
    python -m experiments.monitor --config=configs/monitor.py:table --config.table=trials.npz
    # Whether it keeps up with the policy:
    python -m experiments.monitor --config=configs/monitor.py:pace
    python -m experiments.monitor --config=configs/monitor.py:smoke

Variants: `first` (an alarm at the first frame), `rollouts` (a hundred trials, a quarter of an hour
on one idle core; resumable), `pilot` (two of each kind), `table` (of a file; seconds), `pace`
(the monitor's own speed; a minute), `smoke` (a few first frames, few runs; seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("first", "rollouts", "pilot", "table", "pace", "smoke")


def get_config(variant: str = "first") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"monitor-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # `rollouts`: acted out. `recorded`: of episodes that ship. `table`: a file of trials.
    # `pace`: none of these, times alone.
    sources = {"first": "recorded", "smoke": "recorded", "table": "table", "pace": "pace"}
    config.source = sources.get(variant, "rollouts")
    config.table = ""
    # Of `recorded`: policy, and what its panel shows.
    config.recorded_panels = (
        ("embedded", ""),
        ("reader", "own"),
        ("reader", "other"),
        ("embedded", "other"),
    )
    # Policy, suite, panel (none, the object that is asked for, another one), trials of each task,
    # and their control steps at most.
    config.plans = (
        ("embedded", "libero_object", "", 3, 160),
        ("embedded", "libero_spatial", "", 3, 160),
        ("embedded", "libero_object_swap", "", 2, 160),
        ("embedded", "libero_object_object", "", 1, 160),
        ("embedded", "libero_spatial_object", "", 2, 160),
        ("reader", "libero_object", "own", 1, 160),
        ("reader", "libero_object", "other", 1, 160),
        ("embedded", "libero_object", "other", 1, 160),
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
    if variant in ("first", "smoke"):
        config.window, config.horizon, config.equal_steps = 1, 1, 1
    if variant == "smoke":
        config.recorded_panels = config.recorded_panels[:1]
        config.tasks = 3
        config.signals.update({"draws": 1, "masks": 2, "chunks": 2, "num_steps": 1, "donors": 6})
        config.levels, config.partitions = (0.3,), 2
        config.resamples = 50
    return config
