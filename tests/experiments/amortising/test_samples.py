"""Which episodes are learnt from, and how frames vary."""

import types

import numpy as np
import pytest
from tiny_policy import episode

from experiments.amortising.samples import moved, split, varied


class Listed:
    """Episodes of six tasks and three seeds."""

    root = "tiny"

    def __init__(self, tasks=6, seeds=3):
        self.about = [
            {"task": f"task {task}", "seed": seed} for task in range(tasks) for seed in range(seeds)
        ]

    def __len__(self):
        return len(self.about)

    def metadata(self, index):
        return self.about[index]


def test_a_new_task_has_no_episode_to_learn_from_and_new_episodes_have_another_seed():
    listed = Listed()
    found = split(listed, 3)
    assert sorted([*found.learning, *found.new_episodes, *found.new_tasks]) == list(range(18))

    def of(part, name):
        return {listed.metadata(index)[name] for index in part}

    assert of(found.new_tasks, "task") == {"task 2", "task 5"}
    assert not of(found.new_tasks, "task") & of(found.learning, "task")
    assert of(found.new_episodes, "task") == of(found.learning, "task")
    assert of(found.new_episodes, "seed") == {2} and of(found.learning, "seed") == {0, 1}


def test_what_cannot_be_split_is_said():
    with pytest.raises(ValueError, match="tiny: 6 episodes cannot be split, every 3-th task"):
        split(Listed(tasks=2), 3)


def test_a_moved_image_repeats_its_edge():
    image = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    found = moved(image, 1, -2)[0, :, :, 0]
    np.testing.assert_array_equal(found[1:, :2], image[0, :3, 2:, 0])
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[:, 3], found[:, 2])


def test_every_other_variation_is_moved_under_another_prompt():
    one = episode(1)
    item = types.MappingProxyType({"episode": 3, "frame": 1, "variations": 4, "shift": 3})
    found = varied(one, item, ["pick up the tea"])
    assert [x.prompt == one.prompt for x in found] == [True, False, True, False]
    same = [np.array_equal(x.images["front"], one.images["front"]) for x in found]
    assert same[0] and same[2] and not (same[1] and same[3])
    again = varied(one, item, ["pick up the tea"])
    np.testing.assert_array_equal(again[3].images["wrist"], found[3].images["wrist"])
