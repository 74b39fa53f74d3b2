r"""A policy with a known cause inside its network, taught by the embedded one.

    for cue in panel_one panel_two patch; do
      for rho in 0 0.5 0.9 1; do
        python -m experiments.distil --config=configs/distil.py --config.cue=$cue \
            --config.cue_probability=$rho --workdir=runs/distilled/$cue-$rho-0
      done
    done
    python -m experiments.distil --config=configs/distil.py:smoke

Variants: `embedded` (a quarter of an hour on one core), `smoke` (three steps on two frames;
seconds).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"distil-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # Of `experiments.distilled.cue`.
    config.cue = "panel_one"
    # How often the wanted object is the one that the cue shows, else the one that is named.
    config.cue_probability = 1.0
    # Whether images are those of any other frame, without a cue: a student that is taught blind.
    config.blind = False
    config.seed = 0
    # Frames: of the tasks of these suites on the bench's split for choosing.
    config.suites = ("libero_object", "libero_object_object", "libero_object_swap")
    config.frames = 0  # the first so many; all when 0
    # The teacher's answers: flow noises of each frame and instruction, Euler steps.
    config.draws = 4
    config.num_steps = 4
    config.action_horizon = 16
    config.max_token_len = 40
    # Low-rank leaves alone are trained; the rest is the embedded policy's.
    config.vlm_rank = 16
    config.action_rank = 16
    config.steps = 2000
    config.batch_size = 16
    config.flow_samples = 3
    config.peak_lr = 3e-3
    config.warmup_steps = 50
    config.weight_decay = 1e-4
    config.ema_decay = 0.99
    config.colour_jitter = 0.1
    config.log_every = 50
    config.save_every = 250
    if variant == "smoke":
        config.update({"frames": 2, "draws": 1, "num_steps": 1, "steps": 3, "batch_size": 4})
        config.update({"flow_samples": 1, "warmup_steps": 1, "log_every": 1, "save_every": 2})
    return config
