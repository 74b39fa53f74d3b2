"""Time of a saliency map.

    python -m experiments.bench --config=configs/bench.py
    python -m experiments.bench --config=configs/bench.py:smoke

Variants:

- `embedded` (default): the small policy that ships with the package, the paper's 100 masks.
- `smoke`: ten masks, seconds.
- `full`: π0.5 of the released sizes with random weights in bfloat16, for a GPU; they are made on
  the device. Latency, Hz, and the share of the measured matrix-product peak:

      python -m experiments.bench --config=configs/bench.py:full

  The same at a depth that a CPU holds and runs, to see that it works:

      python -m experiments.bench --config=configs/bench.py:full --config.subject.depth=2 \
          --config.micro_batch=1 --config.num_masks=2 --config.pearson_0_9.num_masks=3 \
          --config.peak_size=1024 --config.repeats=1
"""

import ml_collections

from configs.parts.bench_subject import subject
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "full")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"bench-{chosen(variant, VARIANTS)}"
    config.quiet = False
    config.subject = subject("pi05" if variant == "full" else "embedded")

    config.num_masks = 100
    # Rows at once; 0 chooses from the device's memory.
    config.micro_batch = 0
    # Options of `ISSConfig`: the fewest runs measured that reach the accuracy of the paper's 100,
    # and those that reach a Pearson correlation of 0.9 with the converged map, both on the embedded
    # policy (docs/results/accuracy.md).
    config.as_the_paper = ml_collections.ConfigDict(
        {"num_masks": 1, "estimator": "clipped", "design": "bernoulli"}
    )
    config.pearson_0_9 = ml_collections.ConfigDict({"num_masks": 20, "estimator": "clipped"})
    # Side of the matrices whose product is the peak.
    config.peak_size = 2048
    config.repeats = 5

    if variant == "smoke":
        config.num_masks = 10
        config.pearson_0_9.num_masks = 3
        config.peak_size = 128
        config.repeats = 1
    if variant == "full":
        config.subject.dtype = "bfloat16"
        config.subject.action_horizon = 50
        config.peak_size = 8192
    return config
