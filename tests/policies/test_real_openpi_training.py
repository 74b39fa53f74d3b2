"""openpi's own training, with the callback and the recipe of `docs/guide/training.md` in it.

Their training state and step, `debug_pi05` by their own command, and the recipe for AGNOSTOS on
LeRobot frames from its statistics to a policy that is loaded again. Run as `test_real_openpi.py`
is; a `lerobot` that cannot be imported is stood in for by what it hands over.
"""

import dataclasses
import functools
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import real_openpi
from code_blocks import blocks
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from real_openpi import filled, imported, script

import iss_jax
from iss_jax import ISSConfig
from iss_jax.pi05.checkpoint import restore_params, save_checkpoint
from iss_jax.pi05.normalize import load_norm_stats
from iss_jax.pi05.observation import VIEWS
from iss_jax.pi05.tokenizer import FILE_NAME, open_tokenizer, train_tokenizer
from iss_jax.policies import openpi
from iss_jax.sampling import Sampling

GUIDE = "docs/guide/training.md"
TASKS = ("pick up the bowl", "open the drawer")
PROMPT = train_tokenizer(TASKS)
CAMERAS = {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
LENGTH = 18  # frames of an episode, of which there is one a task

pytestmark = [pytest.mark.openpi, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module", autouse=True)
def jax_as_they_use_it():
    with real_openpi.as_openpi_runs():
        yield


def dummy(**changes):
    configs = imported("openpi.models.pi0_config")
    experts = {"paligemma_variant": "dummy", "action_expert_variant": "dummy"}
    return configs.Pi0Config(pi05=True, **experts, **changes)


@pytest.fixture(scope="module")
def obs():
    rng = np.random.default_rng(1)
    return imported("openpi.models.model").Observation(
        images={v: jnp.asarray(rng.uniform(-1, 1, (1, 224, 224, 3)), jnp.float32) for v in VIEWS},
        image_masks={view: jnp.asarray([view != "right_wrist_0_rgb"]) for view in VIEWS},
        state=jnp.zeros((1, 32), jnp.float32),
        tokenized_prompt=jnp.asarray(rng.integers(1, 250, (1, 48)), jnp.int32),
        tokenized_prompt_mask=jnp.arange(48)[None] < 20,
    )


def test_their_training_state_sharded_and_one_of_their_steps(obs, record_property):
    train, configs = script("train"), imported("openpi.training.config")
    sharding = imported("openpi.training.sharding")
    config = dataclasses.replace(
        configs.get_config("debug_pi05"),
        model=dummy(action_horizon=10, max_token_len=48),
        ema_decay=0.9,
    )
    mesh = Mesh(np.asarray(jax.devices()[:2]).reshape(1, 2), ("batch", "fsdp"))
    state, _ = train.init_train_state(config, jax.random.key(0), mesh, resume=False)
    state = dataclasses.replace(
        state, params=filled(state.params), ema_params=filled(state.ema_params)
    )
    split = [x for x in jax.tree.leaves(state.params) if not x.sharding.is_fully_replicated]
    assert split
    rows = NamedSharding(mesh, PartitionSpec(("batch", "fsdp")))
    batch = jax.tree.map(lambda leaf: jax.device_put(jnp.repeat(leaf, 2, 0), rows), obs)
    actions = jax.device_put(jnp.zeros((2, 10, 32), jnp.float32), rows)

    logged = []

    class Writer:
        def log(self, data, step):
            logged.append((step, data))

    noise = jnp.asarray(np.random.default_rng(2).normal(size=(1, 10, 32)), jnp.float32)
    options = {
        "config": ISSConfig(num_masks=4, micro_batch=5, action_dims=7),
        "sampling": Sampling(3, jnp.bfloat16),
        "noise": noise,
    }
    regions = {view: np.zeros((1, 224, 224), np.uint8) for view in ("base_0_rgb",)}
    regions["base_0_rgb"][:, :112] = 2
    callback = openpi.saliency_callback(Writer(), obs, every=1, regions=regions, **options)
    whole = jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), jax.devices()[0]), state)
    one_device = iss_jax.saliency(whole.params, obs, **options)
    sharded = iss_jax.saliency(state.params, obs, **options)
    inside = jax.jit(lambda state, obs: iss_jax.saliency(state.params, obs, **options))(state, obs)
    for found in (sharded, inside):
        # bfloat16, in another order of summation.
        np.testing.assert_allclose(found.actions, one_device.actions, atol=6e-2)
        assert np.corrcoef(found.effects[0], one_device.effects[0])[0, 1] > 0.9
    before = callback(state, 0)
    assert before is not None
    step = jax.jit(functools.partial(train.train_step, config))
    with sharding.set_mesh(mesh):
        after, info = step(jax.random.key(1), state, (batch, actions))
    assert int(after.step) == 1 and np.isfinite(float(info["loss"]))
    assert isinstance(after.ema_params, nnx.State)
    callback(after, 1)
    assert [number for number, _ in logged] == [0, 1]
    assert set(before) >= {"iss/nmr_at_10", "iss/nuisance_area", "iss/overlay_0"}
    assert logged[1][1]["iss/effect"] != before["iss/effect"]
    record_property("loss of their step", float(info["loss"]))
    record_property("effect before and after", [data["iss/effect"] for _, data in logged])


