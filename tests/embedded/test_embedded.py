"""What ships with the package is there, is consistent, and is what the main job needs."""

import collections
import csv
import json
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from command_line import smoke

from experiments.inputs import acting as live_policy
from iss_jax import embedded
from iss_jax.data.dataset import open_dataset
from iss_jax.data.success import read_success
from iss_jax.envs.benchmarks import STUDY
from iss_jax.envs.instances import object_names
from iss_jax.nmr import Region
from iss_jax.pi05 import params as P
from iss_jax.pi05.checkpoint import restore_params
from iss_jax.pi05.normalize import load_norm_stats
from iss_jax.pi05.tokenizer import NUM_BINS, load_tokenizer
from iss_jax.policies.restored import checkpoint_folder, fingerprint

SPLITS = {"seen", "near", "far"}
TRIALS = pathlib.Path(__file__).parents[2] / "docs" / "study" / "trials.csv"


def test_a_part_that_is_not_installed_is_named():
    with pytest.raises(FileNotFoundError, match="lacks the embedded 'nothing'"):
        embedded._path("nothing")


def test_the_papers_table_is_a_file():
    assert embedded.paper_table3_path().is_file()


def test_the_checkpoint_is_a_pi05_that_can_see():
    params = restore_params(embedded.checkpoint_path())
    sizes = P.sizes_of(params)
    assert len(P.flatten(params)) == 51
    assert P.count(params) < 5_000_000
    assert sizes.image.image_size == 80 and sizes.action_dim == 7
    P.warn_if_constant(params)  # a warning is an error here
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in P.flatten(params).values())
    stats = load_norm_stats(embedded.checkpoint_path())
    assert (len(stats["state"].mean), len(stats["actions"].mean)) == (8, 7)


def test_every_state_bin_is_one_token():
    tokenizer = load_tokenizer(embedded.checkpoint_path() / "assets")
    pieces = {tokenizer.piece_to_id(f"▁{i}") for i in range(NUM_BINS)}
    assert len(pieces) == NUM_BINS and tokenizer.unk_id() not in pieces
    sizes = P.sizes_of(restore_params(embedded.checkpoint_path()))
    assert tokenizer.vocab_size() == sizes.vocab


def test_episodes_are_labelled_and_held_out():
    dataset = open_dataset(embedded.episodes_path())
    rows = set()
    for i in range(len(dataset)):
        line = dataset.metadata(i)
        rows.add((line["suite"], line["task"], line["split"], line["seed"]))
        # Below these numbers the training data has nothing.
        assert line["init_state"] < 25 and line["layout_seed"] < 10_000
    wanted = {(t.suite, t.name, t.split, seed) for t in STUDY for seed in (0, 13, 50, 77, 99)}
    assert rows == wanted and len(dataset) == len(wanted) == 205
    episode = dataset.read(0)
    assert set(episode.images) == set(episode.regions) == {"front", "overhead", "wrist"}
    for camera, labels in episode.regions.items():
        assert set(np.unique(labels)) <= {0, 1, 2}, camera
    front = episode.regions["front"]
    assert all(np.mean(front == label) > 0.01 for label in (0, 1, 2))


def _name(thing: str, names: set[str]) -> str:
    """What a scene calls LIBERO's `plate_2`, whether or not it has two plates."""
    kind = object_names([thing])[thing]
    return kind if kind in names else f"{kind} {thing.rpartition('_')[2]}"


