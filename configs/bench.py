"""Time of a saliency map.

    python -m experiments.bench --config=configs/bench.py
    python -m experiments.bench --config=configs/bench.py:smoke

Variants:

- `embedded` (default): the small policy that ships with the package, the paper's 100 masks.
- `smoke`: ten masks, seconds.
- `full`: π0.5 of the released sizes with random weights in bfloat16, for ten minutes on a GPU. Rows
  are measured one by one, the most valuable first, and stored as they are known. `make bench-gpu`
  makes what it needs and runs

      python -m experiments.bench --config=configs/bench.py:full --workdir=runs/bench-gpu

- `rehearsal`: the very same rows of a shrunk model, on a CPU:

      make bench-gpu PLATFORM=cpu VARIANT=rehearsal
"""

import ml_collections

from configs.parts.bench_subject import subject
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke", "full", "rehearsal")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"bench-{chosen(variant, VARIANTS)}"
    config.quiet = False

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
    config.repeats = 5
    if variant in ("full", "rehearsal"):
        return _one_by_one(config, variant)

    config.subject = subject("embedded")
    # Side of the matrices whose product is the peak.
    config.peak_size = 2048
    if variant == "smoke":
        config.num_masks = 10
        config.pearson_0_9.num_masks = 3
        config.peak_size = 128
        config.repeats = 1
    return config


def _one_by_one(config: ml_collections.ConfigDict, variant: str) -> ml_collections.ConfigDict:
    config.subject = subject("pi05" if variant == "full" else "shrunk")
    config.subject.dtype = "bfloat16"
    config.subject.action_horizon = 50
    # Masks of one observation whose effects alone are wanted, as of regions.
    config.effects_masks = 16
    # Names of rows, all when empty.
    config.rows = ()
    # Seconds of turns that do not count, and the least of those that do: short calls are repeated
    # more often than `repeats` says. The matrix peak has seconds of its own for both.
    config.warm_seconds = 0.5
    config.least_seconds = 1.0
    config.peak_seconds = 3.0
    # Seconds of everything, with what a machine needs to end inside ten minutes; and of one row,
    # with its compiling, or of the start.
    config.budget_s = 560.0
    config.row_limit_s = 180.0
    # Where compiled programs are kept, but for those of a CPU: "user" is the user's cache, nothing
    # keeps none.
    config.cache = "user"
    if variant == "rehearsal":
        config.repeats = 1
        config.warm_seconds = 0.0
        config.least_seconds = 0.0
        config.peak_seconds = 0.1
    return config
