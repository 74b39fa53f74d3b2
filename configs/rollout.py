"""Closed-loop success of a policy on LIBERO, over tasks, seeds and trials.

    python -m experiments.rollout --config=configs/rollout.py --config.checkpoint=<step>
    python -m experiments.rollout --config=configs/rollout.py:smoke

The paper's protocol (App. C.2): 20 Hz, chunks of 16, 8 executed. Init states 0-24 and layout seeds
below 10,000 never occur in `collect`'s training data.

Variants: `embedded` (the embedded policy, ten libero_object tasks, native and shuffled layouts,
with its images and with them blurred away), `study` (the study's 41 tasks, with the limits of their
suites), `pi05_libero` (openpi's protocol for its released policy, one `suite` at a time: 256 px,
replan every 5, 50 init states, the suite's time-out), `smoke` (one short trial).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "study", "pi05_libero", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"rollout-{chosen(variant, VARIANTS)}"
    config.checkpoint = "embedded"
    # Whose observations and actions, a name of `experiments.inputs.acting.SENT`.
    config.robot = "embedded"
    config.dtype = "float32"
    config.policy_seed = 0
    config.suite = "libero_object"
    config.tasks = tuple(range(10))
    config.seeds = (0, 13, 50, 77, 99)
    # Trials of each task and seed by condition: a layout, and "blurred" where images are blurred
    # away; 0 leaves a condition out.
    config.trials = ml_collections.ConfigDict(
        {"native": 5, "shuffled": 5, "native_blurred": 1, "shuffled_blurred": 1}
    )
    # Trials start from the first so many; training took the others.
    config.init_states = 25
    config.image_size = 80
    config.max_token_len = 32
    config.action_horizon = 16
    config.execute = 8
    config.max_steps = 280  # openpi's limit for libero_object
    config.num_steps = 10
    config.processes = 2
    # A `trials.csv` of the same policy: what it knows is not run again, except for trials that are
    # to be recorded.
    config.known_trials = ""
    # Of each task and seed, on native layouts.
    config.recorded = 0
    # Whether objects that the instruction names only to say where the wanted one stands count as
    # support in the recorded regions (then give the run a folder of its own). In LIBERO's own
    # definition they are nuisance.
    config.landmarks = False
    if variant == "study":
        config.suite = "study"
        config.max_token_len = 40
        config.recorded = 1
        config.trials = ml_collections.ConfigDict(
            {
                "seen": {"native": 25, "shuffled": 5, "native_blurred": 1, "shuffled_blurred": 1},
                "near": {"native": 25},
                "far": {"native": 25},
            }
        )
    elif variant == "pi05_libero":
        config.checkpoint, config.robot, config.dtype = "", "pi05_libero", "bfloat16"
        config.suite = "libero_spatial"
        config.seeds, config.init_states = (0,), 50
        config.trials = ml_collections.ConfigDict({"native": 50})
        config.image_size, config.max_token_len = 256, 200
        config.action_horizon, config.execute = 10, 5
        config.max_steps = 0  # openpi's limit for the suite
        config.processes, config.recorded = 1, 1
    elif variant == "smoke":
        config.tasks, config.seeds = (0,), (0,)
        config.trials = ml_collections.ConfigDict({"native": 1})
        config.max_steps, config.processes = 16, 1
    return config
