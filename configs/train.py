"""Supervised flow-matching fine-tuning.

    python -m experiments.train --config=configs/train.py --workdir=runs/train
    python -m experiments.train --config=configs/train.py:smoke

Variants:
  embedded  the small π0.5 of the embedded default, from scratch on `collect`'s datasets
  corrected the same run, gone on with `collect`'s corrections
  corrected-twice and again, with corrections of that
  study     the 18 seen tasks of the study, from what `corrected-twice` ends with
  study-corrected the same run, gone on with `collect`'s corrections on libero_spatial
  planted   the embedded policy, gone on with a panel that names objects (planted shortcuts)
  smoke     a few steps of a tiny model on `docs/episodes/expert`, seconds
  lora      a released checkpoint with the paper's LoRA (App. C.1)
  agnostos  the same on AGNOSTOS, as `datasets/agnostos`, in chunks of 16 (docs/guide/training.md)
"""

from ml_collections import config_dict

from configs.parts.variants import chosen
from iss_jax.envs.benchmarks import STUDY

VARIANTS = (
    "embedded",
    "corrected",
    "corrected-twice",
    "study",
    "study-corrected",
    "planted",
    "smoke",
    "lora",
    "agnostos",
)


def get_config(variant: str = "embedded") -> config_dict.ConfigDict:
    c = config_dict.ConfigDict()
    c.name = f"train-{chosen(variant, VARIANTS)}"
    c.datasets = (
        "datasets/demos/shard-0",
        "datasets/demos/shard-1",
        "datasets/static/shard-0",
        "datasets/static/shard-1",
    )
    c.validation_every = 25
    c.asset_id = "libero_object"
    c.max_token_len = 32
    c.seed = 0
    # A checkpoint step to start from, or "embedded"; empty trains a new model of `c.model`'s sizes.
    c.init_from = ""
    c.tokenizer = ""
    # Length that the datasets' chunks must have. 0: all the same; where the run starts from
    # "embedded", that policy's.
    c.action_horizon = 0
    # Words of the vocabulary beyond those of the datasets; where a run starts from a checkpoint,
    # they make a new vocabulary that keeps the embeddings of the words it shares.
    c.instructions = ()
    c.lora = False
    c.lora_vlm_rank = 16
    c.lora_action_rank = 32
    c.dtype = "float32"
    c.model = config_dict.ConfigDict(
        {
            "image": {"width": 128, "depth": 3, "mlp": 256, "heads": 4, "patch": 16, "tokens": 25},
            "vlm": {"width": 128, "mlp": 256},
            "action": {"width": 96, "mlp": 192},
            "depth": 4,
            "heads": 4,
            "head_dim": 32,
            "action_dim": 7,
        }
    )
    c.steps = 13_000
    # End earlier, on the same schedule; 0 does not.
    c.stop_after = 0
    c.batch_size = 32
    c.flow_samples = 3
    c.peak_lr = 1e-3
    c.end_lr = 1e-5
    c.warmup_steps = 200
    c.weight_decay = 1e-4
    c.clip_norm = 1.0
    c.ema_decay = 0.999
    c.auxiliary_weight = 1.0
    # Planted shortcuts (`experiments.planted.cue`): whether frames get a panel, how often it shows
    # the wanted object's colour for certain, how often the instruction names any object.
    c.planted = False
    c.cue_probability = 0.0
    c.misnamed_share = 0.25
    # Augmentation: brightness and contrast (fractions), state noise (normalised units).
    c.colour_jitter = 0.15
    c.state_noise = 0.01
    # Robot units; keeps dimensions that hardly move from being blown up by normalisation.
    c.minimum_action_range = 0.4
    c.log_every = 50
    c.save_every = 500
    c.keep = 2
    if variant in ("corrected", "corrected-twice"):
        c.datasets += ("datasets/corrections/shard-0", "datasets/corrections/shard-1")
        c.steps = 11_000
        if variant == "corrected-twice":
            c.datasets += ("datasets/corrections-2/shard-0", "datasets/corrections-2/shard-1")
    elif variant in ("study", "study-corrected"):
        c.init_from = "runs/train/checkpoints/11000"  # of `corrected-twice`
        c.instructions = tuple(task.instruction for task in STUDY)
        c.asset_id = "libero_study"
        c.max_token_len = 40
        for name in ("corrections", "corrections-2", "spatial/demos", "spatial/static"):
            c.datasets += tuple(f"datasets/{name}/shard-{shard}" for shard in (0, 1))
        c.steps = 10_000
        c.peak_lr = 7e-4
        if variant == "study-corrected":
            c.datasets += tuple(f"datasets/spatial/corrections/shard-{k}" for k in (0, 1))
            c.steps = 6_500
    elif variant == "planted":
        c.init_from = "embedded"
        c.asset_id = "libero_planted"
        c.max_token_len = 40
        c.planted = True
        c.steps = 1_500
        c.peak_lr = 7e-4
        c.warmup_steps = 100
    elif variant == "smoke":
        c.datasets = ("docs/episodes/expert",)
        c.model.image.update({"tokens": 4, "width": 24, "depth": 2, "mlp": 32, "heads": 2})
        c.model.vlm.update({"width": 24, "mlp": 32})
        c.model.action.update({"width": 16, "mlp": 32})
        c.model.update({"depth": 2, "heads": 2, "head_dim": 8})
        c.update({"steps": 4, "batch_size": 4, "flow_samples": 2, "warmup_steps": 1})
        c.update({"log_every": 1, "save_every": 2, "validation_every": 2})
    elif variant in ("lora", "agnostos"):
        c.init_from = "checkpoints/pi05_base"
        c.lora = True
        c.max_token_len = 200
        c.dtype = "bfloat16"
        c.update({"steps": 1_000, "batch_size": 64, "flow_samples": 1, "ema_decay": 0.99})
        c.update({"peak_lr": 2.5e-5, "end_lr": 2.5e-6, "warmup_steps": 100, "weight_decay": 1e-10})
        c.update({"auxiliary_weight": 0.0, "colour_jitter": 0.0, "state_noise": 0.0})
        c.minimum_action_range = 0.0
        if variant == "agnostos":
            c.datasets, c.asset_id = ("datasets/agnostos",), "agnostos"
    return c
