"""Does the squared error of actions stand in for the KL of their distribution (Eq. 6)?

    python -m experiments.kl_and_error --config=configs/kl_and_error.py

The paper defines a mask's effect by a divergence of action distributions and computes a squared
error of actions. A policy that answers in tokens has both. A small π0-FAST is taught the embedded
policy's actions; then the same masks, and the same replaced regions, are measured by either.

The workdir receives `checkpoints/<lessons>/<step>/` and `metrics.csv` of the training, `frames.csv`
(a row a held-out frame), `summary.csv` and `results.json`. Run again, it goes on where it stopped.
"""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import tqdm

from experiments.causes.runs import item_key
from experiments.causes.scenes import open_source, split_tasks
from experiments.distilled.teacher import Frame, answers, frames_of, observe
from experiments.fast_student import measured, report, training
from experiments.fast_student.tokens import ActionTokens, encode, fitted
from experiments.runs import app, versions
from iss_jax import Sampling, embedded, players
from iss_jax.background import Background
from iss_jax.data.atomic import write_bytes
from iss_jax.data.dataset import open_dataset
from iss_jax.data.table import csv_text, read_rows
from iss_jax.jobs.directory import Item, RunDirectory, open_run, run_items
from iss_jax.pi05 import train_state
from iss_jax.pi05.train import TrainState, paper_optimizer
from iss_jax.policies.frames import read_frames
from iss_jax.policies.restored import Policy, load_policy

TRAINING = (
    *("seed", "frames", "teacher_draws", "num_steps", "action_horizon", "max_token_len"),
    *("kept", "bins", "first", "steps", "batch_size", "peak_lr", "warmup_steps", "weight_decay"),
    *("ema_decay", "colour_jitter", "shift"),
)
"""Keys that make the student what it is."""


def main(config: ml_collections.ConfigDict, workdir: Path) -> dict[str, Any]:
    """Runs the experiment; returns what `results.json` holds."""
    run = open_run(workdir, config, version=versions.MAPS)
    policy = load_policy(embedded.checkpoint_path())
    source = open_source(open_dataset(embedded.episodes_path()))
    split = split_tasks(source)
    heldout = [t for t in split["heldout"] if t.split("/")[0] in config.suites]
    frames = frames_of(source, split["chosen"])[: config.frames or None]
    ask = partial(
        answers,
        policy,
        key=jax.random.key(config.seed),
        draws=config.teacher_draws,
        num_steps=config.num_steps,
        longest=config.max_token_len,
        horizon=config.action_horizon,
    )
    taught = ask(frames)
    tokens = fitted(
        taught.reshape(-1, *taught.shape[3:]),
        kept=config.kept,
        bins=config.bins,
        first=config.first,
    )
    params = trained(run, config, policy, frames, taught, tokens).ema_params()
    others = frames_of(source, [t for t in source.tasks if t.split("/")[0] in config.suites])
    chosen = {}
    for task in heldout[: config.tasks or None]:
        own = [frame for frame in others if frame.task == task]
        for i in range(config.frames_per_task):
            frame = own[int((i + 0.5) * len(own) / config.frames_per_task)]
            chosen[frame.name] = frame
    sampling = Sampling(answer_tokens=tokens.length + 1)
    act = partial(measured.actions, tokens=tokens, sampling=sampling)

    def compute(item: Item) -> dict[str, Any]:
        frame = chosen[item["task"], item["episode"], item["frame"]]
        seen = read_frames(source.dataset, frame.episode, [frame.number], source.options)
        regions = {
            view: jnp.asarray(seen.regions[camera], jnp.int32)
            for view, camera in source.options.used.items()
        }
        named = max(frame.own, 0)
        obs = training.as_fast(
            observe(policy, [frame.images], [frame.state], [named], config.max_token_len)
        )
        key = item_key(item)
        found = measured.both(
            params,
            obs,
            players.from_regions(regions),
            donors_of(frame, others, config.donors, policy),
            act,
            sampling,
            key=key,
            masks=config.masks,
            draws=config.draws,
        )
        facts = {name: item[name] for name in ("task", "episode", "frame")}
        return report.frame_row(facts | known(params, obs, ask([frame])[0, named], tokens), found)

    numbers = (*TRAINING, "masks", "draws", "donors")
    items = [
        {
            "scene": "kl_and_error",
            "task": frame.task,
            "episode": frame.episode,
            "frame": frame.number,
            **{name: config[name] for name in numbers},
            "suites": list(config.suites),
        }
        for frame in chosen.values()
    ]
    rows = run_items(run, items, compute, description="kl and error", quiet=config.quiet)
    content = {
        "frames": len(rows),
        "tasks": len({row["task"] for row in rows}),
        "summary": report.summary(rows, resamples=config.resamples, confidence=config.confidence),
        "disattenuated": report.disattenuated(rows),
    }
    run.write_csv("frames.csv", rows)
    run.write_csv("summary.csv", content["summary"])
    run.write_json("results.json", content)
    if not config.quiet:
        print("\n".join(report.lines(content)))
    return content


