"""What each exact saving gives, and what is not the policy costs.

    python -m experiments.savings --config=configs/savings.py
    python -m experiments.savings --config=configs/savings.py:smoke

Variants:

- `embedded` (default): the small policy that ships with the package, N = 100.
- `middle`: random weights, wide enough that matrix products are what takes the time on a CPU; two
  of three views there, 20 of 200 prompt tokens, H = 10, as in pi05_libero; all savings together.
- `smoke`: seconds.
"""

import ml_collections

from configs.parts.bench_subject import subject
from configs.parts.variants import chosen

VARIANTS = ("embedded", "middle", "smoke")


def get_config(variant: str = "embedded") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"savings-{chosen(variant, VARIANTS)}"
    config.quiet = False
    config.subject = subject("middle" if variant == "middle" else "embedded")

    config.num_masks = 100
    # Rows at once; 0 chooses from the device's memory.
    config.micro_batch = 0
    # Each saving alone, and all but each; else none and all only.
    config.single_savings = True
    # Numbers of masks whose memory is compared, at one micro-batch.
    config.memory_masks = (32, 800)
    config.memory_micro_batch = 16
    # Set by this experiment for the processes that it starts.
    config.process_masks = 0
    # Also start those processes, and lower the released sizes.
    config.lowering = True
    config.repeats = 5

    if variant == "middle":
        config.num_masks = 15
        config.micro_batch = 16
        config.single_savings = False
        config.subject.valid_tokens = 20
        config.subject.present_views = 2
        config.subject.action_horizon = 10
        config.lowering = False
        config.repeats = 3
    if variant == "smoke":
        config.num_masks = 3
        config.micro_batch = 4
        config.single_savings = False
        config.memory_masks = (3, 6)
        config.memory_micro_batch = 2
        config.lowering = False
        config.repeats = 1
    return config
