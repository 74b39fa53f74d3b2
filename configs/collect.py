"""Episodes of LIBERO's scripted expert, in LeRobot v2.1 layout.

python -m experiments.collect --config=configs/collect.py:demonstrations --workdir=datasets/demos
python -m experiments.collect --config=configs/collect.py:static --workdir=datasets/static
python -m experiments.collect --config=configs/collect.py:corrections --config.policy=<step> \
    --workdir=datasets/corrections
python -m experiments.collect --config=configs/collect.py:smoke

Each takes `-spatial` behind its name for the seen tasks of libero_spatial:

python -m experiments.collect --config=configs/collect.py:demonstrations-spatial \
    --workdir=datasets/spatial/demos

Variants: `demonstrations` (expert episodes), `static` (single frames of many layouts, with robot
configurations from `sources`), `corrections` (episodes of `policy`, a checkpoint, labelled with
what the expert would do), `heldout` (expert episodes on held-out init states and layout
seeds), `smoke` (two small episodes, half a minute; `docs/episodes/expert` is its `shard-0`).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("demonstrations", "static", "corrections", "heldout", "smoke")
SPATIAL_TASKS = (0, 1, 2, 3, 5, 6, 7, 8)  # of libero_spatial: the study's seen ones


def get_config(variant: str = "demonstrations") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    variant, _, spatial = variant.partition("-")
    variant = chosen(variant, VARIANTS)
    if spatial not in ("", "spatial"):
        raise ValueError(f"suite {spatial!r} of variant {variant!r}: none or 'spatial' wanted")
    config = ml_collections.ConfigDict()
    config.name = f"collect_{variant}"
    config.kind = "demonstrations"
    config.suite = "libero_object"
    config.tasks = tuple(range(10))
    config.image_size = 80
    config.regions = True
    # Of demonstrations: whether landmarks count as support (configs/rollout.py says what they are).
    config.landmarks = False
    config.processes = 2
    config.seed = 0
    # Demonstrations. Init states 0-24 and layout seeds below 10,000 are held out for evaluation.
    config.episodes_per_task = 60
    config.max_attempts_per_task = 120
    config.layouts = ("native", "shuffled", "scattered")
    config.layout_shares = (0.2, 0.6, 0.2)
    config.other_target_share = 0.4  # of episodes off the native layout: another object is wanted
    config.noise_share = 0.5
    config.first_init_state = 25
    config.last_init_state = 49
    config.first_layout_seed = 10_000
    config.frame_every = 2
    config.max_steps = 150
    # Static frames.
    config.sources = ("datasets/demos/shard-0", "datasets/demos/shard-1")
    config.blocks_per_task = 80
    config.frames_per_block = 50
    config.near_share = 0.45  # of frames: the wanted object stands where the sources' one did
    config.decoy_share = 0.2  # of frames: another object stands there
    # Corrections: episodes of a policy, labelled by the expert.
    config.policy = ""  # a checkpoint's step
    config.max_token_len = 32
    config.expert_share = 0.25  # of decisions, where the expert acts in its place
    config.execute = 8
    if variant == "demonstrations":
        if spatial:
            config.episodes_per_task, config.max_attempts_per_task = 60, 160
            config.regions = False
    elif variant == "corrections":
        config.kind = "corrections"
        config.layout_shares = (0.2, 0.6, 0.2)
        config.episodes_per_task = 50
        config.first_layout_seed = 1_000_000
        config.frame_every = 4
        config.max_steps = 160
        config.regions = False
    elif variant == "static":
        config.kind = "static"
        config.layout_shares = (0.1, 0.5, 0.4)
        config.regions = False
    elif variant == "heldout":
        config.episodes_per_task = 4
        config.max_attempts_per_task = 12
        config.layout_shares = (0.5, 0.5, 0.0)
        config.other_target_share = 0.0
        config.noise_share = 0.0
        config.first_init_state = 0
        config.last_init_state = 24
        config.first_layout_seed = 0
    elif variant == "smoke":
        config.tasks = (0,)
        config.processes = 1
        config.episodes_per_task = 2
        config.max_attempts_per_task = 4
        config.image_size = 32
        config.frame_every = 8
        config.sources = ()
    if spatial:
        config.name += "-spatial"
        config.suite, config.tasks = "libero_spatial", SPATIAL_TASKS
        # What the instruction says of the wanted bowl holds of no other object.
        config.other_target_share = 0.0
        config.sources = ("datasets/spatial/demos/shard-0", "datasets/spatial/demos/shard-1")
        config.blocks_per_task = 28
        config.max_token_len = 40
        if variant == "corrections":
            config.episodes_per_task = 40
    return config
