"""Keys of the zoo's commands: which policies, how each is trained, rolled out and measured."""

import ml_collections


def zoo_config(name: str) -> ml_collections.ConfigDict:
    """What all of them share."""
    config = ml_collections.ConfigDict()
    config.name = name
    config.quiet = False
    config.design = "docs/zoo/design.csv"
    # Of the design, in this order; all when empty.
    config.rows = ()
    return config


def train_keys() -> ml_collections.ConfigDict:
    """Key `train`: how each policy is taught."""
    keys = ml_collections.ConfigDict()
    # Of `zoo_frames`, filled with the recipe's layouts, or `heldout`.
    keys.frames = "datasets/zoo/{layouts}"
    keys.most_frames = 0  # evenly spread; all when 0
    # The teacher's answers: flow noises of each frame and instruction, Euler steps.
    keys.draws = 2
    keys.teacher_steps = 4
    keys.action_horizon = 16
    keys.max_token_len = 40
    # How often the instruction names any of the ten objects, where there is a cue.
    keys.misnamed = 0.35
    keys.vlm_rank = 16
    keys.action_rank = 16
    keys.steps = 800
    keys.batch_size = 16
    keys.flow_samples = 3
    keys.peak_lr = 3e-3
    keys.warmup_steps = 50
    keys.weight_decay = 1e-4
    keys.ema_decay = 0.99
    keys.log_every = 50
    keys.save_every = 200
    return keys


def short_training(keys: ml_collections.ConfigDict) -> None:
    """Sets key `train` to what a smoke run does: three steps on two frames that ship."""
    keys.update({"frames": "docs/episodes/expert", "most_frames": 2, "draws": 1})
    keys.update({"teacher_steps": 1, "steps": 3, "batch_size": 2, "flow_samples": 1})
    keys.update({"warmup_steps": 1, "log_every": 1, "save_every": 2})


def rollout_keys() -> ml_collections.ConfigDict:
    """Key `rollout`: trials along every axis."""
    keys = ml_collections.ConfigDict()
    keys.tasks = tuple(range(10))
    # Of each task, axis and strength.
    keys.trials = 4
    # Axis of `experiments.zoo.shifts` -> strength, in the unit said there; several in a tuple.
    strengths = {
        "cue": 1.0,
        "layout": 0.08,
        "looks": 0.35,
        "distractors": 10.0,
        "texture": 0.25,
        "light": 0.12,
        "camera": 0.025,
        "noise": 0.18,
    }
    keys.strengths = ml_collections.ConfigDict(strengths)
    keys.image_size = 80
    keys.max_token_len = 40
    keys.action_horizon = 16
    keys.num_steps = 10
    keys.execute = 8
    keys.max_steps = 200
    return keys


def measure_keys() -> ml_collections.ConfigDict:
    """Key `measure`: what is measured from unshifted frames."""
    keys = ml_collections.ConfigDict()
    keys.frames = 64
    # At once: every shape is compiled once.
    keys.at_once = 8
    keys.num_steps = 4
    keys.action_horizon = 16
    keys.max_token_len = 40
    # Donors of each player.
    keys.draws = 4
    # The paper's maps; backward passes of the gradient; k of NMR@k, percent.
    keys.masks = 100
    keys.probes = 4
    keys.percent = 10.0
    # Held-out lessons of the validation loss, and how often they misname (as in training).
    keys.lessons = 256
    keys.misnamed = 0.35
    # Flow noises that the entropy of chunks is taken over.
    keys.noises = 16
    return keys


def short_measures(keys: ml_collections.ConfigDict) -> None:
    """Sets key `measure` to what a smoke run does: two frames that ship, few runs."""
    keys.update({"frames": 2, "at_once": 2, "num_steps": 1, "draws": 1, "masks": 2})
    keys.update({"probes": 1, "lessons": 2, "noises": 2})
