"""Fine-tune a π0.5, or train a small one, by supervised flow matching.

    python -m experiments.train --config=configs/train.py --workdir=runs/train

Writes checkpoints in openpi's layout under `<workdir>/checkpoints/<step>/` (`params` holds the
moving average), `metrics.csv`, and the curves of Figure 9 in `figures/training.png`. Run again, it
goes on from the newest checkpoint.
"""

import dataclasses
import math
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import tqdm
from etils import epath

from experiments.making.frames import Frames, load_frames
from experiments.making.panel_masks import unpacked
from experiments.planted.cue import plant
from experiments.runs import app
from iss_jax import embedded
from iss_jax.data.atomic import atomic_path, write_bytes
from iss_jax.data.table import csv_text, read_rows
from iss_jax.jobs.directory import open_run
from iss_jax.pi05 import (
    lora,
    normalize,
    params as pi05_params,
    tokenizer as pi05_tokenizer,
    train as pi05_train,
    train_state,
)
from iss_jax.pi05.checkpoint import restore_params, save_checkpoint
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.observation import Observation, preprocess
from iss_jax.pi05.train import (
    Batch,
    TrainState,
    flow_matching_loss,
    init_state,
    make_train_step,
    paper_optimizer,
)
from iss_jax.policies.configs import CONFIGS
from iss_jax.policies.openpi import checkpoint_tokenizer


def model_sizes(model: Any, vocab: int) -> pi05_params.Sizes:
    """A config's `model` section as `Sizes`."""
    return pi05_params.Sizes(
        image=pi05_params.ImageTower(**model.image),
        vlm=pi05_params.Expert(**model.vlm),
        action=pi05_params.Expert(**model.action),
        depth=model.depth,
        heads=model.heads,
        kv_heads=1,
        head_dim=model.head_dim,
        vocab=vocab,
        action_dim=model.action_dim,
    )


def dataset_statistics(frames: Frames, minimum_range: float) -> dict[str, normalize.NormStats]:
    """Normalisation statistics of states and of valid chunk actions.

    Args:
        frames: training frames.
        minimum_range: action quantiles closer than this are moved apart about their centre.
    """
    action = normalize.statistics(frames.chunk[frames.valid])
    assert action.q01 is not None and action.q99 is not None
    centre = (action.q01 + action.q99) / 2
    half = np.maximum((action.q99 - action.q01) / 2, minimum_range / 2)
    state = normalize.statistics(frames.state)
    return {
        "state": state,
        "actions": action._replace(q01=centre - half, q99=centre + half),
    }


def smooth_number_embeddings(tree: dict, tokenizer: Any, key: jax.Array) -> dict:
    """Start the state bins' embeddings as smooth functions of the bin: random Fourier features."""
    table = tree["PaliGemma"]["llm"]["embedder"]["input_embedding"]
    bins = np.arange(pi05_tokenizer.NUM_BINS)
    ids = jnp.asarray([tokenizer.piece_to_id(f"▁{i}") for i in bins])
    frequency_key, phase_key = jax.random.split(key)
    width = table.shape[1]
    frequency = 2.0 ** jax.random.uniform(frequency_key, (1, width), minval=-1.0, maxval=4.0)
    phase = jax.random.uniform(phase_key, (1, width), maxval=2 * math.pi)
    x = jnp.asarray(bins / pi05_tokenizer.NUM_BINS, jnp.float32)[:, None]
    smooth = jnp.sin(2 * math.pi * frequency * x + phase) * math.sqrt(2 / width)
    tree["PaliGemma"]["llm"]["embedder"]["input_embedding"] = table.at[ids].set(smooth)
    return tree


def change_vocabulary(tree: dict, old: Any, new: Any, key: jax.Array) -> dict:
    """Gives a model another vocabulary: shared pieces keep their embeddings, others are drawn."""
    table = np.asarray(tree["PaliGemma"]["llm"]["embedder"]["input_embedding"])
    size = new.vocab_size()
    drawn = np.array(jax.random.normal(key, (size, table.shape[1])) / math.sqrt(table.shape[1]))
    known = {old.id_to_piece(i): i for i in range(old.vocab_size())}
    for i in range(size):
        row = known.get(new.id_to_piece(i))
        if row is not None:
            drawn[i] = table[row]
    tree["PaliGemma"]["llm"]["embedder"]["input_embedding"] = jnp.asarray(drawn)
    return tree


