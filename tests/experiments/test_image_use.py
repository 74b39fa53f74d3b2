"""What cannot be answered is said before anything is computed, and one's own data has a variant."""

from pathlib import Path

import pytest

from configs.image_use import get_config
from experiments.image_use import main

ONE_TASK = str(Path(__file__).parents[2] / "docs" / "episodes" / "whole")


def test_frames_of_one_task_alone_have_no_donors_of_others(tmp_path):
    config = get_config("smoke")
    config.dataset = config.donors_from = ONE_TASK
    config.success = ""
    with pytest.raises(ValueError, match=r"donors_from: frames of other tasks .*\(one task: no"):
        main(config, tmp_path)


def test_ones_own_policy_and_dataset_have_to_be_given(tmp_path):
    with pytest.raises(ValueError, match=r"dataset"):
        main(get_config("own"), tmp_path)


def test_a_dataset_of_ones_own_has_no_episodes_of_ours():
    assert len(get_config().episodes) == 16 and get_config("own").episodes == ()
