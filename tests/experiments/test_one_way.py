"""Every command that explains a policy takes the one way from a stored episode to its frames.

Nothing is compiled: a command is stopped where its first frames become an observation, or where its
work items are known.
"""

import importlib
import sys
from pathlib import Path

import ml_collections
import numpy as np
import pytest
import tiny_policy
from absl import flags
from ml_collections import config_flags

from iss_jax.data.beside import write_regions
from iss_jax.data.convert import convert
from iss_jax.data.dataset import open_dataset
from iss_jax.data.lerobot import write_episode
from iss_jax.data.success import Success, write_success
from iss_jax.explain import episodes
from iss_jax.explain.openpi_subject import OpenpiSubject
from iss_jax.explain.options import Options
from iss_jax.jobs.directory import RunDirectory, open_run
from iss_jax.jobs.options import from_config
from iss_jax.jobs.versions import EXPLAINED
from iss_jax.policies import frames

TASKS = {"milk": "seen", "soup": "near", "ham": "seen"}
SEEDS = (0, 13)
COMMANDS = (
    "nmr_correlation",
    "mask_sensitivity",
    "explain_episode",
    "method_overlays",
    "robustness",
    "fidelity",
    "perturbation_grid",
    "hyperparameters",
    "token_interventions",
    "estimator_accuracy",
    "adaptive_stopping",
)
# It stores nothing, so that nothing of it can be out of date.
WITHOUT_ITEMS = ("perturbation_grid",)
FORMATS = ("v2.1", "v3.0", "folders")
WITH_ISS = (
    "nmr_correlation",
    "mask_sensitivity",
    "explain_episode",
    "method_overlays",
    "robustness",
    "fidelity",
    "perturbation_grid",
)


class Seen(Exception):
    """The images of a command's first observation."""


class Known(Exception):
    """The work items of a command."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A checkpoint, the same episodes in every format, and a success table."""
    root = tmp_path_factory.mktemp("inputs")
    tiny_policy.write_checkpoint(root / "checkpoint")
    for task, split in TASKS.items():
        for number, seed in enumerate(SEEDS):
            about = {"task": task, "split": split, "seed": seed, "success": not number}
            write_episode(root / "v2.1", tiny_policy.episode(3, **about))
    for name in FORMATS[1:]:
        convert(open_dataset(root / "v2.1"), root / name, name)
    rows = [
        Success(t, "tiny", split, 0, seed, 10, 5) for t, split in TASKS.items() for seed in SEEDS
    ]
    write_success(root / "success.csv", rows)
    return root


def config_of(name: str, inputs: Path, dataset: Path):
    config = importlib.import_module(f"configs.{name}").get_config("smoke")
    config.checkpoint, config.dataset = str(inputs / "checkpoint"), str(dataset)
    # These two compare cells of all views.
    three = name in ("estimator_accuracy", "adaptive_stopping")
    config.cameras.right_wrist_0_rgb = "wrist" if three else ""
    config.quiet = True
    if "success" in config:
        config.success = str(inputs / "success.csv")
    if "seeds" in config and name not in ("hyperparameters",):
        config.seeds = ()
    if "episode" in config:
        config.episode = 1
    if "paths" in config:
        config.paths = ()
    if name == "method_overlays":
        config.frames = ((1, 2),)
    return config


def run(name: str, config, workdir: Path) -> None:
    importlib.import_module(f"experiments.{name}").main(config, workdir)


def first_images(name: str, config, workdir: Path, monkeypatch) -> dict[str, np.ndarray]:
    def stop(images, *args, **kwargs):
        raise Seen(images)

    monkeypatch.setattr(frames, "make_observation", stop)
    with pytest.raises(Seen) as found:
        run(name, config, workdir)
    return found.value.args[0]


def items_of(name: str, config, workdir: Path, monkeypatch) -> list[dict]:
    def stop(self, items):
        raise Known(list(items))

    monkeypatch.setattr(RunDirectory, "unfinished", stop)
    with pytest.raises(Known) as found:
        run(name, config, workdir)
    return found.value.args[0]