class Debug:
    """openpi's training script with lines of the guide in it, as a reader would put them.

    The guide's first block makes the callback where its loop begins and calls it in the loop. What
    is changed of it: where it logs, how often, and how much it draws.
    """

    HEAD = """\
import json as _json
import numpy as _np

class _Lines:
    def log(self, data, step):
        numbers = {k: float(v) for k, v in data.items() if isinstance(v, (int, float))}
        line = {"step": step, "names": sorted(data), "numbers": numbers}
        with open("logged.jsonl", "a") as file:
            file.write(_json.dumps(line) + "\\n")

regions = {"base_0_rgb": _np.repeat(_np.arange(224) // 75, 224).reshape(1, 224, 224).repeat(2, 0)}
"""
    TOWER = f"""\
import openpi.models.siglip as _siglip
_siglip.decode_variant = lambda _: {real_openpi.TOWER}
"""
    COMPILED = "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"
    CHANGES: Mapping[str, str] = {
        "    wandb,\n": "    _Lines(),\n",
        "every=1000": "every=9",
        "num_masks=100": "num_masks=4",
        "by_appearance(batch[0].images)": "by_appearance(batch[0].images, most=2)",
        "Sampling(dtype": "Sampling(2, dtype",
        "import ISSConfig": "import EffectsConfig, ISSConfig",
        "    background=": "    effects_config=EffectsConfig(draws=2),\n    background=",
    }

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        theirs = (real_openpi.ROOT / "scripts" / "train.py").read_text()
        guide = next(block.code for block in blocks(GUIDE) if block.language == "python")
        for given, run in self.CHANGES.items():
            assert given in guide, given
            guide = guide.replace(given, run)
        before, _, inside = guide.partition("for step in pbar:\n    ...\n")
        imports = re.findall(r"^(?:from|import) .+\n", before, re.MULTILINE)
        made = "".join(x for x in before.splitlines(True) if x not in imports and x.strip())
        head = self.HEAD + ("" if real_openpi.REAL_TOWER else self.TOWER) + "".join(imports)
        for at, lines in (
            ("    infos = []\n    for step in pbar:\n", _indented(made, 4)),
            ("        if step % config.log_interval == 0:\n", _indented(inside, 4)),
        ):
            assert theirs.count(at) == 1, at
            theirs = theirs.replace(at, lines + at)
        (folder / "train.py").write_text(head + theirs)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit status and what was printed, by their own command on one device.

        Its programs are compiled with more care than the suite's: ten steps repay it.
        """
        root = pathlib.Path(real_openpi.__file__).parents[1]
        env = os.environ | {
            "PYTHONPATH": os.pathsep.join(
                [*map(str, (root, *real_openpi.FOLDERS)), os.environ.get("PYTHONPATH", "")]
            ),
            "XLA_FLAGS": "" if real_openpi.REAL_TOWER else self.COMPILED,
            "JAX_ENABLE_COMPILATION_CACHE": "false",
        }
        # A file and no pipe: its data loader's processes may outlive one that is killed.
        with (self.folder / "printed").open("w") as file:
            command = [sys.executable, "train.py", *arguments]
            done = subprocess.run(command, cwd=self.folder, env=env, stdout=file, stderr=file)
        return done.returncode, (self.folder / "printed").read_text()


def _indented(code: str, by: int) -> str:
    return "".join(" " * by + line for line in code.splitlines(True))


def test_debug_pi05_trains_unmodified_with_the_guides_callback(tmp_path, obs, record_property):
    imported("openpi.training.data_loader")
    status, printed = Debug(tmp_path).run("debug_pi05")
    assert status == 0, printed[-4000:]
    logged = [json.loads(line) for line in (tmp_path / "logged.jsonl").read_text().splitlines()]
    assert [line["step"] for line in logged] == [0, 9]
    warned = re.findall(r"saliency_callback: (.+) could not be had", printed)
    assert len(warned) == len(set(warned)), warned
    assert printed.count("its saliency is identically zero") == 1
    record_property("warned", warned)
    record_property("logged", logged[0])
    # Its data says of every view that it is absent: nothing can be masked, and the map says so.
    assert all(line["numbers"]["iss/effect"] == 0 for line in logged)
    step = tmp_path / "checkpoints" / "debug_pi05" / "debug_pi05" / "9"
    options = {"config": ISSConfig(num_masks=2), "sampling": Sampling(2), "action_horizon": 50}
    sal = iss_jax.saliency(restore_params(step), obs, **options)
    assert np.isfinite(np.asarray(sal.actions)).all()


def recipe():
    """The guide's own block for AGNOSTOS, run where it belongs: in their configuration file."""
    code = next(block.code for block in blocks(GUIDE) if "class AgnostosInputs" in block.code)
    names = dict(vars(imported("openpi.training.config")))
    exec(code, names)
    return names["_AGNOSTOS"]