def colour_jitter(strength: float) -> Callable[[jax.Array, Observation], Observation]:
    """Random brightness and contrast, drawn for every view and example."""

    def augment(key: jax.Array, obs: Observation) -> Observation:
        images = {}
        for i, (view, image) in enumerate(obs.images.items()):
            shift_key, scale_key = jax.random.split(jax.random.fold_in(key, i))
            shape = (image.shape[0], 1, 1, 1)
            scale = 1 + jax.random.uniform(scale_key, shape, minval=-strength, maxval=strength)
            shift = jax.random.uniform(shift_key, shape, minval=-strength, maxval=strength)
            images[view] = jnp.clip(image * scale + shift, -1.0, 1.0)
        return dataclasses.replace(obs, images=images)

    return augment


def batches(
    frames: Frames,
    stats: dict,
    tokenizer: Any,
    config: Any,
    size: int,
    target_scale: tuple[np.ndarray, np.ndarray],
    seed: int,
    start: int = 0,
    action_dim: int = 0,
) -> Iterator[Batch]:
    """Endless batches: batch i depends on `seed` and i alone, so that a run resumes exactly.

    Actions are padded to `action_dim`, that of `config.model` when 0.
    """
    chunk = normalize.normalize(frames.chunk, stats["actions"], "quantiles")
    pad = (action_dim or config.model.action_dim) - chunk.shape[-1]
    chunk = np.pad(chunk, ((0, 0), (0, 0), (0, pad)))
    spread = (stats["state"].q99 - stats["state"].q01) / 2
    step = start
    while True:
        rng = np.random.default_rng([seed, step])
        rows = rng.integers(len(frames), size=size)
        state = frames.state[rows]
        state = state + config.state_noise * spread * rng.standard_normal(state.shape)
        images = {camera: image[rows] for camera, image in frames.images.items()}
        prompts = [frames.prompts[i] for i in frames.prompt[rows]]
        if frames.panels is not None:
            masks = {c: unpacked(frames.panels[c][rows], i.shape[1:3]) for c, i in images.items()}
            shares = config.cue_probability, config.misnamed_share
            images, prompts = plant(images, prompts, masks, *shares, rng)
        obs = make_observation(
            images,
            state,
            prompts,
            tokenizer=tokenizer,
            norm_stats=stats,
            max_token_len=config.max_token_len,
        )
        target = (frames.target[rows] - target_scale[0]) / target_scale[1]
        objects = wanted = None
        if frames.objects is not None and frames.wanted is not None:
            labels = patch_labels(frames.objects[rows], config.model.image.tokens)
            objects = jnp.asarray(labels)
            wanted = jnp.asarray(labels[np.arange(size), ..., frames.wanted[rows]])
        yield Batch(
            obs,
            jnp.asarray(chunk[rows]),
            jnp.asarray(frames.valid[rows]),
            jnp.asarray(target, jnp.float32),
            objects,
            wanted,
        )
        step += 1


def patch_labels(pixels: np.ndarray, tokens: int) -> np.ndarray:
    """Which objects have their centre in which patch.

    Args:
        pixels: [b, views, kinds, 2], column and row as fractions of the image; NaN out of view.
        tokens: patches of an image, a square number.

    Returns:
        bool [b, views, tokens, kinds].
    """
    side = math.isqrt(tokens)
    seen = np.isfinite(pixels).all(axis=-1, keepdims=True)
    column, row = np.floor(np.nan_to_num(pixels) * side).astype(int).clip(0, side - 1).T
    patch = (row * side + column).T
    inside = np.equal(patch[..., None], np.arange(tokens)) & seen
    return np.moveaxis(inside, -1, -2)


def prefetch(iterator: Iterator[Any], depth: int = 4) -> Iterator[Any]:
    """Run `iterator` in a thread, `depth` items ahead; its error is raised where it is consumed."""
    items: queue.Queue = queue.Queue(depth)

    def work() -> None:
        try:
            for item in iterator:
                items.put((item, None))
        except BaseException as error:
            items.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    while True:
        item, error = items.get()
        if error is not None:
            raise error
        yield item


