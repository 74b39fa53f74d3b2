"""Copies of datasets, for commands that write beside the dataset they are given."""

import shutil
from pathlib import Path


def copied(root: Path, workdir: Path) -> Path:
    """Copies a dataset to `<workdir>/<name of its folder>` and returns that.

    What lies there already, such as an earlier run's masks, stays.

    Args:
        root: The dataset's folder.
        workdir: Folder of the copy.

    Raises:
        FileNotFoundError: There is no dataset.
    """
    return copy_dataset(root, workdir / root.name)


def copy_dataset(root: Path, to: Path) -> Path:
    """Copies a dataset to a folder and returns that; what lies there already stays.

    Args:
        root: The dataset's folder.
        to: Folder of the copy.

    Raises:
        FileNotFoundError: There is no dataset.
    """
    return Path(shutil.copytree(root, to, dirs_exist_ok=True))
