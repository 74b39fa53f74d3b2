r"""Nuisance mass ratio against success (Figures 3 and 10).

    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:smoke
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:full
    python -m experiments.nmr_correlation --config=configs/nmr_correlation.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

- `embedded` (default): the small policy and frames of its rollouts on the study's 41 tasks, which
  ship with the package; minutes on two CPU cores.
- `smoke`: the same on two tasks and a few masks; seconds.
- `full`: the same on every frame that ships, with more masks.
- `study`: the policy, its recorded rollouts and its success on the study's 41 tasks, all given by
  `--config.checkpoint`, `--config.dataset` and `--config.success`.
- `experts`: the embedded policy on frames of the expert's episodes of the 18 seen tasks
  (`configs/merge_datasets.py`), the same frames for every seed.
- `pi05_libero`: openpi's released policy on the episodes and the success of
  `configs/rollout.py:pi05_libero`, all given by `--config.checkpoint`, `--config.dataset` and
  `--config.success`.
- `paper`: the authors' settings, every tenth frame. The checkpoint is theirs and the dataset theirs
  in this package's layout (cameras `front`, `overhead`, `wrist`, each with region labels; metadata
  `suite` agnostos, `task` and `split` as in Table 3); success is the paper's Table 3.
"""

import ml_collections

from configs.parts.policy import iss, set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "full", "study", "experts", "pi05_libero", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict()
    config.name = f"nmr_correlation-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config)
    # "embedded", "paper_table3", or a file.
    config.success = "embedded"

    # Which rows of the success table: its policy, its seeds (all when empty), its splits (all).
    config.policy_seed = 0
    config.seeds = ()
    config.splits = ()
    # The episodes' metadata that says to which split of the success table they belong. When empty,
    # splits do not matter: a task's trials are added up over them.
    config.split_key = "split"
    # The episodes' metadata that says of which seed of the success table they are. When empty,
    # every seed measures the same episodes.
    config.seed_key = "seed"
    # Zero means all of them.
    config.num_tasks = 0
    # Of each task and split.
    config.episodes_per_task = 1
    config.frames_per_episode = 2
    config.stride = 1
    # Frames of one compiled batch.
    config.batch = 2

    config.iss = iss()
    # NMR by effect: draws of each labelled region (0 leaves it out), whether a pixel is replaced by
    # donor pixels of its own region, donor frames of the dataset (of other tasks than a frame's
    # own), and whether the chance level is run, the labels shifted within the frame. With
    # `anything` regions are replaced by whatever a donor shows there, too: nmr_effect_anything.
    config.effects = ml_collections.ConfigDict(
        {"draws": 4, "like_for_like": True, "donors": 128, "chance": True, "anything": False}
    )

    config.percents = (1, 5, 10, 15, 20)
    # Random explanations per frame.
    config.control_draws = 20

    config.confidence = 0.95
    config.resamples = 4999
    config.permutations = 9999
    # Observations in figures/maps.png.
    config.overlay_rows = 5

    if variant == "smoke":
        config.num_tasks = 2
        config.num_steps = 2
        config.episodes_per_task = 1
        config.frames_per_episode = 1
        config.batch = 1
        config.iss.num_masks = 10
        config.effects.draws = 2
        config.effects.donors = 8
        config.control_draws = 2
        config.resamples = 199
        config.permutations = 199
    if variant == "full":
        config.episodes_per_task = 0
        config.frames_per_episode = 0
        config.stride = 1
        config.batch = 8
        config.iss.num_masks = 500
        config.control_draws = 100
    if variant == "study":
        config.checkpoint, config.dataset, config.success = "", "", ""
        config.split_key, config.seed_key = "split", "seed"
        config.splits = ("seen", "near", "far")
        config.frames_per_episode = 4
        config.max_token_len = 40
        config.batch = 4
    if variant == "experts":
        config.dataset, config.seed_key = "datasets/experts", ""
        config.splits = ("seen",)
        config.episodes_per_task = 2
    if variant == "pi05_libero":
        config.checkpoint, config.dataset, config.success = "", "", ""
        config.cameras.right_wrist_0_rgb = ""
        config.discrete_state_input, config.mirror = False, True
        config.dtype, config.action_horizon = "bfloat16", 10
        config.split_key, config.frames_per_episode = "", 0
    if variant == "paper":
        config.checkpoint = ""
        config.dataset = ""
        config.success = "paper_table3"
        config.split_key, config.seed_key = "split", ""
        config.dtype = "bfloat16"
        config.seeds = (0, 13, 50, 77, 99)
        config.episodes_per_task = 25
        config.frames_per_episode = 0
        config.stride = 10
        config.batch = 4
        config.iss.design = "bernoulli"
        config.iss.estimator = "fixed"
    return config
