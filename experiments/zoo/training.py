"""One policy of the zoo, taught by its recipe: low-rank leaves beside the embedded policy's."""

import functools
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tqdm

from experiments.zoo.design import Recipe
from experiments.zoo.frames import Frames
from experiments.zoo.lessons import Answers, lessons, observation
from iss_jax.data.atomic import write_bytes
from iss_jax.data.table import csv_text, read_rows
from iss_jax.pi05 import lora, train_state
from iss_jax.pi05.params import flatten
from iss_jax.pi05.train import Batch, TrainState, make_train_step, paper_optimizer
from iss_jax.policies.low_rank import write_leaves
from iss_jax.policies.restored import Policy


def train(
    recipe: Recipe,
    policy: Policy,
    frames: Frames,
    taught: Answers,
    options: Any,
    folder: Path,
    *,
    quiet: bool = False,
) -> Path:
    """Trains one policy to its end, unless it is there; an interrupted run goes on.

    Args:
        recipe: Of the policy.
        policy: What it starts from.
        frames: What it is taught on.
        taught: The teacher's actions on them.
        options: Key `train` of the configuration.
        folder: Of this policy.
        quiet: Whether there is no bar.

    Returns:
        The file of its low-rank leaves, in half precision. `training.csv` beside it holds losses
        and what training has cost so far, in seconds of this process.
    """
    path = folder / "leaves.npz"
    if path.exists():
        return path
    optimizer, step = _compiled(
        options.peak_lr,
        options.steps,
        options.warmup_steps,
        options.weight_decay,
        options.flow_samples,
        options.ema_decay,
    )
    state = low_rank_state(policy.params, recipe.seed, options, optimizer)
    found = train_state.latest(folder / "checkpoints")
    rows: list[dict[str, Any]] = []
    if found is not None:
        state = train_state.restore(found / "train_state", state)
        rows = [
            {"step": int(r["step"]), "loss": float(r["loss"]), "seconds": float(r["seconds"])}
            for r in read_rows(folder / "training.csv")
        ]
        rows = [row for row in rows if row["step"] <= int(state.step)]
    start = int(state.step)
    spent = (rows[-1]["seconds"] if rows else 0.0) - time.process_time()
    stream = batches(recipe, policy, frames, taught, options, start)
    key = jax.random.key(recipe.seed + 1)
    steps = tqdm.trange(start, options.steps, initial=start, desc=recipe.name, disable=quiet)
    for done in (i + 1 for i in steps):
        state, metrics = step(state, next(stream), key)
        last = done == options.steps
        if done % options.log_every == 0 or done % options.save_every == 0 or last:
            seconds = round(spent + time.process_time(), 1)
            rows.append({"step": done, "loss": float(metrics["loss"]), "seconds": seconds})
            steps.set_postfix(loss=f"{rows[-1]['loss']:.4f}")
            write_bytes(folder / "training.csv", csv_text(rows).encode())
        if done % options.save_every == 0 and not last:
            target = folder / "checkpoints" / str(done) / "train_state"
            shutil.rmtree(target.parent, ignore_errors=True)
            train_state.save(target, state)
    write_leaves(path, state.ema)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return path


@functools.lru_cache(maxsize=1)
def _compiled(
    peak_lr: float,
    steps: int,
    warmup_steps: int,
    weight_decay: float,
    flow_samples: int,
    ema_decay: float,
) -> tuple[Any, Callable[..., Any]]:
    """Optimiser and step: all policies of a run share one program."""
    optimizer = paper_optimizer(
        peak_lr, steps, warmup_steps=warmup_steps, weight_decay=weight_decay
    )
    step = make_train_step(
        optimizer, num_samples=flow_samples, auxiliary_weight=0.0, ema_decay=ema_decay
    )
    return optimizer, jax.jit(step, donate_argnums=0)


def low_rank_state(params: Any, seed: int, options: Any, optimizer: Any) -> TrainState:
    """A run that trains the low-rank leaves and nothing else."""
    key = jax.random.key(seed)
    ranks = {"vlm_rank": options.vlm_rank, "action_rank": options.action_rank}
    flat = flatten(lora.add_lora(params, key, **ranks))
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
    recipe: Recipe, policy: Policy, frames: Frames, taught: Answers, options: Any, start: int
) -> Iterator[Batch]:
    """Endless batches: batch i depends on the recipe and i alone, so that a run resumes exactly."""
    step = start
    while True:
        rng = np.random.default_rng([recipe.seed, step])
        drawn = lessons(recipe, frames, taught, rng, options.batch_size, options.misnamed)
        obs = observation(policy, drawn.images, drawn.state, drawn.named, options.max_token_len)
        chunk = jnp.asarray(drawn.actions)
        yield Batch(obs, chunk, jnp.ones(chunk.shape[:2], bool))
        step += 1
