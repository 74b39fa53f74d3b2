"""What a reader of the documentation has at hand: a checkpoint, frames, a training loop, a server.

Everything is the embedded policy and its episodes, so that the blocks of the pages run on them.
"""

import contextlib
import dataclasses
import shutil
import tempfile
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from openpi_standins import Policy, TrainState, train_state

import iss_jax
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.pi05.observation import VIEWS
from iss_jax.policies.configs import PI05_LIBERO, PolicyConfig
from iss_jax.policies.openpi import OpenpiPolicy, from_checkpoint
from iss_jax.policies.server import serve

MINE = PolicyConfig(
    name="my_arm",
    cameras={"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"},
    state={"state": 8},
    action_horizon=16,
    action_dims=7,
)


@lru_cache(maxsize=1)
def policy() -> OpenpiPolicy:
    """The embedded policy in float32."""
    return from_checkpoint(embedded.checkpoint_path(), "embedded", dtype=None)


@lru_cache(maxsize=1)
def released() -> str:
    """The embedded checkpoint under the name that the released one's statistics have."""
    root = Path(tempfile.mkdtemp()) / "30000"
    shutil.copytree(embedded.checkpoint_path(), root)
    (root / "assets" / "physical-intelligence").mkdir()
    own = root / "assets" / "physical-intelligence" / "libero"
    (root / "assets" / "libero_study").rename(own)
    return str(root)


def things() -> dict[str, Any]:
    """Names that the pages use without having made them, by what they say these are."""
    episode = open_dataset(embedded.episodes_path()).read(90, slice(0, 1))
    images = {camera: frames[0] for camera, frames in episode.images.items()}
    state = episode.state[0]
    raw = PI05_LIBERO.join(
        {"observation/image": images["front"], "observation/wrist_image": images["wrist"]},
        state,
        episode.prompt,
    )
    obs = policy().observation(images, state, episode.prompt)
    labels = episode.regions["front"]
    return {
        "image": images["front"],
        "wrist": images["wrist"],
        "state": state,
        "prompt": episode.prompt,
        "raw": raw,
        "frames": images,
        "camera": episode.images["front"],
        "labels": labels,
        "regions": dict.fromkeys(VIEWS, jnp.asarray(labels)),
        "noise": np.zeros((10, 7), np.float32),
        "key": jax.random.key(0),
        "params": policy().params,
        "obs": obs,
        "images": {"front": jnp.linspace(0.0, 1.0, 14 * 14 * 3).reshape(14, 14, 3)},
        "policy_function": brightness,
        "mine": MINE,
        "openpi_policy": live_policy(),
        "wandb": SimpleNamespace(log=lambda data, step: None, Image=np.asarray),
        "batch": (obs, None),
        "config": SimpleNamespace(model=SimpleNamespace(action_horizon=16)),
        "train_state": training_state(),
        "pbar": range(2),
    }


def saliency() -> iss_jax.Saliency:
    """A map of the reader's frames, for pages that begin with one."""
    found = things()
    return policy().saliency(found["frames"], found["state"], "pick up the black bowl")


def brightness(images: dict[str, jax.Array]) -> jax.Array:
    """A policy whose actions are the mean colour of the upper half of its frame."""
    return images["front"][:, :7].mean((1, 2))[:, None, :]


def live_policy() -> Policy:
    """What openpi's `create_trained_policy` returns."""
    # The embedded statistics stand in for the released ones, whose name they do not have.
    libero = dataclasses.replace(PI05_LIBERO, asset_id="")
    loaded = from_checkpoint(embedded.checkpoint_path(), libero, dtype=None)
    keywords = loaded.observe.keywords
    live = Policy(
        loaded.params,
        PI05_LIBERO,
        keywords["norm_stats"],
        keywords["tokenizer"],
        size=loaded.image_size,
    )
    live._sample_kwargs = {"num_steps": loaded.sampling.num_steps}
    return live


def training_state() -> TrainState:
    """openpi's training state of the embedded policy."""
    return train_state(policy().params)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The address of a server by openpi's protocol, whose actions are the colour of its image."""
    listening, ports = threading.Event(), []

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    def infer(raw: dict[str, Any]) -> dict[str, np.ndarray]:
        mean = np.float32(raw["observation/image"].mean() / 255)
        return {"actions": np.full((10, 7), mean)}

    thread = threading.Thread(
        target=serve, args=(infer,), kwargs={"port": 0, "ready": ready}, daemon=True
    )
    thread.start()
    assert listening.wait(20), "the server does not listen"
    yield f"ws://127.0.0.1:{ports[0]}"


def run_directory(folder: Path) -> Path:
    """A folder that an experiment left behind."""
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text("task,nmr@10\nlift,0.2\n")
    return folder
