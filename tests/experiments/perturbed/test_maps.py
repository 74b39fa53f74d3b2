"""Robustness, fidelity and the grid of perturbations on a tiny policy, and their parts."""

import csv
import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_policy
from traces import traced_at_most

from configs import (
    fidelity as fidelity_config,
    perturbation_grid as grid_config,
    robustness as robustness_config,
)
from configs.parts.perturbed_frames import VARIANTS
from experiments import fidelity, perturbation_grid, robustness
from experiments.perturbed import maps as perturbed_maps
from experiments.perturbed.fidelity_figure import fidelity_bars
from experiments.perturbed.items import METHODS, episode_lines, load_inputs, work_item
from experiments.perturbed.maps import explained_copies, measure, similarities
from experiments.perturbed.robustness_figure import robustness_figure
from iss_jax import saliency
from iss_jax.data.lerobot import write_episode
from iss_jax.jobs.directory import jsonable
from iss_jax.jobs.options import from_config
from iss_jax.masked_runs import draw_masks
from iss_jax.sampling import Sampling

SPLITS = {"milk": "seen", "soup": "near", "ham": "seen"}
SEEDS = (0, 13)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A checkpoint and episodes of three tasks under two seeds."""
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    for task, split in SPLITS.items():
        for seed in reversed(SEEDS):
            episode = tiny_policy.episode(3, task=task, split=split, seed=seed)
            write_episode(root / "episodes", episode)
    return root


def _config(module, inputs):
    config = module.get_config("smoke")
    config.checkpoint, config.dataset = str(inputs / "checkpoint"), str(inputs / "episodes")
    config.cameras.right_wrist_0_rgb = ""
    config.quiet = True
    config.action_horizon, config.num_steps = 4, 2
    return config


@pytest.fixture(scope="module")
def robust(inputs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("robustness")
    # One program for the selection and one for the comparison, whatever the episodes.
    with traced_at_most(2, perturbed_maps, "preprocess"):
        content = robustness.main(_config(robustness_config, inputs), workdir)
    return workdir, content


@pytest.fixture(scope="module")
def faithful(inputs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("fidelity")
    config = _config(fidelity_config, inputs)
    config.methods = ("iss", "norm")
    return workdir, fidelity.main(config, workdir)


@pytest.fixture(scope="module")
def parts(inputs):
    options = from_config(_config(robustness_config, inputs), robustness.Options)
    return options, load_inputs(options)


def _csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_similarity_in_closed_form():
    valid = {view: np.ones((3, 1, 2), bool) for view in ("a", "b")}
    maps = {"a": np.array([[[1.0, 0]], [[2, 0]], [[0, 1]]]), "b": np.zeros((3, 1, 2))}
    cosine, pearson = similarities(maps, valid)
    np.testing.assert_allclose(cosine, [1, 0], atol=1e-12)
    # One of four pixels lit each: r = (0 − 1/16) / (3/16).
    np.testing.assert_allclose(pearson, [1, -1 / 3], atol=1e-12)
    raised = {view: scores + 9 for view, scores in maps.items()}
    np.testing.assert_allclose(similarities(raised, valid)[1], pearson, atol=1e-12)
    assert similarities(raised, valid)[0][1] > 0.99
    # Without the only pixel that is lit there is nothing to compare.
    valid["a"] = np.zeros((3, 1, 2), bool)
    assert np.isnan(similarities(maps, valid)[0]).all()


@pytest.mark.slow
def test_an_unchanged_copy_has_the_same_actions_and_maps(parts):
    options, loaded = parts
    line = episode_lines(options, loaded.dataset)[0]
    item = work_item("test", options, loaded, line, [("noise", 0.0)])
    assert item["frames"] == [1]
    found = measure(item, loaded)
    # Two rows of one batch may be rounded differently, and a pixel at the threshold with them.
    np.testing.assert_allclose(found["action_error"], [[0.0]], atol=1e-12)
    for method in ("iss", "attention", "norm", "gradient", "random_same"):
        np.testing.assert_allclose(found["cosine"][method], 1, atol=1e-6, err_msg=method)
        np.testing.assert_allclose(found["pearson"][method], 1, atol=1e-3, err_msg=method)
        np.testing.assert_allclose(*found["nmr"][method][0], atol=0.01, err_msg=method)
    for method in ("iss_new_masks", "random"):
        assert found["pearson"][method][0] < 0.9
    assert 0 < found["area"][0] < 1


def test_maps_and_actions_are_those_of_the_library(parts):
    options, loaded = parts
    line = episode_lines(options, loaded.dataset)[0]
    item = work_item("test", options, loaded, line, [("noise", 1.0)])
    copies, explained = explained_copies(item, 1, jax.random.key(3), loaded)
    noise_key, mask_key, *_ = jax.random.split(
        jax.random.split(jax.random.fold_in(jax.random.key(3), 1))[1], 5
    )
    noise = jnp.broadcast_to(jax.random.normal(noise_key, (1, 1, 4, 7)), (2, 1, 4, 7))[:, 0]
    masks = draw_masks(mask_key, 3, loaded.iss)
    expected = saliency(
        loaded.policy.params,
        copies.seen.obs,
        config=loaded.iss,
        masks=masks,
        noise=noise,
        sampling=Sampling(2),
    )
    for view, scores in explained.maps["iss"].items():
        np.testing.assert_allclose(scores, expected.maps[view], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(explained.actions, expected.actions, rtol=1e-4, atol=1e-5)
    assert np.ptp(explained.actions, axis=0).max() > 1e-3
    # What the test above takes for none is far less.
    assert np.square(explained.actions[1] - explained.actions[0]).mean() > 1e-7
    assert set(explained.maps) == set(METHODS)


def test_copies_differ_where_the_region_is_and_nowhere_else(parts):
    options, loaded = parts
    line = episode_lines(options, loaded.dataset)[0]
    pairs = [("noise", 1.0), ("noise", 1.0), ("texture", 0.5)]
    episode = loaded.dataset.read(line["index"], [2])
    for region in ("nuisance", "all"):
        item = work_item("test", options, loaded, line, pairs, region=region)
        copies = perturbed_maps.read_copies(item, 2, jax.random.key(0), loaded)
        for camera, images in copies.images.items():
            assert images.shape[0] == 4 and images.dtype == np.uint8
            np.testing.assert_array_equal(images[0], episode.images[camera][0])
            changed = (images[1:] != images[0]).any(axis=-1)
            inside = (episode.regions[camera][0] == 0) | (region == "all")
            assert not changed[:, ~inside].any() and changed[:, inside].mean() > 0.9
            assert (images[1] != images[2]).any()


def test_robustness_reports_the_least_moved_episodes(robust, parts):
    workdir, content = robust
    rows = _csv(workdir / "results.csv")
    full = [float(row["full_noise_action_error"]) for row in rows]
    assert len(rows) == 6 and full == sorted(full) and len(set(full)) == 6
    assert [int(row["rank"]) for row in rows] == list(range(6))
    assert {(row["task"], int(row["seed"])) for row in rows} == {
        (task, seed) for task in SPLITS for seed in SEEDS
    }
    half, everything = content["shares"]
    assert (half["episodes"], everything["episodes"], everything["tasks"]) == (3, 6, 3)
    for share in (half, everything):
        own = rows[: share["episodes"]]
        assert share["action_error"]["value"] == pytest.approx(
            np.mean([float(row["action_error"]) for row in own])
        )
        assert set(share["methods"]) == set(METHODS)
        for method, found in share["methods"].items():
            for kind in ("cosine", "pearson", "nmr", "nmr_noisy"):
                values = [float(row[f"{method}_{kind}"]) for row in own]
                assert found[kind]["value"] == pytest.approx(np.mean(values))
    low, high = (everything["action_error"][end] for end in ("low", "high"))
    # Of three tasks there is no interval.
    assert np.isnan([low, high]).all()
    assert json.loads((workdir / "results.json").read_text())["episodes"] == 6
    assert (workdir / "figures/robustness.png").read_bytes().startswith(b"\x89PNG")
    figure = robustness_figure(content["shares"], METHODS)
    assert figure.axes[0].get_xlim()[0] > figure.axes[0].get_xlim()[1]
    # Of all six episodes the mean full-frame error is that of the selection's own items.
    options, loaded = parts
    line = episode_lines(options, loaded.dataset)[0]
    item = work_item(
        "robustness, selection",
        *(options, loaded, line, [("noise", 1.0)] * 2),
        region="all",
        methods=(),
    )
    error = np.mean(measure(item, loaded)["action_error"])
    assert float(f"{error:.6g}") == pytest.approx(
        next(f for f, row in zip(full, rows, strict=True) if int(row["episode"]) == line["index"]),
        rel=1e-4,
    )


@pytest.mark.slow
def test_fidelity_correlates_changes_of_maps_and_actions(faithful):
    workdir, content = faithful
    rows = _csv(workdir / "results.csv")
    assert len(rows) == 6 * 3 and content["tasks"] == 3
    found = content["correlations"]
    counts = {"seen": 4, "unseen": None, "all": 6}  # two episodes are too few to correlate
    assert {e["split"]: e["n"] for e in found} == {s: n for s, n in counts.items() if n}
    assert len(found) == 2 * 3 * 2 * 2 * 2  # splits, perturbations, methods, changes, kinds
    for entry in found:
        own = [
            row
            for row in rows
            if row["perturbation"] == entry["perturbation"]
            and (entry["split"] == "all" or SPLITS[row["task"]] == "seen")
        ]
        x = [float(row[f"{entry['method']}_{entry['change']}_change"]) for row in own]
        y = [float(row["action_error"]) for row in own]
        if entry["kind"] == "pearson":
            assert entry["r"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-4)
        assert entry["clusters"] == len({row["task"] for row in own})
    for name in ("fidelity.png", "fidelity_grid.png"):
        assert (workdir / "figures" / name).read_bytes().startswith(b"\x89PNG")
    figure = fidelity_bars(found, METHODS)
    heights = sorted(patch.get_height() for patch in figure.axes[0].patches)
    wanted = ("pearson", "all", "cosine")
    assert heights == pytest.approx(
        sorted(e["r"] for e in found if (e["kind"], e["split"], e["change"]) == wanted)
    )


def test_a_finished_run_computes_nothing(robust, inputs, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(robustness, "measure", refuse)
    workdir, content = robust
    config = _config(robustness_config, inputs)
    assert json.dumps(jsonable(robustness.main(config, workdir))) == json.dumps(jsonable(content))
    config.seed = 1
    with pytest.raises(AssertionError, match="computed again"):
        robustness.main(config, workdir)


def test_the_grid_has_a_panel_for_each_perturbation(inputs, faithful, tmp_path):
    config = _config(grid_config, inputs)
    # Two methods and four rows are fidelity's program, which is compiled already.
    config.episode, config.methods = 2, ("iss", "norm")
    config.perturbations = ("noise", "geometric", "patch")
    with traced_at_most(0, perturbed_maps, "preprocess"):
        rows = perturbation_grid.main(config, tmp_path)
    assert [row["perturbation"] for row in rows] == [
        "none",
        "noise",
        "geometric",
        "patch",
    ]
    assert rows[0]["action_error"] == 0 and all(row["action_error"] > 0 for row in rows[1:])
    assert {name for name in rows[0] if name.startswith("nmr")} == {
        "nmr",
        "nmr in base_0_rgb",
        "nmr in left_wrist_0_rgb",
    }
    assert len(_csv(tmp_path / "results.csv")) == 4
    assert (tmp_path / "figures/perturbations.jpg").read_bytes().startswith(b"\xff\xd8")


def test_episodes_come_in_one_order_in_every_task(parts):
    options, (_, _, dataset) = parts
    lines = episode_lines(options, dataset)
    assert [(line["split"], line["task"], line["seed"]) for line in lines] == [
        *(("seen", task, seed) for task in ("ham", "milk") for seed in SEEDS),
        *(("near", "soup", seed) for seed in SEEDS),
    ]
    fewer = dataclasses.replace(options, num_tasks=1, seeds=(13,))
    assert [line["task"] for line in episode_lines(fewer, dataset)] == ["milk"]
    with pytest.raises(ValueError, match=r"no episode of the seeds \[5\]"):
        episode_lines(dataclasses.replace(options, seeds=(5,)), dataset)
    with pytest.raises(ValueError, match=r"episode 0 lacks the metadata \['attempt'\]"):
        episode_lines(dataclasses.replace(options, seed_key="attempt"), dataset)


def test_what_does_not_fit_is_named(inputs, tmp_path):
    for module, main, key, value, message in (
        (robustness_config, robustness.main, "methods", ("iss", "lime"), "config.methods: .*lime"),
        (robustness_config, robustness.main, "shares", (0.0,), r"config.shares: \(0.0,\) given"),
        (fidelity_config, fidelity.main, "perturbations", ("rain",), "config.perturbations.*rain"),
        (fidelity_config, fidelity.main, "stride", 0, "config.stride: 0 given, at least 1"),
        (grid_config, perturbation_grid.main, "episode", 99, "config.episode: 99 given"),
        (grid_config, perturbation_grid.main, "region", "sky", "config.region: 'sky' given"),
    ):
        config = _config(module, inputs)
        config[key] = value
        with pytest.raises(ValueError, match=message):
            main(config, tmp_path / "never")
    assert not (tmp_path / "never").exists()
    with pytest.raises(ValueError, match="no images of"):
        config = _config(fidelity_config, inputs)
        config.cameras.right_wrist_0_rgb = "overhead"
        fidelity.main(config, tmp_path)


@pytest.mark.parametrize("module", [robustness_config, fidelity_config, grid_config])
def test_every_variant_is_read(module):
    options = {
        robustness_config: robustness.Options,
        fidelity_config: fidelity.Options,
        grid_config: perturbation_grid.Options,
    }[module]
    for variant in VARIANTS:
        found = from_config(module.get_config(variant), options)
        assert found.iss_config(7).action_dims == 7
    assert found.iss["estimator"] == "fixed" and found.iss["design"] == "bernoulli"
    with pytest.raises(ValueError, match="variant 'huge' given"):
        module.get_config("huge")
