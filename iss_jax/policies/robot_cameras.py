"""Which cameras of a dataset are those of a robot."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from types import MappingProxyType


def last_part(camera: str) -> str:
    """What stands behind the last dot or slash of a camera's name.

    >>> last_part("observation.images.front"), last_part("observation/image"), last_part("wrist")
    ('front', 'image', 'wrist')
    """
    return re.split(r"[./]", camera)[-1]


def matched(
    cameras: Mapping[str, str],
    there: Collection[str],
    named: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """View -> camera of a dataset: by its exact name, else by the last part of it.

    No camera becomes two views by its last part: one that another view has by its exact name, or
    that two views want, is nobody's.

    >>> matched({"base_0_rgb": "observation/image"}, ["observation.images.image", "wrist_image"])
    {'base_0_rgb': 'observation.images.image'}
    >>> matched({"base_0_rgb": "base/image", "left_wrist_0_rgb": "wrist/image"}, ["images.image"])
    {}

    Args:
        cameras: View -> key of the robot's dict.
        there: The dataset's cameras. Two of the same last part are none.
        named: View -> camera of the views whose camera was said, which are not looked for.

    Returns:
        The views whose camera is found, in the order of `cameras`.
    """
    exact, alike = {}, {}
    for view in [view for view in cameras if view not in named]:
        wanted = cameras[view]
        parts = [camera for camera in there if last_part(camera) == last_part(wanted)]
        if wanted in there:
            exact[view] = wanted
        elif len(parts) == 1:
            alike[view] = parts[0]
    taken = Counter([*exact.values(), *alike.values(), *named.values()])
    found = exact | {view: camera for view, camera in alike.items() if taken[camera] == 1}
    return {view: found[view] for view in cameras if view in found}
