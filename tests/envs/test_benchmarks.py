"""The study's table of tasks, by itself and against the simulator."""

import collections

import numpy as np
import pytest

from iss_jax.envs import libero, regions, suites
from iss_jax.envs.benchmarks import SPLITS, STUDY


def test_the_paper_counts_of_tasks():
    assert collections.Counter(t.split for t in STUDY) == {"seen": 18, "near": 13, "far": 10}
    assert len({task.key for task in STUDY}) == 41
    suites = {split: {t.suite for t in STUDY if t.split == split} for split in SPLITS}
    assert suites["seen"] == {"libero_object", "libero_spatial"}
    assert all(s.endswith(("_swap", "_object")) for s in suites["near"] - {"libero_object"})
    assert suites["far"] == {"libero_goal", "libero_10"}
    for task in STUDY:
        assert task.max_steps in libero.MAX_STEPS.values()
        assert task.instruction.replace(" ", "_") in task.name
        assert not set(task.landmarks) & set(task.objects)
        # Those that say where by another thing than the plate or the table.
        where = task.instruction.partition(" and place")[0] if "spatial" in task.suite else ""
        told = [word for word in ("ramekin", "cookie", "stove") if word in where]
        assert len(told) == len(task.landmarks)
        assert all(any(word in name for name in task.landmarks) for word in told)
    assert sum(bool(task.landmarks) for task in STUDY) == 10


@pytest.mark.libero
def test_the_table_says_what_the_simulator_says():
    for suite in dict.fromkeys(task.suite for task in STUDY):
        languages = {task.name: task.language for task in suites.list_tasks(suite)}
        for task in STUDY:
            if task.suite == suite:
                assert languages[task.name] == task.instruction


@pytest.mark.libero
@pytest.mark.parametrize("suite", list(dict.fromkeys(task.suite for task in STUDY)))
def test_regions_of_a_task_of_each_suite(suite):
    """Robot and named objects are never nuisance, all else but the surface is; all is labelled."""
    task = next(task for task in STUDY if task.suite == suite)
    env = libero.make(suite, task.name, image_size=48)
    env.reset(0)
    assert env.surface == task.surface
    labels = env.observation().regions
    geoms = env._renderer.render(env.data)[1]
    shown = collections.Counter()
    for camera, ids in geoms.items():
        assert set(np.unique(labels[camera])) <= {0, 1, 2}
        for geom in np.unique(ids[ids >= 0]):
            body = env.model.body(env.model.geom_bodyid[geom]).name
            found = set(labels[camera][ids == geom].tolist())
            named = [name for name in task.objects if body == name or body.startswith(f"{name}_")]
            if body.startswith(regions.ROBOT_PREFIXES):
                assert found == {2}, body
                shown["robot"] += 1
            elif named:
                assert found == {1}, body
                shown[named[0]] += 1
            else:
                others = [o for o in (*env.objects, *env.fixtures) if o not in task.objects]
                if any(body == o or body.startswith(f"{o}_") for o in others):
                    assert found == {0}, body
    assert shown["robot"] and all(shown[name] for name in task.objects), shown

    env.count_as_support(task.landmarks)
    more = env.observation().regions
    for camera, ids in geoms.items():
        bodies = [env.model.body(i).name for i in env.model.geom_bodyid]
        marks = [any(b.startswith(name) for name in task.landmarks) for b in bodies]
        there = np.append(marks, False)[ids]
        np.testing.assert_array_equal(more[camera], np.where(there, 1, labels[camera]))
        shown["landmarks"] += int(there.sum())
    assert bool(shown["landmarks"]) == bool(task.landmarks)
    with pytest.raises(ValueError, match="'cup_9'"):
        env.count_as_support(("cup_9",))