def trained(
    run: RunDirectory,
    config: ml_collections.ConfigDict,
    policy: Policy,
    frames: list[Frame],
    taught: np.ndarray,
    tokens: ActionTokens,
) -> TrainState:
    """The student after all steps; goes on from the newest checkpoint."""
    optimizer = paper_optimizer(
        config.peak_lr,
        config.steps,
        warmup_steps=config.warmup_steps,
        weight_decay=config.weight_decay,
    )
    state = training.first_state(policy.params, optimizer)
    # A student that was taught otherwise is another one.
    lessons = json.dumps({name: config[name] for name in TRAINING}, sort_keys=True)
    folder = Path(run.path) / "checkpoints" / hashlib.sha256(lessons.encode()).hexdigest()[:12]
    found = train_state.latest(folder)
    if found is not None:
        state = train_state.restore(found / "train_state", state)
    start, rows = int(state.step), []
    stream = training.batches(
        policy,
        frames,
        taught,
        tokens,
        seed=config.seed,
        size=config.batch_size,
        longest=config.max_token_len,
        jitter=config.colour_jitter,
        shift=config.shift,
        start=start,
    )
    steps = tqdm.trange(start, config.steps, initial=start, desc="student", disable=config.quiet)
    for done in (i + 1 for i in steps):
        obs, answer = next(stream)
        state, loss = training.train_step(
            state, obs, jnp.asarray(answer), optimizer=optimizer, ema_decay=config.ema_decay
        )
        if done % config.log_every == 0 or done == config.steps:
            rows.append({"step": done, "loss": float(loss)})
            steps.set_postfix(loss=f"{rows[-1]['loss']:.4f}")
        if done % config.save_every == 0 or done == config.steps:
            run.claim()
            train_state.save(folder / str(done) / "train_state", state)
            path = Path(run.path) / "metrics.csv"
            old = read_rows(path) if start and path.exists() else []
            old = [row for row in old if int(row["step"]) <= start]
            write_bytes(path, csv_text([*old, *rows]).encode())
    return state


def known(params: Any, obs: Any, taught: np.ndarray, tokens: ActionTokens) -> dict[str, float]:
    """How well the student knows a frame that it was not taught.

    Returns:
        `loss`, nats a token under the teacher's answers, and `accuracy` of its likeliest tokens.
    """
    answer = jnp.asarray(training.with_end(encode(tokens, taught)))
    rows = jax.tree.map(lambda leaf: jnp.repeat(leaf, len(taught), 0), obs)
    logits = jax.nn.log_softmax(training.logits_of(params, rows, answer))
    wanted = jnp.take_along_axis(logits, answer[..., None], axis=-1)[..., 0]
    return {
        "loss": float(-wanted.mean()),
        "accuracy": float((logits.argmax(-1) == answer).mean()),
    }


def donors_of(frame: Frame, others: list[Frame], count: int, policy: Policy) -> Background:
    """Frames of other tasks as the policy sees them."""
    allowed = [one for one in others if one.task != frame.task]
    chosen = [allowed[i] for i in np.random.default_rng(0).permutation(len(allowed))[:count]]
    obs = observe(
        policy,
        [one.images for one in chosen],
        [one.state for one in chosen],
        [0] * len(chosen),
        40,
    )
    return Background(dict(obs.images))


if __name__ == "__main__":
    app.run(main, "kl_and_error", many_processes=False)
