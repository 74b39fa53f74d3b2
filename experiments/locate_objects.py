"""Where every object is in every image of collected datasets, for auxiliary training losses.

    python -m experiments.locate_objects --config=configs/locate_objects.py

Writes `<dataset>/meta/object_pixels.npz` beside the episodes: `names` [k], kinds of objects;
`pixels` [frames, cameras, k, 2], column and row as fractions of the image (NaN where an object is
not in the scene or its centre is out of view), cameras in the order of `CAMERAS`; and `wanted`
[frames], the kind that is to be grasped: the one at the recorded target position. Computed from the
recorded simulator states; nothing is rendered, so an object behind the arm counts as seen.
"""

from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.making.object_pixels import CAMERAS, FILE
from experiments.runs import app
from iss_jax.data.atomic import atomic_path
from iss_jax.data.copies import copied
from iss_jax.data.dataset import Dataset, open_dataset
from iss_jax.envs.relations import kind


def label(env: Any, name: str) -> str:
    """An object's kind; of two of a kind, the one that is not wanted is the `_other`."""
    if name != env.target and env.target is not None and kind(name) == kind(env.target):
        return f"{kind(name)}_other"
    return kind(name)


def scene_pixels(env: Any, states: np.ndarray) -> dict[str, np.ndarray]:
    """Pixels of each object's centre: kind -> [n, cameras, 2], fractions of the image.

    Args:
        env: the scene.
        states: recorded simulator states, [n, 1 + nq + nv].
    """
    from iss_jax.envs import simulator

    mujoco = simulator.load().mujoco
    names = env.objects
    starts = [env.joint_address(name) for name in names]
    cameras = [env.camera_id(camera) for camera in CAMERAS]
    focal = 0.5 / np.tan(np.radians(env.model.cam_fovy[cameras]) / 2)
    out = np.full((len(states), len(CAMERAS), len(names), 2), np.nan)
    for i, state in enumerate(states):
        env.data.qpos[:] = state[1 : 1 + env.model.nq]
        mujoco.mj_kinematics(env.model, env.data)
        mujoco.mj_camlight(env.model, env.data)
        points = np.stack([env.data.qpos[start : start + 3] for start in starts])
        for j, camera in enumerate(cameras):
            axes = env.data.cam_xmat[camera].reshape(3, 3)
            x, y, z = ((points - env.data.cam_xpos[camera]) @ axes).T
            depth = np.where(z < 0, -z, np.nan)
            pixel = np.stack([0.5 + focal[j] * x / depth, 0.5 - focal[j] * y / depth], axis=-1)
            inside = np.all((pixel >= 0) & (pixel < 1), axis=-1)
            out[i, j] = np.where(inside[:, None], pixel, np.nan)
    return {label(env, name): out[:, :, k] for k, name in enumerate(names)}


def wanted_kind(env: Any, state: np.ndarray, target_position: np.ndarray) -> str:
    """The kind of the object that stands where the wanted one did, in one recorded state."""
    qpos = state[1 : 1 + env.model.nq]
    starts = {name: env.joint_address(name) for name in env.objects}
    gaps = {
        name: float(np.linalg.norm(qpos[start : start + 3] - target_position))
        for name, start in starts.items()
    }
    return label(env, min(gaps, key=gaps.__getitem__))


def locate(dataset: Dataset, envs: dict[str, Any]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Kinds of objects in the dataset, their pixels in all its frames, and which one is wanted."""
    from iss_jax.envs import libero

    episodes, kinds = [], []
    for i in tqdm.trange(len(dataset), desc=str(dataset.root)):
        line = dataset.metadata(i)
        if line["scene"] not in envs:
            envs[line["scene"]] = libero.make(line["suite"], line["scene"])
        states = dataset.read_feature(i, "simulator_state")
        env = envs[line["scene"]]
        episodes.append(scene_pixels(env, states))
        target = dataset.read_feature(i, "target_position")
        kinds.append(wanted_kind(env, states[0], target[0]))
    names = sorted({name for episode in episodes for name in episode})
    pixels, wanted = [], []
    for episode, one in zip(episodes, kinds, strict=True):
        count = len(next(iter(episode.values())))
        absent = np.full((count, len(CAMERAS), 2), np.nan)
        pixels.append(np.stack([episode.get(name, absent) for name in names], axis=2))
        wanted.append(np.full(count, names.index(one), np.int32))
    return names, np.concatenate(pixels).astype(np.float32), np.concatenate(wanted)


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment; `workdir` gets the copies where some are made."""
    envs: dict[str, Any] = {}
    for given in map(Path, config.datasets):
        root = copied(given, workdir) if config.copy else given
        names, pixels, wanted = locate(open_dataset(root), envs)
        path = root / FILE
        with atomic_path(path) as temporary:
            np.savez_compressed(temporary, names=np.array(names), pixels=pixels, wanted=wanted)
        print(f"{path}: {len(pixels)} frames, {len(names)} kinds of objects")


if __name__ == "__main__":
    app.run(main, "locate_objects", many_processes=False)