def wanted_horizon(config: Any) -> tuple[int | None, str]:
    """Length that the chunks must have, and who says so; None where nobody does."""
    if config.action_horizon:
        return config.action_horizon, "config.action_horizon"
    if config.init_from == "embedded":
        # Parameters do not tell it, but of this one it is known.
        return CONFIGS["embedded"].action_horizon, "the embedded policy, unless you say otherwise"
    return None, ""


def check_dimensions(
    frames: Frames, action_dim: int, stats: dict[str, normalize.NormStats]
) -> None:
    """Says that chunks are of another robot than the statistics, or wider than the model.

    Raises:
        ValueError: They are; the message names both.
    """
    dims, known = frames.chunk.shape[-1], len(stats["actions"].mean)
    if dims != known:
        raise ValueError(
            f"config.datasets: action_chunk of {dims} dimensions, the run began with {known}"
        )
    if dims > action_dim:
        raise ValueError(
            f"config.datasets: action_chunk of {dims} dimensions, the model has {action_dim} "
            "(config.model.action_dim, or the checkpoint's)"
        )


def run(config: Any, workdir: Path, claim: Callable[[], None] = lambda: None) -> epath.Path:
    """Trains to `config.steps`, or to `config.stop_after`.

    Args:
        config: of `configs/train.py`.
        workdir: what it says is read and checked, and a step done, before anything lies there.
        claim: called before something is written.

    Returns:
        The last checkpoint's folder.
    """
    checkpoints = epath.Path(workdir) / "checkpoints"
    found = train_state.latest(checkpoints)
    horizon, whose = wanted_horizon(config)
    train, validation = load_frames(
        config.datasets,
        validation_every=config.validation_every,
        panels=config.planted,
        action_horizon=horizon,
        whose=whose,
    )
    # What a run's numbers and tokens mean stays as it began, also where datasets are added.
    if found is None:
        stats = dataset_statistics(train, config.minimum_action_range)
    else:
        stats = normalize.load_norm_stats(found)
    target_scale = (train.target.mean(0), train.target.std(0) + 1e-3)

    if config.init_from:
        source = embedded.checkpoint_path() if config.init_from == "embedded" else config.init_from
        tree = restore_params(source)
        if config.instructions:
            own = pi05_tokenizer.load_tokenizer(epath.Path(source) / "assets")
            if found is None:
                proto = pi05_tokenizer.train_tokenizer((*train.prompts, *config.instructions))
            else:
                proto = (found / "assets" / "tokenizer.model").read_bytes()
            processor = pi05_tokenizer.open_tokenizer(proto)
            tree = change_vocabulary(tree, own, processor, jax.random.key(config.seed))
        else:
            processor = checkpoint_tokenizer(source, config.tokenizer or None)
            proto = processor.serialized_model_proto()
        if config.lora:
            tree = lora.add_lora(
                tree,
                jax.random.key(config.seed),
                vlm_rank=config.lora_vlm_rank,
                action_rank=config.lora_action_rank,
            )
    else:
        if found is None:
            proto = pi05_tokenizer.train_tokenizer((*train.prompts, *config.instructions))
        else:
            proto = (found / "assets" / "tokenizer.model").read_bytes()
        processor = pi05_tokenizer.open_tokenizer(proto)
        init_key, number_key = jax.random.split(jax.random.key(config.seed))
        tree = pi05_params.init(init_key, model_sizes(config.model, processor.vocab_size()))
        tree = smooth_number_embeddings(tree, processor, number_key)
    sizes = pi05_params.sizes_of(tree)
    check_dimensions(train, sizes.action_dim, stats)
    print(f"{pi05_params.count(tree):,} parameters, {len(train):,} training frames")

    optimizer = paper_optimizer(
        config.peak_lr,
        config.steps,
        warmup_steps=config.warmup_steps,
        end_lr=config.end_lr,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
    )
    kinds = 0 if train.objects is None else train.objects.shape[2]
    state = init_state(
        tree,
        optimizer,
        train_only_lora=config.lora,
        auxiliary=pi05_train.init_auxiliary(
            sizes.vlm.width, target=3, kinds=kinds, wanted=kinds > 0
        )
        if config.auxiliary_weight
        else None,
    )
    if found is not None:
        state = train_state.restore(found / "train_state", state)
        print(f"resumed from {found}")

    # As many devices as divide the batch evenly.
    devices = jax.devices()[: math.gcd(len(jax.devices()), config.batch_size)]
    mesh = jax.sharding.Mesh(np.asarray(devices), ("batch",))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("batch"))
    state = jax.device_put(state, everywhere)

    base = make_train_step(
        optimizer,
        num_samples=config.flow_samples,
        auxiliary_weight=config.auxiliary_weight,
        ema_decay=config.ema_decay,
        dtype=jnp.dtype(config.dtype),
        augment=colour_jitter(config.colour_jitter) if config.colour_jitter else None,
    )

    def prepare(batch: Batch) -> Batch:
        return batch._replace(obs=preprocess(batch.obs, sizes.image.image_size))

    @jax.jit
    def evaluate(state: TrainState, batch: Batch, key: jax.Array):
        return flow_matching_loss(
            state.ema_params(), state.auxiliary, prepare(batch), key, num_samples=4
        )

    step = jax.jit(lambda state, batch, key: base(state, prepare(batch), key), donate_argnums=0)
    key = jax.random.key(config.seed + 1)
    start = int(state.step)
    make = lambda frames, size, seed, first: batches(  # noqa: E731
        frames, stats, processor, config, size, target_scale, seed, first, sizes.action_dim
    )
    stream = prefetch(make(train, config.batch_size, config.seed, start))
    held_out = None
    if validation is not None:
        held_out = next(make(validation, min(256, len(validation)), 12345, 0))
    rows = _read_metrics(workdir / "metrics.csv", start)
    end = min(config.steps, config.stop_after or config.steps)
    if found is not None and start >= end:
        return found
    bar = tqdm.trange(start, end, initial=start, total=config.steps, desc="train")
    for i in bar:
        state, metrics = step(state, jax.device_put(next(stream), split), key)
        done = i + 1
        saving = done % config.save_every == 0 or done == end
        if done % config.log_every == 0 or saving:
            row = {"step": done, **{name: float(value) for name, value in metrics.items()}}
            bar.set_postfix({name: f"{row[name]:.4f}" for name in ("loss", *state.auxiliary)})
            rows.append(row)
        if saving:
            if held_out is not None:
                flow, errors = evaluate(state, held_out, jax.random.key(7))
                losses = {"loss": flow, **errors}
                rows[-1] |= {f"validation_{name}": float(loss) for name, loss in losses.items()}
                text = ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items())
                tqdm.tqdm.write(f"{done}: validation {text}")
            claim()
            _write_metrics(workdir / "metrics.csv", rows)
            _save(checkpoints / str(done), state, stats, config.asset_id, proto)
            _prune(checkpoints, config.keep)
    _plot(rows, workdir / "figures" / "training.png")
    return checkpoints / str(end)


