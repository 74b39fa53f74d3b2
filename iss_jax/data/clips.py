"""Where episodes lie in the videos that many share, and which of those places cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from iss_jax.data.lerobot_info import Clip
from iss_jax.data.video import TOLERANCE


def clip_faults(
    clips: Sequence[Clip], lengths: Sequence[int], numbers: Sequence[int], fps: float
) -> list[str]:
    """What is wrong with where each episode begins, empty where nothing is.

    An episode that began a frame late would be shown with the first picture of the next one. It
    reaches into the next one, or is the first of its video and does not begin at zero. Deleted
    episodes leave their pictures, so after a gap in the numbers an episode may begin anywhere.

    Args:
        clips: The places, in the order of the numbers.
        lengths: Frames of the episodes.
        numbers: Their numbers.
        fps: Frames a second.
    """
    slack = TOLERANCE / fps
    faults = []
    for place, clip in enumerate(clips):
        before = place - 1 if place and clips[place - 1].path == clip.path else None
        after = place + 1 if place + 1 < len(clips) and clips[place + 1].path == clip.path else None
        follows = numbers[place] == (numbers[place - 1] + 1 if place else 0)
        begin = 0.0 if before is None else clips[before].start + lengths[before] / fps
        end = clip.start + lengths[place] / fps
        fault = ""
        if before is None and follows and clip.start > slack:
            fault = f"begins at {clip.start:.4f} s, though no episode is before it"
        elif clip.start < begin - slack and not faults[place - 1]:
            fault = f"begins at {clip.start:.4f} s, before the last episode ends at {begin:.4f} s"
        elif after is not None and end > clips[after].start + slack and clip.start > begin + slack:
            fault = f"ends at {end:.4f} s, after the next one begins at {clips[after].start:.4f} s"
        elif before is not None and faults[before] and abs(clip.start - begin) <= slack:
            fault = f"begins at {clip.start:.4f} s, right after an episode that is misplaced"
        faults.append(fault)
    return faults
