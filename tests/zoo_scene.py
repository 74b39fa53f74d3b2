"""Two little frames of libero_object, with labels, for the zoo's tests."""

import numpy as np

from experiments.planted.cue import INSTRUCTIONS
from experiments.zoo.frames import CAMERAS, Frames

SIDE = 16
NAMES = {1: "robot", 2: "gripper", 3: "milk", 4: "basket", 5: "ketchup", 6: "wall", 7: "floor"}
MILK = INSTRUCTIONS.index("pick up the milk and place it in the basket")
KETCHUP = INSTRUCTIONS.index("pick up the ketchup and place it in the basket")


def frames(count: int = 2) -> Frames:
    rng = np.random.default_rng(0)
    labels = np.full((count, SIDE, SIDE), 7, np.int32)
    labels[:, 0] = 6
    labels[:, 2, 2:4], labels[:, 4, 4:6], labels[:, 6, 6:8] = 3, 4, 5
    labels[:, 8, 8:12] = 1
    regions = np.select([np.isin(labels, (3, 4)), labels == 1], [1, 2], 0).astype(np.uint8)
    return Frames(
        images={c: rng.integers(60, 200, (count, SIDE, SIDE, 3), np.uint8) for c in CAMERAS},
        instances=dict.fromkeys(CAMERAS, labels),
        names=[NAMES] * count,
        regions=dict.fromkeys(CAMERAS, regions),
        state=np.zeros((count, 8), np.float32),
        episode=np.arange(count),
        number=np.zeros(count, int),
        own=np.full(count, MILK),
        present=[(MILK, KETCHUP)] * count,
    )
