r"""Whole episodes of a policy, frame by frame: what `explain_episode` explains.

    python -m experiments.record_episodes --config=configs/record_episodes.py
    python -m experiments.record_episodes --config=configs/record_episodes.py:paths
    python -m experiments.record_episodes --config=configs/record_episodes.py:smoke

Needs the simulator (extra `libero`). Variants: `embedded` (the embedded policy on a libero_spatial
task from two starts, from one of which it succeeds: `docs/episodes/whole`), `paths` (states and
actions without images, four tasks from eight starts each: `docs/episodes/paths`), `smoke` (one
short trial). Closed loops amplify rounding: another machine may end a trial otherwise.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "paths", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"record_episodes-{chosen(variant, VARIANTS)}"
    config.checkpoint = "embedded"
    # Suite to tasks, each rolled out from all starts.
    config.tasks = ml_collections.ConfigDict(
        {"libero_spatial": ("pick_up_the_black_bowl_on_the_stove_and_place_it_on_the_plate",)}
    )
    # (seed, trial), numbered as in `configs/rollout.py`: held out from all training data.
    config.starts = ((0, 0), (13, 0))
    config.layout = "native"
    # Control steps between recorded frames; control runs at 20 Hz.
    config.record_every = 4
    config.images = True
    # The limit of the suite in control steps when 0.
    config.max_steps = 0
    config.image_size = 80
    config.max_token_len = 40
    config.action_horizon = 16
    config.execute = 8
    config.num_steps = 10
    config.processes = 2
    if variant == "paths":
        config.images = False
        config.starts = tuple((seed, trial) for seed in (0, 13, 50, 77) for trial in (0, 1))
        config.tasks = ml_collections.ConfigDict(
            {
                "libero_spatial": (
                    "pick_up_the_black_bowl_next_to_the_ramekin_and_place_it_on_the_plate",
                    "pick_up_the_black_bowl_on_the_stove_and_place_it_on_the_plate",
                ),
                "libero_object": (
                    "pick_up_the_milk_and_place_it_in_the_basket",
                    "pick_up_the_ketchup_and_place_it_in_the_basket",
                ),
            }
        )
    if variant == "smoke":
        config.starts, config.max_steps, config.processes = ((0, 0),), 8, 1
    return config