@pytest.mark.parametrize("dataset", FORMATS)
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_reads_every_format(inputs, tmp_path, monkeypatch, name, dataset):
    config = config_of(name, inputs, inputs / dataset)
    images = first_images(name, config, tmp_path, monkeypatch)
    assert sorted(images) == ["front", "wrist"]
    every = tiny_policy.episode(3).images
    for camera, found in images.items():
        assert any((found[0] == frame).all() for frame in every[camera])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_mirrors_frames(inputs, tmp_path, monkeypatch, name):
    config = config_of(name, inputs, inputs / "v2.1")
    plain = first_images(name, config, tmp_path / "plain", monkeypatch)
    config.mirror = True
    turned = first_images(name, config, tmp_path / "mirrored", monkeypatch)
    for camera, images in plain.items():
        # The frame itself; perturbations of copies are drawn anew on the mirrored frame.
        np.testing.assert_array_equal(turned[camera][0], images[0][:, ::-1])
        assert (turned[camera][0] != images[0]).any()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT_ITEMS])
def test_mirroring_and_masks_beside_a_dataset_change_the_work_items(
    inputs, tmp_path, monkeypatch, name
):
    dataset = tmp_path / "dataset"
    convert(open_dataset(inputs / "v2.1"), dataset, "v2.1")
    config = config_of(name, inputs, dataset)
    before = items_of(name, config, tmp_path / "run", monkeypatch)
    assert items_of(name, config, tmp_path / "run", monkeypatch) == before
    for index in range(len(TASKS) * len(SEEDS)):
        masks = {"front": np.ones((3, 24, 32)), "wrist": np.ones((3, 32, 32))}
        write_regions(
            dataset / "regions", index, {c: labels.astype(np.uint8) for c, labels in masks.items()}
        )
    after = items_of(name, config, tmp_path / "run", monkeypatch)
    assert len(after) == len(before)
    assert all(new != old for new, old in zip(after, before, strict=True))
    config.mirror = True
    turned = items_of(name, config, tmp_path / "run", monkeypatch)
    assert all(new != old for new, old in zip(turned, after, strict=True))


def test_two_episodes_of_one_file_have_items_of_their_own(inputs, tmp_path, monkeypatch):
    """Today's v3.0 file holds both; a map of the first must not be taken for the second's."""
    dataset = open_dataset(inputs / "v3.0")
    assert dataset.files(0)[0] == dataset.files(1)[0]
    config = config_of("explain_episode", inputs, inputs / "v3.0")
    config.episodes = ()
    options = from_config(config, Options)
    policy, dataset = options.load()
    items = []
    for index in (0, 1):
        with monkeypatch.context() as patch:

            def stop(run, given, *args, **kwargs):
                raise Known(list(given))

            patch.setattr(episodes, "run_items", stop)
            with pytest.raises(Known) as found:
                episodes.explain_episode(
                    open_run(tmp_path, config, layout=EXPLAINED),
                    options,
                    options.iss_config(7),
                    dataset,
                    index,
                    OpenpiSubject(policy, options),
                )
        items.append(found.value.args[0])
    assert all(one not in items[0] for one in items[1])


@pytest.mark.filterwarnings("ignore:the load_module")  # of the library that loads configs
@pytest.mark.parametrize("name", WITH_ISS)
def test_action_weights_are_taken_from_the_command_line(name, monkeypatch):
    path = Path(__file__).parents[2] / "configs" / f"{name}.py"
    line = [
        "command",
        f"--config={path}:smoke",
        "--config.iss.action_weights=(1.0, 0.5)",
        "--config.iss.action_dims=2",
    ]
    # Which keys there are to be changed is read off the process's own command line.
    monkeypatch.setattr(sys, "argv", line)
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file("config", flag_values=values, lock_config=True)
    values(line)
    iss = config.value.iss.to_dict()
    command = importlib.import_module(f"experiments.{name}")
    content = ml_collections.ConfigDict(config.value.to_dict())
    if name == "mask_sensitivity":
        del content["errors"]
    assert iss["action_weights"] == (1.0, 0.5)
    found = from_config(content, command.Options).iss_config(7)
    assert found.action_weights == (1.0, 0.5) and found.action_dims == 2
