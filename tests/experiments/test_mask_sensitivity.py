"""The mask-sensitivity experiment: its quick way to NMR, its rows, and the smoke variant."""

import csv
import json

import jax
import numpy as np
import pytest
from command_line import smoke

from experiments.mask_sensitivity import Errors, Frames, _pixels, _saliency, corrupted, values
from experiments.nmr.mask_rows import group_means, summary
from iss_jax import nmr
from iss_jax.data.regions import fit_regions

ERRORS = Errors(20.0, (10.0,), (1,), 1.0, 0, 3)


def _frames(n=12, size=16):
    """Square front frames and wide wrist frames, which are padded above and below."""
    rng = np.random.default_rng(0)
    labels = {
        "base_0_rgb": rng.integers(0, 3, (n, 20, 20)).astype(np.uint8),
        "left_wrist_0_rgb": rng.integers(0, 3, (n, 10, 20)).astype(np.uint8),
    }
    valid = {view: fit_regions(part[:1], size, size)[1] for view, part in labels.items()}
    saliency = _saliency(rng.normal(size=(n, 2, 7, 7)).astype(np.float32), valid, size)
    critical = _pixels(saliency.maps, saliency.valid, ERRORS.percent)
    frames = Frames(
        task=np.repeat(["a", "b", "c", "d"], n // 4),
        row=np.array([f"{t}{i % 3}" for t in "abcd" for i in range(n // 4)]),
        success=rng.random(n),
        labels=labels,
        valid=valid,
        critical=critical,
        random=critical[None, :, ::-1],
        size=size,
    )
    return frames, saliency


def test_nmr_from_critical_pixels_is_nmr():
    frames, saliency = _frames()
    found = values(frames, frames.labels, None)
    regions, valid = {}, {}
    for view, labels in frames.labels.items():
        regions[view], inside = fit_regions(labels, 16, 16)
        valid[view] = np.broadcast_to(inside, labels.shape[:1] + inside.shape)
    wanted = nmr.nuisance_mass_ratio(saliency.maps, regions, ERRORS.percent, valid=valid)
    np.testing.assert_allclose(found.nmr, wanted, atol=1e-6)
    np.testing.assert_allclose(found.chance, nmr.chance_level(regions, valid=valid), atol=1e-6)
    np.testing.assert_array_equal(found.overlap, 1.0)


@pytest.mark.parametrize(("kind", "sign"), [("dilate", -1), ("erode", 1), ("drop", 1)])
def test_larger_relevant_regions_give_a_smaller_nmr(kind, sign):
    frames, _ = _frames()
    # Large pieces, that something is left of and something is taken from.
    frames.labels["base_0_rgb"][:] = np.kron(np.eye(5), np.ones((4, 4))).astype(np.uint8)
    clean = values(frames, frames.labels, None)
    found = values(frames, corrupted(frames, ERRORS, kind, 10.0 if kind != "drop" else 1), None)
    assert (sign * (found.nmr - clean.nmr) >= 0).all()
    assert (sign * (found.chance - clean.chance) > 0).all()


def test_errors_are_relative_to_the_image_and_reproducible():
    frames, _ = _frames()
    once, again = (corrupted(frames, ERRORS, "jitter", 10.0) for _ in range(2))
    for view in frames.labels:
        np.testing.assert_array_equal(once[view], again[view])
    # 4 % of 20 pixels' height is less than a pixel, 10 % are two.
    same = corrupted(frames, ERRORS, "dilate", 4.0)
    np.testing.assert_array_equal(same["base_0_rgb"], frames.labels["base_0_rgb"])
    assert (corrupted(frames, ERRORS, "dilate", 10.0)["base_0_rgb"] == 0).sum() == 0


def test_a_row_without_error():
    frames, _ = _frames()
    clean = values(frames, frames.labels, None)
    row = summary(clean, clean, frames, confidence=0.95, resamples=99)
    for name in ("rank_frames", "rank_tasks", "excess_rank_tasks", "random_rank_tasks", "overlap"):
        assert row[name] == pytest.approx(1.0)
    assert row["nmr"] == pytest.approx(clean.nmr.mean())
    assert row["excess"] == pytest.approx((clean.nmr - clean.chance).mean())
    assert row["nmr_change"] == 0
    # Four tasks: means, and no intervals.
    assert np.isnan([row["nmr_change_low"], row["nmr_change_high"], row["success_r_low"]]).all()
    assert row["success_r_reason"].startswith("no interval: 4 tasks given, at least 6 wanted")
    means = group_means(clean.nmr, frames.row)
    rates = group_means(frames.success, frames.row)
    assert row["success_r"] == pytest.approx(np.corrcoef(means, rates)[0, 1])


def test_group_means_by_hand():
    found = group_means(np.array([1.0, 2.0, 6.0]), np.array(["b", "a", "b"]))
    np.testing.assert_array_equal(found, [2.0, 3.5])


@pytest.mark.slow
def test_smoke(tmp_path):
    with jax.numpy_rank_promotion("allow"):
        smoke("mask_sensitivity", tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())
    kinds = [(row["error"], row["size"]) for row in results["errors"]]
    assert kinds == [("none", 0), ("dilate", 5), ("erode", 5), ("jitter", 5), ("drop", 1)]
    none, grown, shrunk, *_ = results["errors"]
    assert grown["nmr"] < none["nmr"] < shrunk["nmr"]
    assert none["rank_frames"] == pytest.approx(1.0) and none["overlap"] == 1
    assert all(0 < row["overlap"] < 1 for row in results["errors"][1:])
    with open(tmp_path / "frames.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5 * results["frames"]
    mean = np.mean([float(row["nmr"]) for row in rows if row["error"] == "dilate"])
    assert mean == pytest.approx(grown["nmr"])
    assert (tmp_path / "figures" / "mask_sensitivity.png").stat().st_size > 0
