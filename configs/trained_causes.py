r"""Which explanation finds a cause inside a trained network?

    # After `python -m experiments.distil`, as in configs/distil.py:
    python -m experiments.trained_causes --config=configs/trained_causes.py
    python -m experiments.trained_causes --config=configs/trained_causes.py:grid
    python -m experiments.trained_causes --config=configs/trained_causes.py:shipped
    python -m experiments.trained_causes --config=configs/trained_causes.py:halves
    python -m experiments.trained_causes --config=configs/trained_causes.py:tokens
    python -m experiments.trained_causes --config=configs/trained_causes.py:future
    python -m experiments.trained_causes --config=configs/trained_causes.py:smoke

Variants: `full` (one policy a cue and rho), `grid` (three cues, four rho, and three training seeds
at rho 0 and 1: 24 policies), `shipped` (the two that ship with the package; a few minutes),
`halves` (the same two, Owen values alone), `tokens` (the same two, image tokens alone), `future`
(the same two, ideas of the paper's future work alone), `smoke` (one frame, few runs; half a
minute).
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("full", "grid", "shipped", "halves", "tokens", "future", "smoke")

GRID = tuple(
    (cue, rho, seed)
    for cue in ("panel_one", "panel_two", "patch")
    for rho, seeds in ((0.0, 3), (0.5, 1), (0.9, 1), (1.0, 3))
    for seed in range(seeds)
)


def get_config(variant: str = "full") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"trained_causes-{chosen(variant, VARIANTS)}"
    config.quiet = False
    # Of every policy its cue, rho and seed; `leaves` is filled with them, or "shipped".
    config.leaves = "runs/distilled/{cue}-{rho:g}-{seed}/leaves.npz"
    config.policies = (
        ("panel_one", 0.0, 0),
        ("panel_one", 0.5, 0),
        ("panel_one", 0.9, 0),
        ("panel_one", 1.0, 0),
        ("panel_two", 0.0, 0),
        ("panel_two", 1.0, 0),
        ("patch", 0.0, 0),
        ("patch", 1.0, 0),
    )
    # Owen values spend their runs one after the other, and tokens are no pixels: each is a part of
    # its own, with the runs of `budgets`.
    alone = variant in ("halves", "tokens", "future")
    config.parts = (variant,) if alone else ("methods", "halves", "tokens", "future")
    config.budgets = (30, 100)
    # Frames of each held-out task of these suites.
    config.suites = ("libero_object", "libero_object_object", "libero_object_swap")
    config.tasks = 0  # the first so many; all when 0
    config.frames_per_task = 2
    config.donors = 40
    config.masks = 100
    config.num_steps = 4
    config.max_token_len = 40
    config.resamples = 2_000
    config.confidence = 0.95
    if variant == "grid":
        config.policies = GRID
    if variant in ("shipped", "halves", "tokens", "future", "smoke"):
        config.leaves = "shipped"
        config.policies = (("panel_one", 0.0, 0), ("panel_one", 1.0, 0))
    if variant == "smoke":
        config.parts = ("methods", "halves", "tokens")
        config.tasks, config.frames_per_task = 1, 1
        config.donors, config.masks, config.num_steps, config.resamples = 3, 4, 1, 99
        config.budgets = (4, 8)
    return config
