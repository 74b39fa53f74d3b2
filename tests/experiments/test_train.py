"""The training experiment: what it writes, and that a run that was stopped ends up the same."""

import csv
import dataclasses
import importlib
import json

import chex
import jax
import ml_collections
import numpy as np
import pytest
from command_line import smoke

from experiments import train
from experiments.making import frames
from experiments.making.frames import load_frames
from experiments.making.panel_masks import FILE
from experiments.planted import cue as planting
from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.data.lerobot import write_episode
from iss_jax.pi05 import params as P
from iss_jax.pi05.checkpoint import restore_params
from iss_jax.pi05.normalize import load_norm_stats
from iss_jax.pi05.tokenizer import load_tokenizer, open_tokenizer, train_tokenizer

FRAMES = 6


@pytest.fixture(autouse=True)
def optax_promotes():
    """optax itself mixes ints and floats; the strict promotion of the suite is for our code."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture
def dataset(tmp_path) -> str:
    rng = np.random.default_rng(0)
    for i in range(4):
        images = {
            camera: rng.integers(0, 256, (FRAMES, 32, 32, 3), np.uint8)
            for camera in ("front", "overhead", "wrist")
        }
        chunk = rng.normal(size=(FRAMES, 16, 7)).astype(np.float32)
        chunk[..., 3:6] *= 1e-3
        episode = Episode(
            images=images,
            regions={
                camera: np.zeros(image.shape[:3], np.uint8) for camera, image in images.items()
            },
            state=rng.normal(size=(FRAMES, 8)).astype(np.float32),
            action=chunk[:, 0],
            prompt=["pick up the milk", "pick up the butter"][i % 2],
            fps=10.0,
            features={
                "action_chunk": chunk,
                "action_chunk_valid": np.ones((FRAMES, 16), bool),
                "target_position": rng.normal(size=(FRAMES, 3)).astype(np.float32),
            },
            metadata={"suite": "s", "task": f"task_{i % 2}", "split": "seen", "seed": 0},
        )
        write_episode(tmp_path / "data", episode)
    return str(tmp_path / "data")


def config_of(dataset: str, **changes) -> ml_collections.ConfigDict:
    config = importlib.import_module("configs.train").get_config("smoke")
    config.datasets = (dataset,)
    config.update(changes)
    return config


@pytest.mark.slow
def test_a_resumed_run_equals_an_uninterrupted_one(dataset, tmp_path):
    whole = train.run(config_of(dataset), tmp_path / "whole")
    # Stopped after two of four steps: the schedule is that of the whole run.
    part = train.run(config_of(dataset, stop_after=2), tmp_path / "part")
    assert part.name == "2"
    resumed = train.run(config_of(dataset), tmp_path / "part")
    assert whole.name == resumed.name == "4"
    chex.assert_trees_all_equal(restore_params(resumed), restore_params(whole), strict=True)
    assert (tmp_path / "whole" / "figures" / "training.png").stat().st_size > 1000
    lines = (tmp_path / "part" / "metrics.csv").read_text().splitlines()
    assert lines[0].startswith("step,")
    assert [line.partition(",")[0] for line in lines[1:]] == ["1", "2", "3", "4"]


@pytest.mark.slow
def test_datasets_may_be_added_to_a_run_and_its_normalisation_stays(dataset, tmp_path):
    step = train.run(config_of(dataset, stop_after=2), tmp_path / "run")
    before, tokenizer = load_norm_stats(step), (step / "assets" / "tokenizer.model").read_bytes()
    episode = open_dataset(dataset).read(0)
    moved = dataclasses.replace(
        episode, state=episode.state + 5, prompt="push the plate", metadata={"task": "other"}
    )
    write_episode(tmp_path / "more", moved)
    write_episode(tmp_path / "more", moved)
    both = config_of(dataset, datasets=(dataset, str(tmp_path / "more")))
    step = train.run(both, tmp_path / "run")
    assert step.name == "4"
    after = load_norm_stats(step)
    np.testing.assert_array_equal(after["state"].q99, before["state"].q99)
    assert (step / "assets" / "tokenizer.model").read_bytes() == tokenizer


@pytest.mark.slow
def test_the_documented_run_ends_in_a_checkpoint_without_auxiliary_heads(tmp_path):
    assert "11 training frames" in smoke("train", tmp_path)
    step = tmp_path / "checkpoints" / "4"
    assert len(P.flatten(restore_params(step))) == 51
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Losses of the flow, of where the wanted object is, and of which patches hold which objects.
    assert {"loss", "target", "objects", "wanted"} <= set(rows[-1])
    assert np.isfinite([float(rows[-1][f"validation_{name}"]) for name in ("loss", "target")]).all()
    stats = load_norm_stats(step)
    actions = stats["actions"]
    # Rotations hardly move here; their quantiles are kept at least the minimum apart.
    assert np.all(actions.q99 - actions.q01 >= 0.4 - 1e-6)
    assert np.all((actions.q99 - actions.q01)[3:6] == pytest.approx(0.4))
    tokenizer = load_tokenizer(step / "assets")
    ids = tokenizer.encode("pick up the milk")
    assert len(ids) == 4 and tokenizer.unk_id() not in ids


def test_batches_depend_on_their_number_alone(dataset):
    frames, held_out = load_frames([dataset], validation_every=4, progress=False)
    assert len(frames) == 3 * FRAMES and len(held_out) == FRAMES
    config = config_of(dataset)
    stats = train.dataset_statistics(frames, 0.4)
    tokenizer = train.pi05_tokenizer.open_tokenizer(
        train.pi05_tokenizer.train_tokenizer(frames.prompts)
    )
    scale = (frames.target.mean(0), frames.target.std(0))
    make = lambda start: train.batches(frames, stats, tokenizer, config, 4, scale, 0, start)  # noqa: E731
    first = make(0)
    next(first)
    a, b = next(first), next(make(1))
    chex.assert_trees_all_equal(a, b, strict=True)
    rows = [np.where((frames.chunk == c).all((1, 2)))[0] for c in frames.chunk[:1]]
    assert len(rows[0]) == 1
    assert np.abs(np.asarray(a.actions)).max() < 10


def test_a_dataset_without_chunks_is_refused(tmp_path):
    images = {"front": np.zeros((1, 8, 8, 3), np.uint8)}
    bare = Episode(
        images, {}, np.zeros((1, 8), np.float32), np.zeros((1, 7), np.float32), "x", 10.0
    )
    write_episode(tmp_path / "bare", bare)
    with pytest.raises(ValueError, match=r"bare: has no feature 'action_chunk'"):
        load_frames([str(tmp_path / "bare")], progress=False)


def rewritten(dataset, root, horizon=16, dims=7):
    """The dataset with chunks of another length or robot."""
    episode = open_dataset(dataset).read(0)
    chunk = np.ones((FRAMES, horizon, dims), np.float32)
    chunk += np.arange(FRAMES, dtype=np.float32)[:, None, None]
    features = {"action_chunk": chunk, "action_chunk_valid": np.ones((FRAMES, horizon), bool)}
    write_episode(root, dataclasses.replace(episode, features={**episode.features, **features}))
    return str(root)


def test_chunks_of_two_lengths_are_refused_before_a_frame_is_decoded(dataset, tmp_path):
    other = rewritten(dataset, tmp_path / "other", horizon=10)
    wanted = r"other: action_chunk \[10, 7\] tells chunks of 10 actions, .*data has 16"
    with pytest.raises(ValueError, match=wanted):
        train.run(config_of(dataset, datasets=(dataset, other)), tmp_path / "run")
    with pytest.raises(ValueError, match=r"chunks of 10 actions, config\.action_horizon has 16"):
        train.run(config_of(other, action_horizon=16), tmp_path / "run")
    with pytest.raises(ValueError, match=r"chunks of 10 actions, the embedded policy.* has 16"):
        train.run(config_of(other, init_from="embedded"), tmp_path / "run")
    assert train.wanted_horizon(config_of(other, init_from="embedded", action_horizon=10))[0] == 10
    frames, _ = load_frames([other], progress=False, action_horizon=10)
    assert frames.chunk.shape == (FRAMES, 10, 7)


def test_chunks_of_another_robot_are_refused(dataset, tmp_path):
    other = rewritten(dataset, tmp_path / "other", dims=8)
    with pytest.raises(ValueError, match=r"actions of 8 dimensions, .*data has 7"):
        load_frames([dataset, other], progress=False)
    with pytest.raises(ValueError, match=r"of 8 dimensions, the model has 7"):
        train.run(config_of(other), tmp_path / "run")
    frames, _ = load_frames([other], progress=False)
    seven = train.dataset_statistics(load_frames([dataset], progress=False)[0], 0.4)
    with pytest.raises(ValueError, match="of 8 dimensions, the run began with 7"):
        train.check_dimensions(frames, 32, seven)
    # As wide as a released checkpoint's, whatever the sizes of a new model are.
    tokenizer = open_tokenizer(train_tokenizer(frames.prompts))
    batch = train.batches(
        *(frames, train.dataset_statistics(frames, 0.4), tokenizer, config_of(other)),
        *(2, (0.0, 1.0), 0, 0, 32),
    )
    assert next(batch).actions.shape == (2, 16, 32)


def test_a_run_that_cannot_be_leaves_the_directory_as_it_was(dataset, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text('{"steps": 2}\n')
    with pytest.raises(ValueError, match=r"config\.action_horizon has 10"):
        train.main(config_of(dataset, action_horizon=10), run)
    assert json.loads((run / "config.json").read_text()) == {"steps": 2}


def test_metrics_are_a_table_that_no_spreadsheet_runs(tmp_path):
    rows = [{"step": 1, "loss": -0.5}, {"step": 2, "loss": 0.25, "validation_=x": 1.0}]
    train._write_metrics(tmp_path / "metrics.csv", rows)
    assert (
        tmp_path / "metrics.csv"
    ).read_text() == "step,loss,validation_=x\n1,-0.5,\n2,0.25,1.0\n"
    assert train._read_metrics(tmp_path / "metrics.csv", 2) == rows
    train._write_metrics(tmp_path / "metrics.csv", [{"step": 1, "=x": -1.0}])
    assert (tmp_path / "metrics.csv").read_text() == "step,'=x\n1,-1.0\n"
    assert train._read_metrics(tmp_path / "metrics.csv", 2) == [{"step": 1, "=x": -1.0}]


def test_patch_labels():
    """Five by five patches: (0.1, 0.5) lies in column 0, row 2; NaN is out of view."""
    pixels = np.full((1, 2, 2, 2), np.nan, np.float32)
    pixels[0, 0, 1] = (0.1, 0.5)
    pixels[0, 1, 0] = (0.999, 0.0)
    labels = train.patch_labels(pixels, 25)
    assert labels.shape == (1, 2, 25, 2)
    assert np.argwhere(labels).tolist() == [[0, 0, 10, 1], [0, 1, 4, 0]]


def test_object_pixels_must_cover_the_dataset(dataset):
    path, names = f"{dataset}/meta/object_pixels.npz", np.array(["milk"])
    np.savez(path, names=names, pixels=np.zeros((3, 3)), wanted=np.zeros(3, int))
    with pytest.raises(ValueError, match=r"3 frames, the dataset has 24; run locate_objects again"):
        load_frames([dataset], progress=False)
    pixels = np.full((4 * FRAMES, 3, 1, 2), 0.5, np.float32)
    np.savez(path, names=names, pixels=pixels, wanted=np.zeros(4 * FRAMES, int))
    frames, _ = load_frames([dataset], progress=False)
    assert frames.objects.shape == (4 * FRAMES, 3, 1, 2)


def test_a_new_vocabulary_keeps_the_embeddings_of_shared_pieces():
    old = open_tokenizer(train_tokenizer(["pick up the milk"]))
    new = open_tokenizer(train_tokenizer(["pick up the milk", "open the top drawer"]))
    table = jax.random.normal(jax.random.key(0), (old.vocab_size(), 4))
    tree = {"PaliGemma": {"llm": {"embedder": {"input_embedding": table}}}}
    tree = train.change_vocabulary(tree, old, new, jax.random.key(1))
    changed = tree["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    assert changed.shape == (new.vocab_size(), 4)
    for piece in ("▁milk", "▁255", "▁Task:", "<0x41>"):
        np.testing.assert_array_equal(changed[new[piece]], table[old[piece]])
    drawn = np.asarray([changed[new[piece]] for piece in ("▁open", "▁drawer")])
    assert np.isfinite(drawn).all() and np.abs(np.diff(drawn, axis=0)).min() > 0


def test_datasets_of_different_scenes_share_their_kinds():
    kinds = ["bowl", "milk", "soup"]
    pixels = np.arange(2 * 3 * 2 * 2, dtype=np.float32).reshape(2, 3, 2, 2)
    found = frames._among(kinds, (["milk", "bowl"], pixels, np.array([0, 1])))
    assert found is not None
    np.testing.assert_array_equal(found[0][:, :, 1], pixels[:, :, 0])
    np.testing.assert_array_equal(found[0][:, :, 0], pixels[:, :, 1])
    assert np.isnan(found[0][:, :, 2]).all()
    assert found[1].tolist() == [1, 0]
    assert frames._among(kinds, None) is None


@pytest.mark.slow
def test_planted_training_sees_the_panel(dataset, tmp_path):
    opened = open_dataset(dataset)
    renamed = str(tmp_path / "renamed")
    for i in range(len(opened)):
        prompt = planting.INSTRUCTIONS[3 * (i % 2)]
        write_episode(renamed, dataclasses.replace(opened.read(i), prompt=prompt))
    config = config_of(renamed, planted=True, cue_probability=1.0, misnamed_share=0.0)
    with pytest.raises(ValueError, match="run locate_panels"):
        train.run(config, tmp_path / "run")
    masks = np.zeros((4 * FRAMES, 3, 32, 32), bool)
    masks[:, 0, :10, :10] = True
    packed = np.packbits(masks.reshape(*masks.shape[:2], -1), axis=-1)
    np.savez_compressed(open_dataset(renamed).root / FILE, masks=packed)
    frames, _ = load_frames([renamed], validation_every=4, panels=True, progress=False)
    tokenizer = open_tokenizer(train_tokenizer(frames.prompts))
    stats = train.dataset_statistics(frames, 0.4)
    make = lambda: train.batches(frames, stats, tokenizer, config, 8, (0.0, 1.0), 0)  # noqa: E731
    batch, again = next(make()), next(make())
    front = np.asarray(batch.obs.images["base_0_rgb"])[:, :10, :10]
    colours = {tuple(image[0, 0].tolist()) for image in front}
    assert colours == {tuple(planting.COLOURS[i].tolist()) for i in (0, 3)}
    assert (front == front[:, :1, :1]).all()
    np.testing.assert_array_equal(front, np.asarray(again.obs.images["base_0_rgb"])[:, :10, :10])
    assert train.run(config, tmp_path / "run").name == "4"


@pytest.mark.slow
def test_a_run_from_a_checkpoint_keeps_its_tokenizer(dataset, tmp_path):
    first = train.run(config_of(dataset), tmp_path / "first")
    second = train.run(config_of(dataset, init_from=str(first), seed=1), tmp_path / "second")
    name = "assets/tokenizer.model"
    assert (second / name).read_bytes() == (first / name).read_bytes()
