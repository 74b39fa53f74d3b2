"""Comparisons of policies whose shares are known."""

import csv
import dataclasses
import json

import pytest
from side_by_side.weighing import SIZE, Weighing, episode_of

from iss_jax.data.dataset import open_dataset
from iss_jax.data.folders_write import write_folders
from iss_jax.explain.donors import Donors
from iss_jax.jobs.directory import RunDirectory
from iss_jax.policies.donors import background
from iss_jax.side_by_side.frames import choose
from iss_jax.side_by_side.job import NUISANCE, compare
from iss_jax.side_by_side.options import CompareOptions

OPTIONS = CompareOptions(
    players="names",
    draws=3,
    fill="blur",
    donors=1,
    donors_from="",
    episodes=(),
    num_episodes=6,
    frames_per_episode=2,
    seed=0,
    confidence=0.95,
    resamples=99,
    quiet=True,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_folders(root / "six", [episode_of()] * 6)
    return open_dataset(root / "six")


def compared(tmp_path, dataset, a, b, options=OPTIONS):
    content = compare(RunDirectory(tmp_path), options, [lambda: a, lambda: b], ("a", "b"), dataset)
    return {row["player"]: row for row in content["compared"]}, content


def test_shares_and_their_difference_are_the_weights(dataset, tmp_path):
    rows, content = compared(tmp_path, dataset, Weighing((1, 1, 2)), Weighing((1, 2, 1)))
    assert {name: row["difference"] for name, row in rows.items()} == pytest.approx(
        {"robot": 0.0, "bowl": 0.25, "lamp": -0.25, NUISANCE: -0.25}, abs=1e-7
    )
    bowl = rows["bowl"]
    # Every frame says the same: what a draw changes in both cancels.
    assert bowl["share_a"] == pytest.approx(0.25) and bowl["share_b"] == pytest.approx(0.5)
    assert (bowl["low"], bowl["high"]) == pytest.approx((0.25, 0.25), abs=1e-6)
    assert bowl["stderr_of_draws"] < 1e-6
    assert (bowl["frames"], bowl["episodes"]) == (12, 6)
    assert content["says"].startswith(("b acts more on bowl than a", "b acts less on lamp than a"))
    with (tmp_path / "frames.csv").open(newline="") as file:
        frames = list(csv.DictReader(file))
    assert len(frames) == 12 * 4 and frames[0]["player"] == "robot"
    assert float(frames[3]["area"]) == 0.5 and frames[3]["player"] == NUISANCE
    assert json.loads((tmp_path / "results.json").read_text())["fill"] == "blur"
    assert (tmp_path / "figures/compared.png").read_bytes().startswith(b"\x89PNG")


def test_against_itself_every_difference_is_exactly_nothing(dataset, tmp_path):
    rows, content = compared(tmp_path, dataset, Weighing((1, 3, 2)), Weighing((1, 3, 2)))
    numbers = {(r["difference"], r["low"], r["high"], r["stderr_of_draws"]) for r in rows.values()}
    assert numbers == {(0, 0, 0, 0)}
    assert content["says"].startswith("No share differs")


def test_both_get_the_same_keys_and_donors_which_are_not_of_the_frame_itself(dataset, tmp_path):
    """Of two policies that differ, so that neither reads what was stored of the other."""
    bank = background(dataset, SIZE, Weighing().frame_options, most=2)
    donors = Donors("background", bank, dataset, "files")
    a, b = Weighing((1, 1, 2), bank=donors), Weighing((1, 2, 1))
    compared(tmp_path, dataset, a, b)
    assert len(a.asked) == len(b.asked) == 6 * 2
    assert [one["key"] for one in a.asked] == [one["key"] for one in b.asked]
    assert len({one["key"] for one in a.asked}) == 12
    for own in (a.asked, b.asked):
        assert all(one["bank"] is bank and one["fill"] == "background" for one in own)
        assert [one["groups"] for one in own] == [[[e], [0]] for e in range(6) for _ in range(2)]


@pytest.mark.parametrize("untested", ["a", "b"])
def test_a_player_that_donors_change_in_one_alone_is_not_compared(dataset, tmp_path, untested):
    moved = {"a": (1, 1, 1), "b": (1, 1, 1), untested: (1, 0, 1)}
    rows, _ = compared(
        tmp_path, dataset, Weighing(moved=moved["a"]), Weighing((1, 2, 1), moved=moved["b"])
    )
    assert {name: row["frames"] for name, row in rows.items()} == {
        "robot": 12,
        "bowl": 0,
        "lamp": 12,
        NUISANCE: 12,
    }


@pytest.mark.slow
def test_looks_are_of_their_own_episode_and_have_no_interval(dataset, tmp_path):
    options = dataclasses.replace(OPTIONS, players="looks", num_episodes=2)
    rows, _ = compared(tmp_path, dataset, Weighing((1, 2)), Weighing((2, 1)), options)
    looks = {name: row for name, row in rows.items() if name != NUISANCE}
    assert {name.split(":")[0] for name in looks} == {"episode 1", "episode 4"}
    assert all("wrist" in name and row["reason"] for name, row in looks.items())
    assert any(abs(row["difference"]) > 0.01 for row in looks.values())


def test_frames_without_an_effect_of_either_are_left_out(dataset, tmp_path):
    rows, _ = compared(tmp_path, dataset, Weighing(), Weighing((1, 2, 1), reason=1))
    assert {row["frames"] for row in rows.values()} == {0}
    assert rows["bowl"]["reason"].startswith("no frame shows it")


def test_policies_that_see_frames_at_other_sizes_are_refused(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"frame 0: b sees it at another size.*serve both"):
        compared(tmp_path, dataset, Weighing(), Weighing(seen_size=16))


def test_episodes_are_spread_or_named(dataset):
    assert [
        one.episode for one in choose(dataset, dataclasses.replace(OPTIONS, num_episodes=3))
    ] == [1, 3, 5]
    named = dataclasses.replace(OPTIONS, episodes=(4, 0), frames_per_episode=1)
    assert [tuple(one) for one in choose(dataset, named)] == [(4, [1]), (0, [1])]
    twice = dataclasses.replace(OPTIONS, episodes=(3, 1, 3))
    with pytest.raises(ValueError, match=r"--episodes: \[3\] named more than once in \[3, 1, 3\]"):
        choose(dataset, twice)
    with pytest.raises(ValueError, match=r"--episodes: \[7\] given, .* has 0 to 5"):
        choose(dataset, dataclasses.replace(OPTIONS, episodes=(7,)))
    with pytest.raises(ValueError, match=r"config\.players: empty"):
        dataclasses.replace(OPTIONS, players="")
