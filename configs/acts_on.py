r"""What a policy acts on: the players of some frames, their shares and errors.

    python -m experiments.acts_on --config=configs/acts_on.py
    python -m experiments.acts_on --config=configs/acts_on.py:modalities
    python -m experiments.acts_on --config=configs/acts_on.py:smoke
    python -m experiments.acts_on --config=configs/acts_on.py \
        --config.checkpoint=<folder> --config.dataset=<folder> --config.success= \
        --config.max_token_len=200

- `embedded` (default): four frames of the embedded policy's rollouts, from success in all trials to
  success in none.
- `modalities`: which kind of input counts, whole views, instruction or state, in sixteen
  frames of two suites.
- `smoke`: one frame; seconds.
"""

import ml_collections

from configs.parts.policy import set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "modalities", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"acts_on-{chosen(variant, VARIANTS)}"
    config.quiet = False
    set_policy(config, max_token_len=40)
    # A success table, from which frames of different success are chosen; empty when there is none.
    config.success = "embedded"
    config.policy_seed = 0
    # The middle frames of so many episodes, or of those that are named, such as "(0, 12)".
    config.frames = 4
    config.episodes = ()
    # names, regions, looks (segments of each view) or looks_joined (joined over views); or
    # modalities: whole views, the instruction and the state, with exact Shapley values.
    config.players = "names"
    # Whether looks are compared with the other kind of looks, at twice the runs.
    config.compare = True
    config.draws = 8
    # background (donor frames of other tasks), blur, mean, inpaint, or auto: donors where there are
    # some of other tasks, else blur.
    config.fill = "auto"
    config.donors = 64
    # Dataset of the donors. When empty the embedded episodes for the embedded policy, and the
    # explained dataset for any other.
    config.donors_from = ""
    config.seed = 0
    if variant == "modalities":
        # Eight tasks of libero_object, eight of libero_spatial.
        config.episodes = (46, 55, 58, 65, 66, 75, 80, 85, 135, 136, 145, 148, 155, 159, 165, 170)
        config.players = "modalities"
    if variant == "smoke":
        config.frames, config.draws, config.donors = 1, 2, 8
    return config
