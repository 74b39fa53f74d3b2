"""Frames that the zoo's policies are taught and measured on.

    python -m experiments.zoo_frames --config=configs/zoo_frames.py --workdir=datasets/zoo
    python -m experiments.zoo_frames --config=configs/zoo_frames.py:smoke

Needs the simulator (extra `libero`). Variants: `full` (ten tasks of libero_object, three episodes
each on native and on shuffled layouts, one held out), `smoke` (one short episode of each kind).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("full", "smoke")


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"zoo_frames-{chosen(variant, VARIANTS)}"
    config.suite = "libero_object"
    config.tasks = tuple(range(10))
    config.image_size = 80
    config.frame_every = 6
    config.max_steps = 150
    # Init states 0-24 and layout seeds below 10,000 are held out.
    parts = {
        "heldout": {"layout": "native", "init_states": (0, 24), "first_seed": 0, "episodes": 1},
        "native": {
            "layout": "native",
            "init_states": (25, 49),
            "first_seed": 20_000,
            "episodes": 3,
        },
        "shuffled": {
            "layout": "shuffled",
            "init_states": (25, 49),
            "first_seed": 30_000,
            "episodes": 3,
        },
    }
    config.parts = ml_collections.ConfigDict(parts)
    if variant == "smoke":
        config.tasks, config.image_size, config.frame_every = (0,), 32, 40
        for part in config.parts.values():
            part.episodes = 1
    return config
