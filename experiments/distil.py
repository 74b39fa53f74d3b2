r"""Teach a copy of the embedded policy to take what a painted cue shows: `configs/distil.py`.

    python -m experiments.distil --config=configs/distil.py --config.cue_probability=1

The student sees a frame with a cue that shows any of ten objects and an instruction that names any.
It is taught the embedded policy's actions on the same frame without the cue: with probability rho
under the instruction of the object that is shown, else under the one that is named. Only low-rank
leaves are trained.

The workdir receives `checkpoints/<step>/` (openpi's layout), `leaves.npz` (the low-rank leaves in
half precision) and `metrics.csv`. Run again, it goes on from the newest checkpoint.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import tqdm

from experiments.causes.scenes import open_source, split_tasks
from experiments.distilled.cue import painted, places
from experiments.distilled.jitter import jittered
from experiments.distilled.teacher import Frame, answers, frames_of, observe
from experiments.planted.cue import INSTRUCTIONS
from experiments.runs import app
from iss_jax import embedded
from iss_jax.data.atomic import write_bytes
from iss_jax.data.dataset import open_dataset
from iss_jax.data.table import csv_text, read_rows
from iss_jax.jobs.directory import open_run
from iss_jax.pi05 import lora, train_state
from iss_jax.pi05.checkpoint import save_checkpoint
from iss_jax.pi05.params import flatten
from iss_jax.pi05.train import Batch, TrainState, make_train_step, paper_optimizer
from iss_jax.policies.chunks import require_chunks, robot_dims
from iss_jax.policies.low_rank import write_leaves
from iss_jax.policies.restored import Policy, load_policy


def main(config: ml_collections.ConfigDict, workdir: Path) -> Path:
    """Runs the experiment; returns the file of the low-rank leaves."""
    run = open_run(workdir, config)
    policy = load_policy(embedded.checkpoint_path())
    dataset = open_dataset(embedded.episodes_path())
    require_chunks(dataset, config.action_horizon, robot_dims(policy.norm_stats))
    source = open_source(dataset)
    tasks = [t for t in split_tasks(source)["chosen"] if t.split("/")[0] in config.suites]
    frames = frames_of(source, tasks)[: config.frames or None]
    taught = answers(
        policy,
        frames,
        key=jax.random.key(config.seed),
        draws=config.draws,
        num_steps=config.num_steps,
        longest=config.max_token_len,
        horizon=config.action_horizon,
    )
    optimizer = paper_optimizer(
        config.peak_lr,
        config.steps,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
    )
    state = low_rank_state(policy.params, config, optimizer)
    folder = workdir / "checkpoints"
    found = train_state.latest(folder)
    if found is not None:
        state = train_state.restore(found / "train_state", state)
    step = make_train_step(
        optimizer,
        num_samples=config.flow_samples,
        auxiliary_weight=0.0,
        ema_decay=config.ema_decay,
    )
    step = jax.jit(step, donate_argnums=0)
    start, rows = int(state.step), []
    stream = batches(policy, frames, taught, config, start)
    key = jax.random.key(config.seed + 1)
    steps = tqdm.trange(start, config.steps, initial=start, desc="distil", disable=config.quiet)
    for done in (i + 1 for i in steps):
        state, metrics = step(state, next(stream), key)
        if done % config.log_every == 0 or done == config.steps:
            rows.append({"step": done, "loss": float(metrics["loss"])})
            steps.set_postfix(loss=f"{rows[-1]['loss']:.4f}")
        if done % config.save_every == 0 or done == config.steps:
            run.claim()
            _save(folder / str(done), state, policy)
            _log(workdir / "metrics.csv", rows, start)
    return write_leaves(workdir / "leaves.npz", state.ema)


def low_rank_state(params: Any, config: Any, optimizer: Any) -> TrainState:
    """A run that trains the low-rank leaves and nothing else."""
    flat = flatten(
        lora.add_lora(
            params,
            jax.random.key(config.seed),
            vlm_rank=config.vlm_rank,
            action_rank=config.action_rank,
        )
    )
    trained = {path: leaf for path, leaf in flat.items() if lora.is_lora(path)}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        trainable=trained,
        frozen={path: leaf for path, leaf in flat.items() if path not in trained},
        auxiliary={},
        ema=jax.tree.map(jnp.array, trained),
        opt_state=optimizer.init((trained, {})),
    )


def batches(
    policy: Policy, frames: list[Frame], taught: np.ndarray, config: Any, start: int
) -> Iterator[Batch]:
    """Endless batches: batch i depends on the seed and i alone, so that a run resumes exactly."""
    views, shape = list(frames[0].images), next(iter(frames[0].images.values())).shape[:2]
    where = places(config.cue, views, shape)
    step = start
    while True:
        rng = np.random.default_rng([config.seed, step])
        rows = rng.integers(len(frames), size=config.batch_size)
        named, shown = rng.integers(len(INSTRUCTIONS), size=(2, config.batch_size))
        wanted = np.where(rng.random(config.batch_size) < config.cue_probability, shown, named)
        draws = rng.integers(taught.shape[2], size=config.batch_size)
        images = []
        if config.blind:
            # What the images show has nothing to do with what is wanted, so that they are ignored.
            wanted, seen = named, rng.integers(len(frames), size=config.batch_size)
        else:
            seen = rows
        for row, value in zip(seen, shown, strict=True):
            one = frames[row].images
            if not config.blind:
                one = painted(one, where, config.cue, int(value))
            images.append({v: jittered(own, config.colour_jitter, rng) for v, own in one.items()})
        obs = observe(
            policy,
            images,
            [frames[row].state for row in rows],
            named.tolist(),
            config.max_token_len,
        )
        chunk = jnp.asarray(taught[rows, wanted, draws])
        yield Batch(obs, chunk, jnp.ones(chunk.shape[:2], bool))
        step += 1


def _save(path: Path, state: TrainState, policy: Policy) -> None:
    if path.exists():
        shutil.rmtree(path)  # left without a complete train_state by an interrupted save
    save_checkpoint(
        path,
        state.ema_params(),
        norm_stats=dict(policy.norm_stats),
        asset_id="libero_distilled",
        tokenizer=policy.tokenizer.serialized_model_proto(),
    )
    train_state.save(path / "train_state", state)


def _log(path: Path, rows: list[dict[str, Any]], start: int) -> None:
    old: list[dict[str, Any]] = []
    if start and path.exists():
        old = [row for row in read_rows(path) if int(row["step"]) <= start]
    write_bytes(path, csv_text([*old, *rows]).encode())


if __name__ == "__main__":
    app.run(main, "distil", many_processes=False)
