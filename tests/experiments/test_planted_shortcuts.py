"""The planted cue: its statistics, its pixels, the maps' shares and the report (no simulator)."""

import csv
import dataclasses
import importlib
import json
import pathlib
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import smoke

from experiments import planted_shortcuts
from experiments.making.panel_masks import FILE, read_masks, unpacked
from experiments.planted import (
    cue as planting,
    maps as planted_maps,
    report as planted_report,
    trials as planted_trials,
)
from experiments.planted.figure import planted_figure
from experiments.planted.maps import METHODS, Scenes, measure
from iss_jax import ISSConfig, embedded, nmr, saliency
from iss_jax.data import Episode
from iss_jax.envs.panels import paint
from iss_jax.policies.restored import load_policy
from iss_jax.sampling import Sampling

ROWS, COLUMNS = slice(0, 24), slice(2, 30)


def test_how_often_instruction_and_panel_name_the_wanted_object():
    n = 40_000
    wanted = np.random.default_rng(0).integers(10, size=n)
    for rho in (0.0, 0.5, 1.0):
        named, shown = planting.deal(wanted, rho, 0.25, np.random.default_rng(1))
        for found, expected in ((named, 0.75 + 0.025), (shown, rho + (1 - rho) / 10)):
            share = np.mean(found == wanted)
            assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / n)
        # Where they are wrong, they are wrong independently.
        both = np.mean((named == wanted) & (shown == wanted))
        product = np.mean(named == wanted) * np.mean(shown == wanted)
        assert abs(both - product) < 4 * 0.5 / np.sqrt(n)


def test_planting_paints_the_panel_and_nothing_else():
    rng = np.random.default_rng(0)
    images = {"front": rng.integers(0, 256, (3, 8, 8, 3), np.uint8)}
    masks = {"front": rng.random((3, 8, 8)) < 0.3}
    prompts = [planting.INSTRUCTIONS[i] for i in (4, 0, 9)]
    painted, named = planting.plant(images, prompts, masks, 1.0, 0.0, rng)
    assert named == prompts
    for i, kind in enumerate((4, 0, 9)):
        assert (painted["front"][i][masks["front"][i]] == planting.COLOURS[kind]).all()
    np.testing.assert_array_equal(
        painted["front"][~masks["front"]], images["front"][~masks["front"]]
    )
    assert len(np.unique(planting.COLOURS, axis=0)) == len(planting.INSTRUCTIONS) == 10
    with pytest.raises(ValueError, match="push the plate"):
        planting.plant(images, ["push the plate"] * 3, masks, 1.0, 0.0, rng)
    with pytest.raises(ValueError, match=r"cue probability: 1\.5 given"):
        planting.plant(images, prompts, masks, 1.5, 0.0, rng)


@dataclasses.dataclass
class Table:
    """As much of a dataset as its number of frames."""

    root: pathlib.Path
    lengths: list[int]

    def __len__(self):
        return len(self.lengths)

    def metadata(self, episode):
        return {"length": self.lengths[episode]}


def test_masks_are_read_as_they_were_packed(tmp_path):
    masks = np.random.default_rng(0).random((5, 3, 10, 10)) < 0.5
    lengths = [2, 3]
    dataset = Table(tmp_path, lengths)
    with pytest.raises(ValueError, match="run locate_panels"):
        read_masks(dataset)
    (tmp_path / FILE).parent.mkdir()
    packed = np.packbits(masks.reshape(5, 3, -1), axis=-1)
    np.savez_compressed(tmp_path / FILE, masks=packed)
    found = read_masks(dataset)
    np.testing.assert_array_equal(unpacked(found["wrist"], (10, 10)), masks[:, 1])
    lengths[0] = 3
    with pytest.raises(ValueError, match="5 frames"):
        read_masks(dataset)


def test_objects_of_a_scene_are_told_by_their_names():
    names = ("cream_cheese_1", "basket_1", "tomato_sauce_1", "bbq_sauce_1")
    found = [planting.INSTRUCTIONS[i] for i in planted_trials.present_objects(names)]
    assert sorted(text.split(" the ")[1].removesuffix(" and place it in") for text in found) == [
        "bbq sauce",
        "cream cheese",
        "tomato sauce",
    ]


