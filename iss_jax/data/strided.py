"""Which frames of an episode are taken: every s-th, and no more than wanted."""

import numpy as np


def strided_frames(length: int, stride: int, most: int) -> list[int]:
    """Frames 0, stride, 2 stride, ... of an episode.

    Args:
        length: frames of the episode.
        stride: the paper's temporal stride s.
        most: when there are more than this, that many of them, evenly spread; 0 for no limit.
    """
    frames = np.arange(0, length, stride)
    if most and len(frames) > most:
        frames = frames[((np.arange(most) + 0.5) * len(frames) / most).astype(int)]
    return frames.tolist()
