import ml_collections
import numpy as np
import pytest
from zoo_scene import frames

from configs.parts.zoo import measure_keys
from experiments.zoo import measures
from experiments.zoo.design import design
from experiments.zoo.lessons import teacher_answers
from iss_jax import embedded
from iss_jax.jobs.directory import open_run
from iss_jax.policies.restored import load_policy


@pytest.fixture(scope="module")
def policy():
    return load_policy(embedded.checkpoint_path())


def test_every_part_is_measured_once(policy, tmp_path, monkeypatch):
    computed = []

    def by_chunks(subject, part):
        computed.append(part)
        return {"values": {"x": [0.5, float("nan"), 0.7]}, "seconds": 1.0, "inferences": 8}

    monkeypatch.setattr(measures, "_by_chunks", by_chunks)
    monkeypatch.setattr(measures, "_loss", lambda *given: by_chunks(None, "loss"))
    run = open_run(tmp_path, ml_collections.ConfigDict({"name": "zoo"}))
    how = (policy, frames(4), np.zeros((4, 10, 1, 16, 7)), measure_keys())
    first = measures.measured(run, design()[0], *how)
    assert [part["part"] for part in first] == list(measures.PARTS) and len(computed) == 5
    again = measures.measured(run, design()[0], *how)
    assert len(computed) == 5
    assert measures.measure_rows(1, again) == measures.measure_rows(1, first)
    # Another recipe sees other cues in the same frames.
    measures.measured(run, design()[1], *how)
    assert len(computed) == 10


def test_a_share_is_of_all_things():
    effects = np.array([[1.0, 3.0], [0.0, 0.0]])
    assert measures._share(effects[:, 0], effects).tolist() == [0.25, 0.0]


def test_the_teachers_answers_are_kept(policy, tmp_path, monkeypatch):
    asked = []

    def answers(teacher, given, **options):
        asked.append((len(given), options["draws"], sorted(given[0].images)))
        return np.full((len(given), 10, 2, 16, 7), 0.5, np.float32)

    monkeypatch.setattr("experiments.zoo.lessons.answers", answers)
    options = ml_collections.ConfigDict(
        {"draws": 2, "teacher_steps": 4, "max_token_len": 40, "action_horizon": 16}
    )
    found = [teacher_answers(policy, frames(), options, tmp_path) for _ in range(2)]
    np.testing.assert_array_equal(*found)
    views = ["base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"]
    assert asked == [(2, 2, views)]
    options.draws = 1
    teacher_answers(policy, frames(), options, tmp_path)
    assert len(asked) == 2