def test_names_and_regions_of_every_embedded_pixel_agree():
    """Critical is what is robot, support what the task names and what carries it, else nuisance."""
    tasks = {(task.suite, task.name): task for task in STUDY}
    dataset = open_dataset(embedded.episodes_path())
    pixels, wrong, nothing, shown = 0, collections.Counter(), collections.Counter(), []
    for index in range(len(dataset)):
        line, episode = dataset.metadata(index), dataset.read(index)
        task, names = tasks[line["suite"], line["task"]], episode.instance_names
        number_of = {name: number for number, name in names.items()}
        things = [_name(thing, set(number_of)) for thing in task.objects]
        carrier = "floor" if task.surface == "floor" else "table"
        target = np.zeros(len(episode), int)
        for camera, regions in episode.regions.items():
            numbers = episode.instances[camera]
            critical = np.isin(numbers, [number_of[name] for name in ("robot", "gripper")])
            support = np.isin(numbers, [number_of[name] for name in (*things, carrier)])
            if carrier == "floor":
                # Of a floor only the part where the task places things is a work surface.
                support &= (numbers != number_of["floor"]) | (regions == Region.SUPPORT)
            expected = np.select([critical, support], [Region.ACTION, Region.SUPPORT])
            wrong[camera] += int((expected != regions).sum())
            # A ray past the floor's end meets nothing.
            assert set(np.unique(numbers)) <= {0, *names}, line
            nothing[camera] += int((numbers == 0).sum())
            target += (numbers == number_of[things[0]]).sum((1, 2))
            pixels += regions.size
        shown.extend(target.tolist())
    assert pixels == 410 * 3 * 80 * 80
    assert wrong == {"front": 0, "overhead": 0, "wrist": 0}
    assert nothing == {"front": 0, "overhead": 0, "wrist": 40_680}
    # Some camera sees the thing that the task names first, in all frames but one.
    assert len(shown) == 410 and np.count_nonzero(shown) == 409
    assert np.median(shown) > 200


def test_every_episode_has_its_success():
    rows = read_success(embedded.success_path())
    known = {(row.suite, row.task, row.split, row.seed) for row in rows}
    dataset = open_dataset(embedded.episodes_path())
    for i in range(len(dataset)):
        line = dataset.metadata(i)
        assert (line["suite"], line["task"], line["split"], line["seed"]) in known
    assert {row.split for row in rows} >= SPLITS


def test_its_success_adds_up_the_trials_of_the_study():
    """Trial by trial they are this policy's, each once, of as many as there are."""
    total = collections.defaultdict(lambda: [0, 0])
    with TRIALS.open(newline="") as file:
        trials = list(csv.DictReader(file))
    for row in trials:
        key = (row["suite"], row["task"], row["split"], int(row["seed"]))
        total[key][0] += 1
        total[key][1] += int(row["success"])
    numbered = {(*map(row.get, ("suite", "task", "split", "seed", "trial")),) for row in trials}
    assert len(numbered) == len(trials)
    assert {row["policy"] for row in trials} == {fingerprint(checkpoint_folder("embedded"))}
    rows = read_success(embedded.success_path())
    assert {(r.suite, r.task, r.split, r.seed): [r.trials, r.successes] for r in rows} == total


def test_the_policy_does_worse_without_its_images():
    """Both layouts: a higher rate with images than without, by Fisher's exact test."""
    rows = read_success(embedded.success_path())
    total = {
        split: np.sum([(r.successes, r.trials) for r in rows if r.split == split], axis=0)
        for split in {row.split for row in rows}
    }
    blind = {"seen": "seen_native_blurred", "seen_shuffled": "seen_shuffled_blurred"}
    for split, without in blind.items():
        table = [[won, trials - won] for won, trials in (total[split], total[without])]
        assert scipy.stats.fisher_exact(table, alternative="greater").pvalue < 1e-3


def test_the_policy_acts_on_a_frame_and_its_own_seed():
    policy = live_policy.make_policy("embedded", max_token_len=40, action_horizon=16)
    episode = open_dataset(embedded.episodes_path()).read(0, [1])
    observation = {
        "images": {camera: image[0] for camera, image in episode.images.items()},
        "state": episode.state[0],
        "prompt": episode.prompt,
        "seed": 3,
    }
    chunk = policy(observation)
    assert chunk.shape == (16, 7) and np.isfinite(chunk).all()
    # The gripper command is -1 or 1 in training; translations are at most 1.
    assert np.abs(chunk).max() < 3
    np.testing.assert_array_equal(policy(observation), chunk)
    assert np.abs(policy(observation | {"seed": 4}) - chunk).max() > 1e-4
    blank = {camera: np.full_like(i, 128) for camera, i in observation["images"].items()}
    assert np.abs(policy(observation | {"images": blank}) - chunk).max() > 0.05


@pytest.mark.slow
def test_the_main_job_runs_on_it(tmp_path):
    smoke("nmr_correlation", tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["frames"] == content["rows"] > 0
    assert (tmp_path / "figures" / "nmr_at_10.png").stat().st_size > 1000
