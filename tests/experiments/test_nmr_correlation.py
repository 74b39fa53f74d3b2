"""The main job end to end on a tiny policy, and its parts on cases with known answers."""

import csv
import dataclasses
import itertools
import json
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_policy
from traces import traced_at_most

from configs.nmr_correlation import VARIANTS, get_config
from experiments import nmr_correlation
from experiments.runs import versions
from iss_jax import nmr, saliency
from iss_jax.against_success import (
    items as nmr_items,
    measure as nmr_measure,
    measured as nmr_measured,
    report as nmr_report,
    rows as nmr_rows,
)
from iss_jax.against_success.items import choose_episodes, token_length
from iss_jax.against_success.options import Options
from iss_jax.against_success.report import short_names
from iss_jax.data import Episode
from iss_jax.data.beside import write_regions
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.data.regions import fit_regions
from iss_jax.data.strided import strided_frames
from iss_jax.data.success import Success, read_success, write_success
from iss_jax.jobs.directory import jsonable
from iss_jax.jobs.options import from_config
from iss_jax.masks import upsample
from iss_jax.pi05.inputs import make_observation
from iss_jax.policies.restored import fingerprint, load_policy
from iss_jax.sampling import Sampling

PROMPTS = {"milk": "pick up the milk", "soup": "pick up the soup", "door": "open the top door"}
SEEDS = (0, 13)
CAMERAS = {"front": (24, 32), "wrist": (32, 32)}


