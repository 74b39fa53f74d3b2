r"""Does a monitor ring before a policy fails, and at how many false alarms?

    # Trials in the simulator (the `libero` extra), every inference with all signals; resumable:
    python -m experiments.monitor --config=configs/monitor.py:rollouts
    # What was measured here, from the table that ships:
    python -m experiments.monitor --config=configs/monitor.py
    python -m experiments.monitor --config=configs/monitor.py:pilot
    python -m experiments.monitor --config=configs/monitor.py:smoke

Variants: `shipped` (tables and figure of the shipped trials; seconds), `rollouts` (the trials
themselves, three quarters of an hour on one core, then the same), `pilot` (twenty trials, and what
one costs), `smoke` (episodes that ship instead of a simulator, few runs; seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("shipped", "rollouts", "pilot", "smoke")


def get_config(variant: str = "shipped") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"monitor-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # `rollouts`: acted out. `recorded`: the episodes that ship. `table`: a file of trials.
    config.source = {"shipped": "table", "smoke": "recorded"}.get(variant, "rollouts")
    config.table = "docs/monitor/trials.npz"
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
    if variant == "pilot":
        config.tasks = 1
        config.plans = tuple((p, s, panel, 2, most) for p, s, panel, _, most in config.plans)
    if variant == "smoke":
        config.tasks = 3
        config.signals.update({"draws": 1, "masks": 2, "chunks": 2, "num_steps": 1, "donors": 6})
        config.levels, config.partitions = (0.3,), 2
        config.resamples, config.equal_steps = 50, 1
    return config