def recorded(task, step):
    """A frame of each camera, a state and an action; what shows is different in each of them."""
    rng = np.random.default_rng([task, step])
    frames = {
        f"{camera}_rgb": rng.integers(0, 256, (224, 224, 3), np.uint8)
        for camera in CAMERAS.values()
    }
    return (
        frames,
        rng.uniform(-1, 1, 8).astype(np.float32),
        rng.uniform(-1, 1, 8).astype(np.float32),
    )


class HandedOver:
    """What `LeRobotDataset` hands over, where `lerobot` itself is not there."""

    fps, tasks = 10, dict(enumerate(TASKS))

    def __init__(self, repo_id, delta_timestamps=None):
        self.steps = [round(t * self.fps) for t in (delta_timestamps or {"actions": []})["actions"]]

    def __len__(self):
        return LENGTH * len(TASKS)

    def __getitem__(self, index):
        torch = imported("torch")
        task, step = divmod(index, LENGTH)
        frames, state, _ = recorded(task, step)
        steps = [min(step + ahead, LENGTH - 1) for ahead in self.steps]
        actions = np.stack([recorded(task, ahead)[2] for ahead in steps])
        floats = {key: torch.tensor(np.moveaxis(x, -1, 0)) / 255 for key, x in frames.items()}
        return floats | {
            "state": torch.tensor(state),
            "actions": torch.tensor(actions),
            "actions_is_pad": torch.tensor([step + ahead >= LENGTH for ahead in self.steps]),
            "timestamp": torch.tensor(step / self.fps),
            "frame_index": torch.tensor(step),
            "episode_index": torch.tensor(task),
            "index": torch.tensor(index),
            "task_index": torch.tensor(task),
            "task": TASKS[task],
        }


def write_dataset(lerobot, root):
    """The same with LeRobot's own writer."""
    picture = {"dtype": "image", "shape": (224, 224, 3), "names": ["height", "width", "channel"]}
    numbers = {"dtype": "float32", "shape": (8,), "names": ["number"]}
    dataset = lerobot.LeRobotDataset.create(
        "agnostos",
        fps=HandedOver.fps,
        root=root / "agnostos",
        features={f"{camera}_rgb": picture for camera in CAMERAS.values()}
        | {"state": numbers, "actions": numbers},
    )
    for task, name in enumerate(TASKS):
        for step in range(LENGTH):
            frames, state, action = recorded(task, step)
            dataset.add_frame(frames | {"state": state, "actions": action, "task": name})
        dataset.save_episode()


@pytest.fixture(scope="module")
def agnostos(jax_as_they_use_it, tmp_path_factory):
    """The recipe on a LeRobot dataset with its statistics, from a base checkpoint, all small.

    Changed of it are folders, the sizes of experts and image tower, the batch, the steps, and where
    batches are made: here. As on a machine of one device.
    """
    folder = tmp_path_factory.mktemp("agnostos")
    lerobot = imported("lerobot.common.datasets.lerobot_dataset")
    loaders = imported("openpi.training.weight_loaders")
    (folder / "big_vision").mkdir()
    (folder / "big_vision" / FILE_NAME).write_bytes(PROMPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENPI_DATA_HOME", str(folder))
        one = jax.devices()[:1]
        patch.setattr(jax, "devices", lambda *_: one)
        patch.setattr(jax, "device_count", lambda: 1)
        real_openpi.small_experts(patch)
        if hasattr(lerobot, "LeRobotDataset"):
            patch.setattr(lerobot, "HF_LEROBOT_HOME", folder)
            patch.setattr(imported("datasets").config, "HF_DATASETS_CACHE", folder / "cache")
            write_dataset(lerobot, folder)
        else:
            patch.setattr(lerobot, "LeRobotDataset", HandedOver, raising=False)
            patch.setattr(lerobot, "LeRobotDatasetMetadata", HandedOver, raising=False)
        base = nnx.state(dummy(action_horizon=16).create(jax.random.key(0)))
        save_checkpoint(folder / "base", filled(base))
        config = dataclasses.replace(
            recipe(),
            weight_loader=loaders.CheckpointWeightLoader(str(folder / "base" / "params")),
            assets_base_dir=str(folder / "assets"),
            checkpoint_base_dir=str(folder / "checkpoints"),
            exp_name="agnostos",
            batch_size=2,
            num_train_steps=2,
            num_workers=0,
            wandb_enabled=False,
        )
        configs = imported("openpi.training.config")
        patch.setattr(configs, "get_config", {config.name: config}.__getitem__)
        script("compute_norm_stats").main(config.name)
        yield config


@pytest.fixture(scope="module")
def trained(agnostos):
    """The step that their own training saves."""
    train = script("train")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "init_logging", lambda: None)
        train.main(agnostos)
    return agnostos.checkpoint_dir / str(agnostos.num_train_steps - 1)