def _episode(seed, task, frames):
    rng = np.random.default_rng(seed)
    blocks = {c: rng.integers(0, 256, (frames, 4, 4, 3), np.uint8) for c in CAMERAS}
    images = {
        c: np.repeat(np.repeat(blocks[c], h // 4, 1), w // 4, 2) for c, (h, w) in CAMERAS.items()
    }
    regions = {c: rng.integers(0, 3, (frames, *size), np.uint8) for c, size in CAMERAS.items()}
    return Episode(
        images=images,
        regions=regions,
        state=rng.uniform(-1, 1, (frames, 8)).astype(np.float32),
        action=rng.uniform(-1, 1, (frames, 7)).astype(np.float32),
        prompt=PROMPTS[task],
        fps=10.0,
        metadata={"suite": "tiny", "task": task, "split": "native"},
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A checkpoint, a dataset of three tasks with two episodes each, and a success table."""
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint", list(PROMPTS.values()))
    for index, task in enumerate(PROMPTS):
        for episode in range(2):
            write_episode(root / "episodes", _episode(10 * index + episode, task, 5 + index))
    write_success(
        root / "success.csv",
        [
            Success(task, "tiny", "native", policy, seed, 10, 3 * index + (seed > 0) + policy)
            for policy in (0, 1)
            for index, task in enumerate(PROMPTS)
            for seed in SEEDS
        ],
    )
    return root


def _config(inputs):
    config = get_config("smoke")
    config.checkpoint = str(inputs / "checkpoint")
    config.dataset = str(inputs / "episodes")
    config.success = str(inputs / "success.csv")
    config.split_key, config.seed_key = "split", ""
    config.cameras.right_wrist_0_rgb = ""
    config.quiet = True
    config.num_tasks = 0
    config.episodes_per_task = 2
    config.frames_per_episode = 3
    config.stride = 2
    config.batch = 2
    config.action_horizon = 4
    config.num_steps = 2
    config.control_draws = 3
    config.overlay_rows = 2
    return config


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run")
    with traced_at_most(1, nmr_measure, "saliency"):
        content = nmr_correlation.main(_config(inputs), workdir)
    return workdir, content


def _text(content):
    return json.dumps(jsonable(content))


def _csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_writes_rows_correlations_and_figures(finished):
    workdir, content = finished
    rows = _csv(workdir / "results.csv")
    assert [(row["task"], int(row["seed"])) for row in rows] == [
        (task, seed) for task in PROMPTS for seed in SEEDS
    ]
    assert [float(row["success_rate"]) for row in rows] == [0.0, 0.1, 0.3, 0.4, 0.6, 0.7]
    assert {row["frames"] for row in rows} == {"6"}
    stored = json.loads((workdir / "results.json").read_text())
    assert (stored["rows"], stored["tasks"], stored["frames"]) == (6, 3, 36)
    assert stored["seeds"] == list(SEEDS)
    entry = next(e for e in stored["correlations"] if e["measure"] == "nmr@10")
    x = [float(row["nmr@10"]) for row in rows]
    y = [float(row["success_rate"]) for row in rows]
    assert entry["r"] == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert (entry["clusters"], entry["n"], entry["random"]["draws"]) == (3, 6, 3)
    assert content["iss"]["action_dims"] == 7
    for name in ("nmr_at_10.png", "nmr_at_k.png", "maps.png"):
        assert (workdir / "figures" / name).read_bytes().startswith(b"\x89PNG")
    config = json.loads((workdir / "config.json").read_text())
    assert config["iss"]["num_masks"] == 10
    assert len(list((workdir / "items").iterdir())) == 12


def test_the_gallery_shows_every_row_with_its_own_frames(inputs, finished):
    page = (finished[0] / "gallery.html").read_text()
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.S)
    assert found
    content = json.loads(found[1])
    rows = _csv(finished[0] / "results.csv")
    assert [point["y"] for point in content["points"]] == [float(r["success_rate"]) for r in rows]
    column = content["measures"].index("the paper's NMR@10")
    for point, row in zip(content["points"], rows, strict=True):
        assert row["task"] in point["name"] and f"seed {row['seed']}" in point["name"]
        assert point["values"][column] == pytest.approx(float(row["nmr@10"]))
        assert [list(frame) for frame in point["frames"]] == [["front", "wrist"]] * 2


def test_a_rows_nmr_is_that_of_the_public_functions(inputs, finished):
    """Task `soup` under seed 13, computed frame by frame without the experiment's program."""
    config = from_config(_config(inputs), Options)
    policy = load_policy(inputs / "checkpoint")
    dataset = open_dataset(inputs / "episodes")
    iss = config.iss_config(7)
    success = {("tiny", task, "native", s): None for task in PROMPTS for s in SEEDS}
    items = nmr_items.work_items(config, iss, dataset, policy, success)
    values, areas = [], []
    for item in items:
        if (item["task"], item["seed"]) != ("soup", 13):
            continue
        found = nmr_measured.compute(item, iss, dataset, policy)
        episode = dataset.read(item["episode"])
        for row, frame in enumerate(item["frames"]):
            regions, valid, scores = {}, {}, {}
            for view, camera in (("base_0_rgb", "front"), ("left_wrist_0_rgb", "wrist")):
                labels, inside = fit_regions(episode.regions[camera][frame], 32, 32)
                regions[view], valid[view] = jnp.asarray(labels), jnp.asarray(inside)
                scores[view] = upsample(jnp.asarray(found["cells"][row][len(scores)]), (32, 32))
                scores[view] = jnp.where(valid[view], scores[view], 0.0)
            values.append(nmr.nuisance_mass_ratio(scores, regions, 10, valid=valid))
            areas.append(nmr.chance_level(regions, valid=valid))
    row = next(
        r for r in _csv(finished[0] / "results.csv") if (r["task"], r["seed"]) == ("soup", "13")
    )
    assert len(values) == 6
    assert float(row["nmr@10"]) == pytest.approx(np.mean(values), abs=1e-6)
    assert float(row["chance"]) == pytest.approx(np.mean(areas), abs=1e-6)


def test_the_program_measures_the_librarys_saliency(inputs, finished):
    policy, options = load_policy(inputs / "checkpoint"), from_config(_config(inputs), Options)
    dataset = open_dataset(inputs / "episodes")
    episode = dataset.read(0, [0, 2])
    cameras = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": ""}
    obs = make_observation(
        episode.images,
        episode.state,
        [episode.prompt] * 2,
        tokenizer=policy.tokenizer,
        norm_stats=policy.norm_stats,
        max_token_len=token_length(options, dataset, policy),
        cameras=cameras,
    )
    views = ("base_0_rgb", "left_wrist_0_rgb")
    fitted = {view: fit_regions(episode.regions[cameras[view]], 32, 32) for view in views}
    regions = {view: labels for view, (labels, _) in fitted.items()}
    valid = {view: np.broadcast_to(inside, (2, 32, 32)) for view, (_, inside) in fitted.items()}
    sampling = {"config": options.iss_config(7), "action_horizon": 4, "sampling": Sampling(2)}
    # The very program of the run: nothing is compiled for it again.
    with traced_at_most(0, nmr_measure, "saliency"):
        found = nmr_measure.measure(
            policy.params,
            obs,
            regions,
            valid,
            jax.random.key(3),
            views=views,
            percents=options.percents,
            control_draws=options.control_draws,
            **sampling,
        )
    expected = saliency(policy.params, obs, key=jax.random.split(jax.random.key(3))[0], **sampling)
    np.testing.assert_allclose(found.cells, expected.cells[:, :2], rtol=1e-4, atol=1e-7)
    maps = {view: expected.maps[view] for view in views}
    np.testing.assert_allclose(
        found.mass_ratio, nmr.mass_ratio(maps, regions, valid=valid), rtol=1e-4
    )
    per_view = nmr.nuisance_mass_ratio(maps, regions, options.percents, valid=valid, per_view=True)
    for view in views:
        # A pixel at the threshold may fall on either side by rounding.
        np.testing.assert_allclose(found.view_nmr[view], per_view[view], atol=0.11)
        np.testing.assert_allclose(found.view_nmr[view][:, 1:], per_view[view][:, 1:], atol=0.03)
    assert np.std(found.cells) > 0


def test_a_second_run_computes_nothing_and_a_lost_item_only_itself(inputs, finished, monkeypatch):
    workdir, content = finished
    computed, compute = [], nmr_measured.compute

    def counted(item, *rest):
        computed.append((item["task"], item["seed"], item["episode"]))
        return compute(item, *rest)

    monkeypatch.setattr(nmr_measured, "compute", counted)
    before = (workdir / "results.json").read_bytes()
    assert _text(nmr_correlation.main(_config(inputs), workdir)) == _text(content)
    assert computed == []
    next((workdir / "items").iterdir()).unlink()
    nmr_correlation.main(_config(inputs), workdir)
    assert len(computed) == 1
    assert (workdir / "results.json").read_bytes() == before


def test_items_say_the_version_and_the_words_that_they_were_computed_with(inputs, finished):
    workdir, _ = finished
    stored = [json.loads(path.read_text()) for path in (workdir / "items").iterdir()]
    assert {one["version"] for one in stored} == {versions.MAPS}
    assert {one["item"]["prompts"][0] for one in stored} == set(PROMPTS.values())


def test_an_unreadable_item_is_named(inputs, finished):
    workdir, _ = finished
    path = next((workdir / "items").iterdir())
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=path.name):
        nmr_correlation.main(_config(inputs), workdir)
    path.write_bytes(content)


def test_what_is_missing_is_named(inputs, tmp_path):
    config = _config(inputs)
    config.seeds = (0, 14)
    with pytest.raises(ValueError, match=r"3 of 6 wanted rows.*'milk', 'native', 14"):
        nmr_correlation.main(config, tmp_path)
    config = _config(inputs)
    config.splits = ("shuffled",)
    with pytest.raises(ValueError, match="0 of 0 wanted rows"):
        nmr_correlation.main(config, tmp_path)
    config = _config(inputs)
    config.checkpoint = ""
    with pytest.raises(ValueError, match=r"--config\.checkpoint=<path>"):
        nmr_correlation.main(config, tmp_path)
    config = _config(inputs)
    config.cameras.right_wrist_0_rgb = "overhead"
    with pytest.raises(ValueError, match=r"episode 0: no images of \['overhead'\], only"):
        nmr_correlation.main(config, tmp_path)


def test_an_episode_without_a_task_is_named(tmp_path, inputs):
    episode = _episode(0, "milk", 3)
    write_episode(tmp_path, Episode(**{**vars(episode), "metadata": {"suite": "tiny"}}))
    with pytest.raises(ValueError, match=r"episode 0 lacks the metadata \['task', 'split'\]"):
        choose_episodes(from_config(_config(inputs), Options), open_dataset(tmp_path))


def test_success_is_joined_by_split_or_added_up_over_splits(inputs):
    rows = [
        Success("milk", "tiny", "native", 0, 13, 10, 4),
        Success("milk", "tiny", "shuffled", 0, 13, 30, 2),
        Success("milk", "tiny", "native", 1, 13, 10, 9),
    ]
    assert nmr_rows.join_success(rows, 0) == {
        ("tiny", "milk", "native", 13): rows[0],
        ("tiny", "milk", "shuffled", 13): rows[1],
    }
    assert nmr_rows.join_success(rows, 0, by_split=False) == {
        ("tiny", "milk", "all", 13): Success("milk", "tiny", "all", 0, 13, 40, 6)
    }
    config = _config(inputs)
    dataset = open_dataset(inputs / "episodes")
    config.split_key = ""
    assert choose_episodes(from_config(config, Options), dataset) == {
        ("tiny", task, "all"): [2 * i, 2 * i + 1] for i, task in enumerate(PROMPTS)
    }
    config.split_key = "task"
    config.num_tasks, config.episodes_per_task = 2, 1
    assert choose_episodes(from_config(config, Options), dataset) == {
        ("tiny", task, task): [2 * i, 2 * i + 1] for i, task in enumerate(["milk", "soup"])
    }


@pytest.mark.parametrize(
    ("length", "stride", "most", "frames"),
    [
        (10, 3, 0, [0, 3, 6, 9]),
        (10, 3, 4, [0, 3, 6, 9]),
        (10, 3, 2, [3, 9]),
        (100, 1, 4, [12, 37, 62, 87]),
        (1, 10, 3, [0]),
    ],
)
def test_strided_frames(length, stride, most, frames):
    assert strided_frames(length, stride, most) == frames


def test_fingerprint_changes_with_names_sizes_and_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    prints = {fingerprint(tmp_path)}
    (tmp_path / "a").write_bytes(b"2")
    prints.add(fingerprint(tmp_path))
    (tmp_path / "a").rename(tmp_path / "b")
    prints.add(fingerprint(tmp_path))
    assert len(prints) == 3


def _row(task, seed, rate, value, random):
    percents = (1, 10)
    return nmr_rows.Row(
        success=Success(task, "suite", "seen", 0, seed, 100, round(100 * rate)),
        episodes=1,
        frames=1,
        measures={nmr_rows.nmr_name(k): value for k in percents} | {"chance": 0.5},
        random=np.asarray(random)[:, None].repeat(2, 1),
    )


def test_correlations_of_a_perfect_measure_against_random_ones():
    rng = np.random.default_rng(0)
    rows = [
        _row(f"task {task}", seed, task / 10, 0.9 - task / 20, rng.random(200))
        for task in range(8)
        for seed in range(3)
    ]
    found = nmr_rows.correlations(rows, (1, 10), confidence=0.95, resamples=99, permutations=99)
    entries = {(e["measure"], e["kind"]): e for e in found}
    entry = entries["nmr@10", "pearson"]
    assert entry["r"] == pytest.approx(-1)
    assert entry["clusters"] == 8
    assert entry["p_value"] == pytest.approx(0.01)
    # 24 independent rows: r under random maps has a standard deviation of 1/sqrt(23) = 0.21.
    assert abs(entry["random"]["mean"]) < 4 * 0.21 / np.sqrt(200)
    assert -0.55 < entry["random"]["low"] < -0.25
    assert entry["random"]["at_most"] == 0
    assert np.isnan(entries["chance", "spearman"]["r"])


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(1)
    rows = [
        _row(f"task {task}", seed, rng.random(), rng.random(), rng.random(5))
        for task in range(6)
        for seed in range(3)
    ]
    options = {"confidence": 0.95, "resamples": 99, "permutations": 719}
    found = nmr_rows.correlations(rows, (1, 10), **options)
    again = nmr_rows.correlations([rows[i] for i in rng.permutation(18)], (1, 10), **options)
    for one, other in zip(found, again, strict=True):
        assert one["r"] == pytest.approx(other["r"], nan_ok=True)
        assert one["p_value"] == pytest.approx(other["p_value"], abs=0.05)


def test_frames_weigh_equally_and_frames_without_mass_are_left_out():
    def result(values, mass):
        values = np.asarray(values, float)[:, None]
        return {
            "nmr": values,
            "nmr_mass": [[m] for m in mass],
            "mass_ratio": mass,
            "chance": np.full(len(values), 0.25),
            "random_nmr": np.full((len(values), 2, 1), 0.5),
            "attention_nmr": values / 2,
            "norm_nmr": values / 4,
            "view_nmr": {"base_0_rgb": values + 1.0},
        }

    item = {"suite": "s", "task": "t", "split": "seen", "seed": 0}
    success = {("s", "t", "seen", 0): Success("t", "s", "seen", 0, 0, 4, 1)}
    results = [result([0.1, 0.2, 0.3], [0.5, None, 0.7]), result([1.0], [None])]
    (row,) = nmr_rows.make_rows([item, item], results, success, (10,))
    assert (row.episodes, row.frames) == (2, 4)
    assert row.measures["nmr@10"] == pytest.approx(0.4)
    assert row.measures["nmr_mass@10"] == pytest.approx(0.6)
    assert row.measures["excess@10"] == pytest.approx(0.15)
    assert row.measures["attention_nmr@10"] == pytest.approx(0.2)
    assert row.measures["norm_nmr@10"] == pytest.approx(0.1)
    assert row.measures["nmr@10 in base_0_rgb"] == pytest.approx(1.4)
    (line,) = nmr_rows.table([row], (10,))
    assert line["success_rate"] == 0.25
    assert line["random_nmr@10"] == 0.5


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["pick_up_the_milk_and_go", "pick_up_the_tea_box_and_go"], ["milk", "tea box"]),
        (["pick up the milk", "pick up the milk"], ["pick up the milk"] * 2),
        (["open it", "open it now"], ["open it", "open it now"]),
        (["reach", "push the door"], ["reach", "push the door"]),
    ],
)
def test_names_in_figures_are_what_distinguishes_the_tasks(names, short):
    assert short_names(names) == short


