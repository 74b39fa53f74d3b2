"""Explanations side by side on chosen frames: `configs/method_overlays.py` says how to run it.

Writes `figures/episode_<e>_frame_<f>.png` (a row a method, a column a view, as Figure 12),
`results.csv` (NMR of every frame, method and view beside its chance level), `results.json`,
`correlations.csv` (Pearson's r of every two methods' maps of a frame) and `report.html`.
The maps themselves lie in `items/`.
"""

import dataclasses
import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments.runs import app
from iss_jax import ISSConfig, embedded, nmr
from iss_jax.data.lerobot import LeRobotDataset, open_dataset
from iss_jax.jobs.directory import RunDirectory, open_run, run_items
from iss_jax.methods import TITLES, Settings, explain
from iss_jax.policies.frames import Observed, observed
from iss_jax.policies.restored import Policy, load_policy
from iss_jax.viz.methods import Panel, methods_figure

ALL = "all"  # the views together


@dataclasses.dataclass(frozen=True)
class Options:
    """One attribute per key of `configs/method_overlays.py`, which says what each means."""

    quiet: bool
    checkpoint: str
    dataset: str
    frames: tuple[tuple[int, int], ...]
    tokenizer: str
    dtype: str
    cameras: dict[str, str]
    discrete_state_input: bool
    max_token_len: int
    action_horizon: int
    num_steps: int
    methods: tuple[str, ...]
    seed: int
    iss: dict[str, Any]
    probes: int
    gradient_masks: int
    percent: float


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    content = {key: value for key, value in config.to_dict().items() if key != "name"}
    options = Options(**content)
    for key in ("checkpoint", "dataset"):
        if not getattr(options, key):
            raise ValueError(f"config.{key}: empty; give --config.{key}=<path>")
    run = open_run(workdir, config)
    embedded_policy = options.checkpoint == "embedded"
    policy = load_policy(
        embedded.checkpoint_path() if embedded_policy else options.checkpoint,
        tokenizer=options.tokenizer,
        dtype=options.dtype,
    )
    iss = dict(options.iss)
    iss["action_dims"] = iss["action_dims"] or len(policy.norm_stats["actions"].mean)
    settings = Settings(
        ISSConfig(**iss),
        options.action_horizon,
        options.num_steps,
        options.probes,
        options.gradient_masks,
    )
    dataset = open_dataset(options.dataset)
    items = [_item(options, settings, policy, dataset, *frame) for frame in options.frames]
    results = run_items(
        run,
        items,
        lambda item: _compute(item, options, settings, policy, dataset),
        description="explanations, frame by frame",
        quiet=options.quiet,
    )
    rows, pairs = [], []
    for item, result in zip(items, results, strict=True):
        seen = _seen(item, options, policy, dataset)
        own = _rows(item, result, options, seen)
        _write_figure(run, item, result, own, seen, _title(item, dataset))
        rows += own
        pairs += _correlations(item, result, seen)
    run.write_csv("results.csv", rows)
    run.write_csv("correlations.csv", pairs)
    run.write_json("results.json", rows)
    if not options.quiet:
        for row in rows:
            if row["view"] == ALL:
                print(
                    f"episode {row['episode']}, frame {row['frame']:>3}: {row['method']:<20} "
                    f"nmr {row['nmr']:.2f}, chance {row['chance']:.2f}"
                )
    return rows


def _item(
    options: Options,
    settings: Settings,
    policy: Policy,
    dataset: LeRobotDataset,
    episode: int,
    frame: int,
) -> dict[str, Any]:
    names = ("methods", "dtype", "discrete_state_input", "max_token_len", "seed", "percent")
    return {
        "experiment": "method_overlays",
        "checkpoint": policy.fingerprint,
        "data": hashlib.sha256(dataset.data_path(episode).read_bytes()).hexdigest()[:16],
        "episode": episode,
        "frame": frame,
        "cameras": {view: camera for view, camera in options.cameras.items() if camera},
        **{name: getattr(options, name) for name in names},
        **settings._asdict(),
        "iss": dataclasses.asdict(settings.iss),
        "methods": list(options.methods),
    }


def _seen(
    item: Mapping[str, Any], options: Options, policy: Policy, dataset: LeRobotDataset
) -> Observed:
    return observed(
        dataset.read(item["episode"], [item["frame"]]),
        [0],
        policy,
        options.cameras,
        max_token_len=options.max_token_len,
        discrete_state_input=options.discrete_state_input,
    )


