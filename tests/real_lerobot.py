"""LeRobot's own code for the tests that run on it: found, imported, and small policies of it.

Beside a CPU build of torch, PyPI's torchvision was compiled for another build, and its import ends
in "operator torchvision::nms does not exist". What its networks take is Python alone: there the two
operators are declared and not made, so that it can be imported.
"""

import importlib
from types import ModuleType
from typing import Any

import numpy as np
import pytest

CAMERAS = {"front": (48, 64), "wrist": (48, 64)}
STATE, ACTION = 8, 7


def imported(name: str) -> ModuleType:
    """A module of LeRobot; skips the test, with the reason, where there is none."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        boxes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        imported.library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            imported.library.define(f"{operator}{boxes}")
    except ImportError:
        pass
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"LeRobot's {name} cannot be imported here: {error}")


def features() -> tuple[dict[str, Any], dict[str, Any]]:
    """What a policy takes and gives: two cameras, eight numbers of state, seven of action."""
    types = imported("lerobot.configs.types")
    kinds, feature = types.FeatureType, types.PolicyFeature
    inputs = {f"observation.images.{c}": feature(kinds.VISUAL, (3, *s)) for c, s in CAMERAS.items()}
    inputs["observation.state"] = feature(kinds.STATE, (STATE,))
    return inputs, {"action": feature(kinds.ACTION, (ACTION,))}


def statistics() -> dict[str, dict[str, Any]]:
    """Of a dataset: states and actions far from zero mean and unit spread."""
    torch = imported("torch")
    found = {}
    for name, size in (("observation.state", STATE), ("action", ACTION)):
        found[name] = {
            "mean": torch.full((size,), 0.5),
            "std": torch.full((size,), 0.25),
            "min": torch.full((size,), -1.0),
            "max": torch.full((size,), 3.0),
        }
    for camera in CAMERAS:
        picture = torch.ones(3, 1, 1)
        found[f"observation.images.{camera}"] = {
            "mean": 0.5 * picture,
            "std": 0.25 * picture,
            "min": 0.0 * picture,
            "max": picture,
        }
    return found


def small_act(**changes: Any) -> Any:
    """An ACT of a ResNet-18 and a narrow transformer, with random weights."""
    torch = imported("torch")
    configs = imported("lerobot.policies.act.configuration_act")
    inputs, outputs = features()
    options: dict[str, Any] = {
        "device": "cpu",
        "pretrained_backbone_weights": None,
        "dim_model": 32,
        "n_heads": 2,
        "dim_feedforward": 64,
        "n_encoder_layers": 1,
        "chunk_size": 4,
        "n_action_steps": 4,
        "use_vae": False,
        "dropout": 0.0,
    }
    torch.manual_seed(0)
    config = configs.ACTConfig(input_features=inputs, output_features=outputs, **options | changes)
    return imported("lerobot.policies.act.modeling_act").ACTPolicy(config)


def small_diffusion() -> Any:
    """A Diffusion policy of two past observations and four denoising steps, random weights."""
    torch = imported("torch")
    configs = imported("lerobot.policies.diffusion.configuration_diffusion")
    inputs, outputs = features()
    torch.manual_seed(0)
    config = configs.DiffusionConfig(
        input_features=inputs,
        output_features=outputs,
        device="cpu",
        pretrained_backbone_weights=None,
        horizon=8,
        n_obs_steps=2,
        n_action_steps=4,
        down_dims=(16, 32),
        n_groups=4,
        diffusion_step_embed_dim=16,
        num_train_timesteps=10,
        num_inference_steps=4,
        crop_shape=(40, 56),
        spatial_softmax_num_keypoints=4,
    )
    return imported("lerobot.policies.diffusion.modeling_diffusion").DiffusionPolicy(config)


def processors(policy: Any) -> Any:
    """What LeRobot's own factory puts before and after a policy."""
    factory = imported("lerobot.policies.factory")
    return factory.make_pre_post_processors(policy.config, dataset_stats=statistics())


def pictures(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Smooth random frames [rows, h, w, 3] of every camera."""
    rng = np.random.default_rng(seed)
    found = {}
    for camera, (height, width) in CAMERAS.items():
        blocks = rng.integers(0, 256, (rows, height // 8, width // 8, 3), np.uint8)
        found[camera] = np.repeat(np.repeat(blocks, 8, 1), 8, 2)
    return found