def test_a_stand_in_hands_over_what_lerobot_does(agnostos):
    lerobot = imported("lerobot.common.datasets.lerobot_dataset")
    if lerobot.LeRobotDataset is HandedOver:
        pytest.skip("lerobot is not installed")
    ahead = {"actions": [t / HandedOver.fps for t in range(16)]}
    theirs = lerobot.LeRobotDataset("agnostos", delta_timestamps=ahead)
    assert lerobot.LeRobotDatasetMetadata("agnostos").tasks == HandedOver.tasks
    for index in (0, LENGTH - 2, LENGTH + 1):
        wanted, found = theirs[index], HandedOver("agnostos", ahead)[index]
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            if isinstance(value, str):
                assert found[key] == value
                continue
            assert (found[key].dtype, found[key].shape) == (value.dtype, value.shape), key
            np.testing.assert_array_equal(found[key], value, err_msg=key)


def test_the_recipe_for_agnostos_makes_the_batches_of_lerobot_frames(agnostos):
    loader = imported("openpi.training.data_loader").create_data_loader(agnostos, num_batches=2)
    stats = load_norm_stats(agnostos.assets_dirs / "agnostos")["actions"]
    assert stats.q01 is not None and stats.q99 is not None
    words = open_tokenizer(PROMPT)
    for batch, (seen, actions) in enumerate(loader):
        assert actions.shape == (2, 16, 32) and not np.asarray(actions)[..., 8:].any()
        for row in range(2):
            step = 2 * batch + row
            frames, _, _ = recorded(0, step)
            for view, camera in CAMERAS.items():
                wanted = frames[f"{camera}_rgb"].astype(np.float32) / 255 * 2 - 1
                np.testing.assert_allclose(seen.images[view][row], wanted, atol=1e-6)
                assert bool(seen.image_masks[view][row])
            tokens = np.asarray(seen.tokenized_prompt[row])[
                np.asarray(seen.tokenized_prompt_mask[row])
            ]
            assert words.decode(tokens.tolist()).startswith(f"Task: {TASKS[0]}, State: ")
            first = recorded(0, step)[2]
            wanted = (first - stats.q01) / (stats.q99 - stats.q01 + 1e-6) * 2 - 1
            np.testing.assert_allclose(np.asarray(actions)[row, 0, :8], wanted, atol=1e-5)


def test_what_the_recipe_saves_is_read_by_its_name_and_acts_as_their_policy(agnostos, trained):
    policies = imported("openpi.policies.policy_config")
    theirs = policies.create_trained_policy(agnostos, trained, sample_kwargs={"num_steps": 3})
    tokenizer = pathlib.Path(os.environ["OPENPI_DATA_HOME"]) / "big_vision" / FILE_NAME
    ours = iss_jax.from_checkpoint(trained, "pi05-xicm", tokenizer=tokenizer, sampling=Sampling(3))
    lora = [p for p, _ in jax.tree_util.tree_leaves_with_path(ours.params) if "lora" in str(p)]
    assert lora
    frames, state, _ = recorded(1, 3)
    images = {camera: frames[f"{camera}_rgb"] for camera in CAMERAS.values()}
    raw = {"images": images, "state": state, "prompt": TASKS[1]}
    noise = np.random.default_rng(5).normal(size=(16, 32)).astype(np.float32)
    wanted = theirs.infer(dict(raw), noise=noise)["actions"]
    assert wanted.shape == (16, 8)
    found = ours.infer(raw, noise=noise)
    # Both in bfloat16, in another order of summation; the actions themselves are of order one.
    np.testing.assert_allclose(found, wanted, atol=5e-2)
    sal = ours.explain(raw, config=ISSConfig(num_masks=4))
    assert float(sal.effects.min()) > 0
