"""How faithful a map is for what it costs, for every mask design and estimator.

python -m experiments.estimator_accuracy --config=configs/estimator_accuracy.py
python -m experiments.estimator_accuracy --config=configs/estimator_accuracy.py:smoke

Variants: `embedded` (20 frames of the embedded rollouts, ten of successful and ten of failed
episodes; 20,000 reference masks: some three minutes a frame on two cores), `smoke` (one frame,
seconds). A shorter reference, `--config.reference_masks=4000`, is continued by a longer one.
"""

import ml_collections

from configs.parts.policy import set_policy
from configs.parts.variants import chosen

VARIANTS = ("embedded", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"estimator_accuracy-{chosen(variant, VARIANTS)}"
    config.quiet = False

    set_policy(config, max_token_len=40)
    config.frames = 20
    config.keep_prob = 0.3
    # Plain i.i.d. masks of the reference, and of one work item.
    config.reference_masks = 20_000
    config.part_masks = 2_000
    # (estimator that says what a run is: centred or gradient; design; runs; repeats)
    config.candidates = (
        ("centred", "bernoulli", 200, 5),
        ("centred", "balanced", 100, 3),
        ("gradient", "balanced", 9, 6),
        ("gradient", "balanced", 40, 3),
        ("gradient", "bernoulli", 40, 3),
        ("gradient", "balanced", 20, 3),
    )
    # Points of the midpoint rules of integrated gradients; probes of the clean frame's Jacobian.
    config.straight_points = (1, 4, 9, 20)
    config.probes = (1, 4, 20)
    # Budgets of the plain, and of the gradient, i.i.d. candidates: all of the same runs, in at most
    # so many disjoint parts.
    config.plain_runs = (25, 50, 100, 200)
    config.gradient_runs = (1, 2, 4, 9, 20, 40)
    config.most_repeats = 12
    # Gradient runs whose `clipped` map is the surrogate of `surrogate`, with the plain runs above.
    config.surrogate_runs = 20
    # Masks of one compiled program.
    config.chunk = 500
    config.gradient_chunk = 20
    config.percent = 10.0

    if variant == "smoke":
        config.frames = 1
        config.reference_masks, config.part_masks = 40, 20
        config.candidates = (
            ("centred", "bernoulli", 10, 2),
            ("centred", "balanced", 10, 2),
            ("gradient", "balanced", 4, 2),
            ("gradient", "bernoulli", 2, 1),
        )
        config.straight_points, config.probes = (1, 2), (2,)
        config.plain_runs, config.gradient_runs, config.surrogate_runs = (10,), (1, 2), 4
        config.chunk, config.gradient_chunk = 20, 4
    return config
