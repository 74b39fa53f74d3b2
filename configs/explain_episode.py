r"""ISS and NMR over whole episodes: maps, overlays, regions over time, a video, a report.

    python -m experiments.explain_episode --config=configs/explain_episode.py
    python -m experiments.explain_episode --config=configs/explain_episode.py:smoke
    python -m experiments.explain_episode --config=configs/explain_episode.py:paper \
        --config.checkpoint=<folder> --config.dataset=<folder>

- `embedded` (default): the embedded policy on two whole episodes of its own, recorded by
  `experiments/record_episodes.py`; 48 frames of 400 masks each, minutes on two CPU cores.
- `smoke`: four frames and a few masks; seconds.
- `paper`: Algorithm 1 with the authors' settings, every tenth frame.

The default dataset is found from the root of the checkout.
"""

import ml_collections

from configs.parts.policy import iss, set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"explain_episode-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config, dataset="docs/episodes/whole")
    # A Python file with a PolicyConfig, or a name of ours: what it says stands in the place of
    # cameras, discrete_state_input, max_token_len and action_horizon. Nothing when empty.
    config.robot = ""
    # Datasets whose end-effector paths are drawn besides, by success.
    config.paths = ("docs/episodes/paths",)
    # Indices; all when empty.
    config.episodes = ()
    # The first so many frames of each episode; 0 means all.
    config.frames = 0

    # Computed are frames 0, s, 2s, ... and the last, the others lie linearly between. Recorded is
    # every fourth control step, and the policy acts at every eighth: two is where it acted.
    config.stride = 2
    config.seed = 0
    config.iss = iss(400)
    # The first one is drawn.
    config.percents = (10, 1, 5, 15, 20)
    # Random explanations per frame.
    config.control_draws = 20

    # Frames of the overlay and of the region figure.
    config.shown_frames = 6
    config.video = True
    # Frames of the recording a second of video are those of the dataset times this.
    config.video_speed = 1.0
    # Also `episode.gif`, for pages that show no video.
    config.gif = False
    # `timeline.rrd`; needs the extra `rerun`.
    config.rerun = False

    # What the policy acts on, at the computed frames: names (things by name where the dataset has
    # instance labels, else looks), regions, looks (segments of each view), looks_joined (joined
    # over views); nothing when empty.
    config.players = "names"
    config.draws = 8
    # background (donor frames of other tasks), blur, mean, inpaint, or auto: donors where there are
    # some of other tasks, else blur.
    config.fill = "auto"
    config.donors = 64
    # Dataset of the donors. When empty the embedded episodes for the embedded policy, and the
    # explained dataset for any other.
    config.donors_from = ""

    if variant == "smoke":
        config.draws, config.donors = 2, 8
        config.episodes, config.frames = (0,), 4
        config.num_steps = 2
        config.iss.num_masks = 10
        config.control_draws = 2
        config.shown_frames = 2
    if variant == "paper":
        config.checkpoint, config.dataset, config.paths = "", "", ()
        config.dtype = "bfloat16"
        config.stride = 10
        config.iss.num_masks = 100
        config.iss.design = "bernoulli"
        config.iss.estimator = "fixed"
    return config