def test_episodes_with_seeds_are_measured_under_their_own_seed(inputs, tmp_path):
    for seed in SEEDS:
        for index, task in enumerate(PROMPTS):
            episode = _episode(100 * seed + index, task, 3)
            metadata = {**episode.metadata, "seed": seed}
            write_episode(tmp_path, dataclasses.replace(episode, metadata=metadata))
    config = _config(inputs)
    config.dataset, config.seed_key = str(tmp_path), "seed"
    options = from_config(config, Options)
    policy = load_policy(inputs / "checkpoint")
    rows = {(r.suite, r.task, r.split, r.seed): r for r in read_success(inputs / "success.csv")}
    items = nmr_items.work_items(
        options, options.iss_config(7), open_dataset(tmp_path), policy, rows
    )
    found = {(item["task"], item["seed"]): item["episode"] for item in items}
    assert len(items) == len(found) == 6
    assert found["milk", 0] == 0 and found["milk", 13] == 3 and found["door", 13] == 5


def test_partial_correlations_are_given_area_and_split(finished):
    _, content = finished
    by_name = {(e["measure"], e["kind"]): e for e in content["correlations"]}
    assert by_name["nmr@10", "pearson"]["partial"]["given"] == ["chance"]
    assert "partial" not in by_name["chance", "pearson"]
    assert "within_suites" not in by_name["nmr@10", "pearson"]
    assert ("attention_nmr@10", "spearman") in by_name


