"""What a map costs (Table 2).

    python -m experiments.efficiency --config=configs/efficiency.py
    python -m experiments.efficiency --config=configs/efficiency.py:smoke

Variants:

- `embedded` (default): the small policy that ships with the package; minutes on two CPU cores, most
  of them compiling.
- `smoke`: one small map, seconds.
- `paper`: π0.5 of the released sizes with random weights in bfloat16 and the paper's horizon of 16,
  for a GPU. `--config.subject.policy=<checkpoint> --config.subject.dataset=<folder>` takes the
  authors' policy instead.

      python -m experiments.efficiency --config=configs/efficiency.py:paper
"""

import ml_collections

from configs.parts.bench_subject import subject
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "paper")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"efficiency-{chosen(variant, VARIANTS)}"
    config.quiet = False
    config.subject = subject("pi05" if variant == "paper" else "embedded")

    config.num_masks = (50, 100, 150, 200)
    config.keep_probs = (0.1, 0.2, 0.3, 0.4, 0.5)
    # The paper's own estimator, pinned.
    config.iss = ml_collections.ConfigDict({"design": "bernoulli", "estimator": "fixed"})
    # Rows at once; 0 leaves the choice to the library.
    config.micro_batch = 0
    # Side of the matrices whose product is the peak.
    config.peak_size = 2048
    config.repeats = 5

    if variant == "smoke":
        config.num_masks, config.keep_probs = (10,), (0.3,)
        config.peak_size, config.repeats = 128, 1
    if variant == "paper":
        config.subject.dtype = "bfloat16"
        config.subject.action_horizon = 16
        config.peak_size = 8192
    return config
