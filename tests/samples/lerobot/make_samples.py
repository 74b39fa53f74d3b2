"""Writes the sample datasets of this folder with the real `lerobot` (see README.md).

    python make_samples.py image OUT
    python make_samples.py video OUT

The format is that of the installed release: 0.3.3 writes v2.1, 0.4.4 writes v3.0.
"""

import sys

import numpy as np

FPS = 10
LENGTHS = (4, 3)
TASKS = ("pick the red cube", "open the drawer")
CAMERAS = {"front": (48, 64), "wrist": (40, 40)}


def image(camera: str, episode: int, frame: int) -> np.ndarray:
    """Smooth ramps that tell camera, episode and frame apart, so that a codec keeps them."""
    height, width = CAMERAS[camera]
    rows, columns = np.mgrid[:height, :width]
    red = 2 * rows + 20 * frame
    green = 2 * columns + 60 * episode
    blue = np.full((height, width), 40 if camera == "front" else 160) + 10 * frame
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def state(episode: int, frame: int) -> np.ndarray:
    return (np.arange(8) / 8 + episode + frame / 16).astype(np.float32)


def action(episode: int, frame: int) -> np.ndarray:
    return (np.arange(7) / 4 - episode - frame / 32).astype(np.float32)


def main(kind: str, out: str) -> None:
    import lerobot
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    features = {
        f"observation.images.{camera}": {
            "dtype": kind,
            "shape": (*size, 3),
            "names": ["height", "width", "channels"],
        }
        for camera, size in CAMERAS.items()
    }
    features["observation.state"] = {"dtype": "float32", "shape": (8,), "names": None}
    features["action"] = {"dtype": "float32", "shape": (7,), "names": None}
    features["next.reward"] = {"dtype": "float32", "shape": (1,), "names": None}
    dataset = LeRobotDataset.create(
        "samples/tiny",
        FPS,
        features=features,
        root=out,
        robot_type="panda",
        use_videos=kind == "video",
    )
    for episode, length in enumerate(LENGTHS):
        for frame in range(length):
            values = {f"observation.images.{c}": image(c, episode, frame) for c in CAMERAS}
            values["observation.state"] = state(episode, frame)
            values["action"] = action(episode, frame)
            values["next.reward"] = np.array([frame], np.float32)
            if lerobot.__version__ < "0.4":
                dataset.add_frame(values, task=TASKS[episode])
            else:
                dataset.add_frame({**values, "task": TASKS[episode]})
        dataset.save_episode()
    if hasattr(dataset, "finalize"):
        dataset.finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