def test_within_suites_is_what_a_measure_tells_of_the_tasks_of_a_suite():
    """NMR rises from suite to suite as success does, and falls as it rises inside each."""
    rng = np.random.default_rng(0)
    rows = []
    for suite, task, seed in itertools.product(range(3), range(4), SEEDS):
        won = 8 * suite + task
        measures = {"nmr@10": 0.3 * suite - 0.05 * task + 0.01 * rng.normal(), "chance": 0.2}
        where = Success(f"task {task}", f"suite {suite}", "seen", 0, seed, 20, won)
        rows.append(nmr_rows.Row(where, 1, 1, measures, np.zeros((1, 1))))
    found = nmr_rows.correlations(rows, (10,), confidence=0.95, resamples=199, permutations=199)
    entry = found[0]
    assert entry["measure"] == "nmr@10" and entry["r"] > 0.8 and entry["partial"]["r"] > 0.8
    within = entry["within_suites"]
    assert within["given"] == ["chance", "suite is suite 1", "suite is suite 2"]
    assert within["r"] < -0.9 and within["p_value"] < 0.02


def test_success_varies_between_suites_and_inside_them():
    """Rates of 0, 0.2 in one suite, of 0.5, 0.9 in another: variances of 0.01, 0.04 and 0.09."""
    rates = {("a", "x"): 0.0, ("a", "y"): 0.2, ("b", "x"): 0.5, ("b", "y"): 0.9}
    rows = [
        nmr_rows.Row(
            Success(task, suite, "seen", 0, 0, 10, round(10 * rate)), 1, 1, {}, np.zeros(1)
        )
        for (suite, task), rate in rates.items()
    ]
    found = nmr_rows.success_variation(rows)
    assert found["between_suites"] == pytest.approx(0.09 / (0.09 + 0.025))
    assert found["within_suites"] == pytest.approx({"a": 0.2, "b": 0.8})
    (said,) = nmr_report.variation_lines(found)
    assert "\n78 % of what success varies" in said
    assert "the rest 80 % are inside b" in said
    # Of three equal rates of 0.1 the mean is another number.
    level = Success("x", "c", "seen", 0, 0, 10, 1)
    alike = [nmr_rows.Row(level, 1, 1, {}, np.zeros(1))] * 3
    assert np.mean([0.1] * 3) != 0.1
    assert nmr_rows.success_variation(alike) == {}
    apart = nmr_rows.success_variation([*alike, rows[3]])
    assert apart == {"between_suites": pytest.approx(1.0)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants(variant):
    config = get_config(variant)
    options = from_config(config, Options)
    assert options.percents == (1, 5, 10, 15, 20)
    iss = options.iss_config(8)
    assert (iss.keep_prob, iss.grid, iss.action_dims) == (0.3, (7, 7), 8)
    if variant == "paper":
        assert (iss.num_masks, iss.design, iss.estimator) == (100, "bernoulli", "fixed")
        assert (options.seeds, options.stride) == ((0, 13, 50, 77, 99), 10)
        assert options.success == "paper_table3"
    if variant == "full":
        assert strided_frames(7, options.stride, options.frames_per_episode) == list(range(7))


def test_unknown_variants_and_keys():
    with pytest.raises(ValueError, match="variant 'fast' given"):
        get_config("fast")
    config = get_config()
    config.lock()
    with pytest.raises(AttributeError, match="strides"):
        config.strides = 3
    config = get_config()
    config.batch = 0
    with pytest.raises(ValueError, match=r"config\.batch: 0 given"):
        from_config(config, Options)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["v3.0", "folders", "beside"])
def test_every_format_and_masks_beside_give_the_same_results(to, inputs, finished, tmp_path):
    source = open_dataset(inputs / "episodes")
    if to == "beside":
        for index in range(len(source)):
            episode = source.read(index)
            write_episode(tmp_path / "data", dataclasses.replace(episode, regions={}))
            write_regions(tmp_path / "data" / "regions", index, episode.regions)
    else:
        convert(source, tmp_path / "data", to)
    config = _config(inputs)
    config.dataset = str(tmp_path / "data")
    nmr_correlation.main(config, tmp_path / "run")
    found = (tmp_path / "run" / "results.csv").read_bytes()
    assert found == (finished[0] / "results.csv").read_bytes()


def test_too_few_rows_for_a_correlation_still_have_their_nmr(inputs, finished, tmp_path, capsys):
    shutil.copytree(finished[0] / "items", tmp_path / "items")
    config = _config(inputs)
    config.num_tasks, config.quiet = 1, False
    content = nmr_correlation.main(config, tmp_path)
    assert (content["rows"], content["correlations"]) == (2, [])
    assert len(_csv(tmp_path / "results.csv")) == 2
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["maps.png"]
    assert "three rows or more wanted" in capsys.readouterr().out