def _save(path: epath.Path, state: TrainState, stats: dict, asset_id: str, proto: bytes) -> None:
    if path.exists():
        path.rmtree()  # left without a complete train_state by an interrupted save
    save_checkpoint(path, state.ema_params(), norm_stats=stats, asset_id=asset_id, tokenizer=proto)
    train_state.save(path / "train_state", state)


def _prune(checkpoints: epath.Path, keep: int) -> None:
    steps = [step for step in checkpoints.iterdir() if step.name.isdigit()]
    for step in sorted(steps, key=lambda step: int(step.name))[:-keep]:
        step.rmtree()


def _read_metrics(path: Path, start: int) -> list[dict[str, float]]:
    if not path.exists():
        return []
    try:
        rows = [
            {name: float(value) for name, value in row.items() if value} for row in read_rows(path)
        ]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a table of metrics ({error})") from error
    return [{**row, "step": int(row["step"])} for row in rows if row["step"] <= start]


def _write_metrics(path: Path, rows: list[dict[str, float]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = [{name: row.get(name, "") for name in names} for row in rows]
    write_bytes(path, csv_text(table).encode())


def _plot(rows: list[dict[str, float]], path: Path) -> None:
    from experiments.making.curves import training_curves

    with atomic_path(path) as temporary:
        training_curves(rows).savefig(temporary, dpi=150)


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    directory = open_run(workdir, config)
    print(f"checkpoint: {run(config, workdir, directory.claim)}")


if __name__ == "__main__":
    app.run(main, "train", many_processes=False)
