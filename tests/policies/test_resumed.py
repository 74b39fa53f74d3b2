"""Whose answers a file holds."""

from decimal import Decimal

import numpy as np
import pytest

from iss_jax.policies.resumed import Answers, is_same_policy

RUN = {"observation": {"state": [0.5], "front": np.zeros((2, 2, 3), np.uint8)}, "masks": np.eye(3)}


def chunks(count, seed=0):
    return [{"actions": one} for one in np.random.default_rng(seed).normal(size=(count, 2, 3))]


def stored(path, count=4, run=RUN, **metadata):
    answers = Answers(path, run, 4, lambda: metadata)
    answers.add(chunks(count), count)
    answers.save()
    return path


@pytest.mark.parametrize("rank", [1, 4, 21])
def test_the_same_policy_is_hardly_ever_refused_and_another_one_is(rank):
    """Noise of few or many directions, of very unequal scales: 400 resumed runs of each."""
    rng = np.random.default_rng(rank)
    directions = rng.normal(size=(rank, 21)) * np.logspace(0, -2, 21)
    draw = lambda n: (rng.normal(size=(n, rank)) @ directions).reshape(n, 3, 7)  # noqa: E731
    refused = sum(not is_same_policy(draw(8), draw(8)) for _ in range(400))
    # One in ten thousand each; ten times as many leave room for how rough the distribution is.
    assert refused <= 2
    spread = np.sqrt((directions**2).sum())
    away = np.zeros(21)
    away[0] = 6 * spread
    found = sum(is_same_policy(draw(8), draw(8) + away.reshape(3, 7)) for _ in range(50))
    assert found == 0


def test_answers_that_repeat_must_be_equal_to_the_bit():
    one = np.float32(np.random.default_rng(0).normal(size=(1, 2, 3)))
    many = np.repeat(one, 4, 0)
    assert is_same_policy(many, one) and is_same_policy(one, one)
    assert not is_same_policy(many, np.nextafter(one, np.float32(9)))
    assert not is_same_policy(one, np.nextafter(one, np.float32(9)))
    assert not is_same_policy(many, one[:, :1])


def test_a_file_is_read_back_and_named_where_it_is_anothers(tmp_path):
    path = stored(tmp_path / "a.npz", robot="toy")
    again = Answers(path, RUN, 4, dict)
    np.testing.assert_array_equal(
        again.actions(), np.float32([one["actions"] for one in chunks(4)])
    )
    for change, name in (
        ({"masks": np.eye(3) * 2}, "masks"),
        ({"masks": np.eye(3, dtype=np.float32)}, "masks"),
        ({"observation": {**RUN["observation"], "state": [0.6]}}, "observation"),
        ({"observation": RUN["observation"] | {"more": 1}}, "observation"),
        ({"options": 1}, "options"),
    ):
        with pytest.raises(ValueError, match=rf"a\.npz holds answers to another run \({name}\)"):
            Answers(path, RUN | change, 4, dict)


def test_what_is_no_array_has_a_digest_too(tmp_path):
    """An object's own bytes are its address, another one in every process."""
    seen = lambda: {"none": None, "list": [1, [2, "x"]], 1: Decimal("0.5")}  # noqa: E731
    path = stored(tmp_path / "a.npz", run={"observation": seen()})
    assert len(Answers(path, {"observation": seen()}, 4, dict)) == 4
    with pytest.raises(ValueError, match="another run"):
        Answers(path, {"observation": {**seen(), 1: Decimal("0.6")}}, 4, dict)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": None}, "of an earlier version"),
        ({"key": "{half"}, "cannot be read"),
        ({"key": "[]"}, "cannot be read"),
        ({"actions": None}, "cannot be read"),
        ({"actions": np.zeros((4, 2), np.float32)}, r"holds float32 \[4, 2\]"),
        ({"actions": np.full((4, 2, 3), np.nan, np.float32)}, "finite float32"),
        ({"actions": np.zeros((4, 2, 3))}, "holds float64"),
        ({"actions": np.array([object()])}, "cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path, change, message):
    path = stored(tmp_path / "a.npz")
    with np.load(path) as file:
        content = {"key": file["key"], "actions": file["actions"]} | change
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    with pytest.raises(ValueError, match=rf"a\.npz.*{message}"):
        Answers(path, RUN, 4, dict)


def test_nothing_is_asked_of_a_run_that_has_no_answers(tmp_path):
    Answers(tmp_path / "new.npz", RUN, 4, dict).check_who(lambda: pytest.fail("asked"))
    Answers(None, RUN, 4, dict).check_who(lambda: pytest.fail("asked"))


def test_the_metadata_of_a_server_are_compared_once_it_has_answered(tmp_path):
    path, known = stored(tmp_path / "a.npz", robot="toy", step=3), {}

    def ask():
        known.update(robot="toy", step=4)
        return chunks(1)[0]

    with pytest.raises(ValueError, match="whose metadata had another 'step'"):
        Answers(path, RUN, 4, lambda: known).check_who(ask)