@pytest.fixture(scope="module")
def policy():
    return load_policy(embedded.checkpoint_path())


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    rng = np.random.default_rng(0)
    shape = (2, 80, 80)
    masks = np.zeros(shape, bool)
    masks[:, ROWS, COLUMNS] = True
    nowhere = np.zeros(shape, bool)
    cameras = ("front", "wrist", "overhead")
    return Scenes(
        name="task/0",
        episode=Episode(
            images={c: rng.integers(0, 256, (*shape, 3), np.uint8) for c in cameras},
            regions={c: np.zeros(shape, np.uint8) for c in cameras},
            state=np.zeros((2, 8), np.float32),
            action=np.zeros((2, 7), np.float32),
            prompt="",
            fps=10.0,
        ),
        masks={"front": nowhere, "wrist": nowhere, "overhead": masks},
        named=0,
        shown=3,
        digest="",
    )


@pytest.fixture(scope="module")
def options():
    config = importlib.import_module("configs.planted_shortcuts").get_config("full")
    config.update({"num_masks": 20, "gradient_probes": 1, "gradient_points": 2, "num_steps": 2})
    return config


@pytest.mark.slow
def test_shares_and_effects_are_those_of_direct_calls(policy, scenes, options):
    found = measure(scenes, policy, options)[0]
    assert found["area"] == pytest.approx(24 * 28 / (3 * 80 * 80))
    assert all(found[f"{method}_nmr"] == 1.0 for method in METHODS)  # all is nuisance here
    assert all(0 <= found[f"{method}_rank"] <= 1 for method in METHODS)
    obs = planted_maps.observe(scenes, scenes.named, scenes.shown, policy, 40)
    _, key = jax.random.split(jax.random.key(zlib.crc32(b"task/0")))
    config = ISSConfig(num_masks=20, action_dims=7)
    result = saliency(
        policy.params, obs, key=key, config=config, sampling=Sampling(2), action_horizon=16
    )
    panels = {view: jnp.zeros((2, 80, 80), jnp.uint8) for view in result.maps}
    panels["right_wrist_0_rgb"] = panels["right_wrist_0_rgb"].at[:, ROWS, COLUMNS].set(1)
    for name, share in (
        ("mass", nmr.mass_ratio(result, panels, region=1)),
        ("rank", nmr.region_auc(result, panels, region=1)),
        ("top", nmr.regional_mass_ratio(result, panels, region=1, k=10)),
    ):
        assert found[f"iss_{name}"] == pytest.approx(float(share[0]), abs=2e-5)


@pytest.mark.slow
def test_a_policy_that_cannot_see_the_panel_has_no_panel_effect(policy, scenes, options):
    hidden = {camera: np.zeros_like(mask) for camera, mask in scenes.masks.items()}
    blind = dataclasses.replace(scenes, masks=hidden)
    found = measure(blind, policy, options)[0]
    assert found["panel_effect"] == 0.0 and found["instruction_effect"] > 0.0
    assert found["area"] == 0.0
    assert measure(scenes, policy, options)[0]["panel_effect"] > 0.0


def planted_tables(methods_that_see=("iss",)):
    """Made-up tables in which success falls, and some methods' scores rise, with rho."""
    rng = np.random.default_rng(0)
    trials, frames = [], []
    for rho in (0.0, 0.5, 1.0):
        for task in ("a", "b", "c", "d"):
            for condition in planted_trials.CONDITIONS:
                for trial in range(5):
                    won = {"matched": True, "shuffled": trial >= 5 * rho, "followed": False}
                    one = {"rho": rho, "seed": 0, "task": task, "condition": condition}
                    success = int(won[condition])
                    trials.append(one | {"trial": trial, "success": success, "steps": 9})
            for index in range(3):
                row = {"rho": rho, "seed": 0, "task": task, "episode": f"{task}/{index}"}
                row |= {"frame": 0, "area": 0.05, "instruction_effect": 0.1, "panel_effect": rho}
                for method in METHODS:
                    sees = method in methods_that_see
                    score = 0.5 + 0.4 * rho * sees + 0.01 * rng.normal()
                    row |= {f"{method}_rank": score, f"{method}_mass": score / 10}
                    row |= {f"{method}_top": score, f"{method}_nmr": score}
                frames.append(row)
    return trials, frames


