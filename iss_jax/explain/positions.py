"""Does a dataset's state begin with the position of the hand, which can be drawn as a path?"""

import re

from iss_jax.data.dataset import Dataset

# As recorders call one coordinate: x, ee.x, eef_pos_x, eef_pos_0, tcp_pose.position.x.
_HAND = r"(?:eef|ee|tcp|hand|gripper|end_?effector|cartesian)[\w.]*"
_COORDINATE = re.compile(
    rf"(?:{_HAND}[._])?(?:pos(?:ition)?[._]?)?([xyz])|{_HAND}pos(?:ition)?[._]([012])"
)
_AXES = {"0": "x", "1": "y", "2": "z"}


def begins_with_position(dataset: Dataset, index: int) -> bool:
    """Whether an episode's states begin with x, y and z of the end effector.

    They are where the dataset's names of them say so, and in episodes of LIBERO's suites as they
    are recorded here, whose states have eight numbers: position, axis and angle, two fingers. Where
    nothing says so they may be joints.

    >>> from iss_jax import embedded
    >>> from iss_jax.data.dataset import open_dataset
    >>> begins_with_position(open_dataset(embedded.episodes_path()), 0)
    True

    Args:
        dataset: Of the episode.
        index: Of the episode in it.
    """
    names = dataset.state_names
    if names:
        return named_position(names)
    suite = str(dataset.metadata(index).get("suite", ""))
    return dataset.state_size == 8 and suite.startswith("libero")


def named_position(names: tuple[str, ...]) -> bool:
    """Whether the first three names are those of a position's coordinates.

    >>> named_position(("eef_pos_x", "eef_pos_y", "eef_pos_z", "gripper"))
    True
    >>> named_position(("joint_pos_0", "joint_pos_1", "joint_pos_2"))
    False

    Args:
        names: Of the numbers of a state, in order.
    """
    found = [_COORDINATE.fullmatch(name.lower()) for name in names[:3]]
    axes = [one[1] or _AXES[one[2]] for one in found if one is not None]
    return axes == ["x", "y", "z"]
