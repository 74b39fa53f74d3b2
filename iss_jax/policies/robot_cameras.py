"""Which cameras of a dataset are those of a robot."""

import re
from collections.abc import Collection, Mapping


def last_part(camera: str) -> str:
    """What stands behind the last dot or slash of a camera's name.

    >>> last_part("observation.images.front"), last_part("observation/image"), last_part("wrist")
    ('front', 'image', 'wrist')
    """
    return re.split(r"[./]", camera)[-1]


def matched(cameras: Mapping[str, str], there: Collection[str]) -> dict[str, str]:
    """View -> camera of a dataset: by its exact name, else by the last part of it.

    >>> matched({"base_0_rgb": "observation/image"}, ["observation.images.image", "wrist_image"])
    {'base_0_rgb': 'observation.images.image'}

    Args:
        cameras: View -> key of the robot's dict.
        there: The dataset's cameras. Two of the same last part are none.

    Returns:
        The views whose camera is found, in the order of `cameras`.
    """
    found = {}
    for view, wanted in cameras.items():
        alike = [camera for camera in there if last_part(camera) == last_part(wanted)]
        if wanted in there:
            found[view] = wanted
        elif len(alike) == 1:
            found[view] = alike[0]
    return found