def _compute(
    item: Mapping[str, Any],
    options: Options,
    settings: Settings,
    policy: Policy,
    dataset: LeRobotDataset,
) -> dict[str, Any]:
    seen = _seen(item, options, policy, dataset)
    key = jax.random.fold_in(jax.random.key(item["seed"]), item["episode"])
    key = jax.random.fold_in(key, item["frame"])
    found = explain(policy.params, seen.obs, key, options.methods, settings)
    return {
        method: {view: np.asarray(maps[view][0]) for view in seen.images}
        for method, maps in found.items()
    }


def _title(item: Mapping[str, Any], dataset: LeRobotDataset) -> str:
    line = dataset.metadata(item["episode"])
    time = item["frame"] / dataset.info["fps"]
    outcome = ", success" if line.get("success") else ", failure" if "success" in line else ""
    return f"episode {item['episode']} at {time:.1f} s: {line['tasks'][0]}{outcome}"


def _maps(result: Mapping[str, Any], method: str) -> dict[str, jax.Array]:
    return {view: jnp.asarray(m, jnp.float32) for view, m in result[method].items()}


def _rows(
    item: Mapping[str, Any], result: Mapping[str, Any], options: Options, seen: Observed
) -> list[dict[str, Any]]:
    """A row per method and view, and one per method of the views together."""
    regions = {view: jnp.asarray(labels[0]) for view, labels in seen.regions.items()}
    valid = {view: jnp.asarray(inside[0]) for view, inside in seen.valid.items()}
    call = {"k": options.percent, "valid": valid}
    chance = nmr.chance_level(regions, valid=valid, per_view=True)
    chance[ALL] = nmr.chance_level(regions, valid=valid)
    rows = []
    for method in options.methods:
        maps = _maps(result, method)
        found = nmr.nuisance_mass_ratio(maps, regions, per_view=True, **call)
        found[ALL] = nmr.nuisance_mass_ratio(maps, regions, **call)
        rows += [
            {
                "episode": item["episode"],
                "frame": item["frame"],
                "method": method,
                "view": view,
                "camera": item["cameras"].get(view, ""),
                "k": options.percent,
                "nmr": float(ratio),
                "chance": float(chance[view]),
            }
            for view, ratio in found.items()
        ]
    return rows


def _correlations(
    item: Mapping[str, Any], result: Mapping[str, Any], seen: Observed
) -> list[dict[str, Any]]:
    """Pearson's r of every two methods, over the pixels of all views that show the scene."""
    pixels = {
        method: np.concatenate(
            [
                np.asarray(result[method][view], np.float64)[np.asarray(seen.valid[view][0])]
                for view in seen.images
            ]
        )
        for method in item["methods"]
    }
    return [
        {
            "episode": item["episode"],
            "frame": item["frame"],
            "method": one,
            "other": other,
            "pearson": float(np.corrcoef(pixels[one], pixels[other])[0, 1]),
        }
        for one, other in itertools.combinations(item["methods"], 2)
    ]


def _write_figure(
    run: RunDirectory,
    item: Mapping[str, Any],
    result: Mapping[str, Any],
    rows: list[dict[str, Any]],
    seen: Observed,
    title: str,
) -> None:
    cameras, k = item["cameras"], item["percent"]
    valid = {view: jnp.asarray(inside[0]) for view, inside in seen.valid.items()}
    ratios = {(row["method"], row["view"]): row for row in rows}
    methods = {}
    for method in item["methods"]:
        maps = _maps(result, method)
        joint = ratios[method, ALL]
        name = f"{TITLES[method]}\nall views {joint['nmr']:.2f}, chance {joint['chance']:.2f}"
        methods[name] = {
            camera: Panel(
                np.asarray(maps[view]),
                np.asarray(
                    nmr.critical_set({view: maps[view]}, k, valid={view: valid[view]}).pixels[view]
                ),
                ratios[method, view]["nmr"],
            )
            for view, camera in cameras.items()
        }
    first = item["methods"][0]
    figure = methods_figure(
        {camera: seen.images[view][0] for view, camera in cameras.items()},
        {camera: seen.regions[view][0] for view, camera in cameras.items()},
        methods,
        {camera: ratios[first, view]["chance"] for view, camera in cameras.items()},
        percent=k,
        title=title,
    )
    run.write_figure(f"episode_{item['episode']}_frame_{item['frame']}.png", figure)


if __name__ == "__main__":
    app.run(main, "method_overlays")