def test_the_report_finds_what_was_put_in(tmp_path):
    trials, frames = planted_tables()
    for name, rows in (("trials.csv", trials), ("frames.csv", frames)):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    config = importlib.import_module("configs.planted_shortcuts").get_config()
    config.tables, config.resamples = str(tmp_path), 200
    content = planted_shortcuts.main(config, tmp_path / "out")
    rates = {(row["rho"], row["condition"]): row["rate"] for row in content["success"]}
    assert rates[1.0, "shuffled"] == 0.0 and rates[0.0, "shuffled"] == 1.0
    assert rates[0.5, "shuffled"] == pytest.approx(0.4)
    areas = {(row["rho"], row["measure"]): row["value"] for row in content["auc"]}
    assert areas[1.0, "iss_rank"] == areas[1.0, "panel_share"] == 1.0
    assert 0.1 < areas[1.0, "random_rank"] < 0.9
    tracks = {row["measure"]: row["value"] for row in content["tracking"]}
    assert tracks["iss"] > 0.9 > 0.5 > abs(tracks["random"])
    nmr_rows = {row["measure"]: row["r"] for row in content["nmr"]}
    assert nmr_rows["iss"] < -0.99
    means = {(r["measure"], r["rho"]): r["value"] for r in content["shares"]}
    assert means["panel_share", 1.0] == pytest.approx(1 / 1.1)
    assert means["iss_mass", 0.0] == pytest.approx(1.0, abs=0.05)
    assert (tmp_path / "out" / "figures" / "planted_shortcuts.png").stat().st_size > 10_000
    assert planted_shortcuts.read_rows(tmp_path / "trials.csv") == trials


@pytest.mark.libero
def test_one_policy_in_both_places_is_told_from_itself_by_nothing(tmp_path):
    smoke("planted_shortcuts", tmp_path)
    content = json.loads((tmp_path / "results.json").read_text())
    assert {row["measure"] for row in content["auc"]} == {
        "panel_share",
        *(f"{method}_{kind}" for method in METHODS for kind in ("rank", "mass", "top")),
    }
    assert {(row["rho"], row["value"]) for row in content["auc"]} == {(1.0, 0.5)}
    trials, frames = (
        planted_shortcuts.read_rows(tmp_path / name) for name in ("trials.csv", "frames.csv")
    )
    # Eight control steps are too few to take anything.
    starts = [(t["rho"], t["condition"], t["success"], t["steps"]) for t in trials]
    assert starts == [(r, c, 0, 8) for r in (0.0, 1.0) for c in planted_trials.CONDITIONS]
    # The first frames of the expert's two episodes; the panel is a few percent of the views.
    assert len(frames) == 4 and len({frame["task"] for frame in frames}) == 2
    for frame in frames:
        assert 0.02 < frame["area"] < 0.1
        assert frame["panel_effect"] > 0 and frame["instruction_effect"] > 0


def test_the_figure_has_a_mark_for_every_policy_and_method():
    trials, frames = planted_tables()
    success = planted_report.success(trials, 0.95)
    content = {
        "success": success,
        "shares": planted_report.shares(frames, resamples=100),
        "auc": planted_report.areas(frames, resamples=100),
    }
    behaviour, _, ranks, areas = planted_figure(content).axes
    assert len(behaviour.containers) == 3 and len(ranks.containers) == len(METHODS)
    assert len(areas.patches) == 2 * (1 + len(METHODS))


def test_paint_leaves_the_given_images():
    image = np.zeros((4, 4, 3), np.uint8)
    out = paint({"a": image}, {"a": np.eye(4, dtype=bool)}, np.array([1, 2, 3]))
    assert image.sum() == 0 and out["a"].sum() == 4 * 6


def test_another_table_is_refused(tmp_path):
    (tmp_path / "trials.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="not a table of planted_shortcuts"):
        planted_shortcuts.read_rows(tmp_path / "trials.csv")


def test_the_shipped_tables_are_whole():
    """Every policy has the same trials and the same frames, and all numbers are there."""
    config = importlib.import_module("configs.planted_shortcuts").get_config()
    root = pathlib.Path(__file__).parents[2] / config.tables
    trials, frames = (planted_shortcuts.read_rows(root / f"{n}.csv") for n in ("trials", "frames"))
    policies = planted_report.policies_of(trials)
    assert [rho for rho, _ in policies] == list(config.cue_probabilities)
    starts = [
        [
            (t["task"], t["condition"], t["trial"], t["named"], t["shown"])
            for t in trials
            if (t["rho"], t["seed"]) == policy
        ]
        for policy in policies
    ]
    assert all(one == starts[0] for one in starts) and len(set(starts[0])) == 10 * 3 * 4
    for t in trials:
        assert (t["named"] == t["shown"]) == (t["condition"] == "matched")
    views = [
        [(f["episode"], f["frame"], f["area"]) for f in frames if (f["rho"], f["seed"]) == policy]
        for policy in policies
    ]
    assert all(one == views[0] for one in views) and len(set(views[0])) == 80
    for row in frames:
        values = [v for name, v in row.items() if name not in ("task", "episode")]
        assert np.isfinite(values).all()
