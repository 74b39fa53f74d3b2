"""Explanations side by side on chosen frames: `configs/method_overlays.py` says how to run it.

Writes `figures/episode_<e>_frame_<f>.png` (a row a method, a column a view, as Figure 12),
`results.csv` (NMR of every frame, method and view beside its chance level; of players the nuisance
share of their effects), `results.json`,
`correlations.csv` (Pearson's r of every two methods' maps of a frame), `explorer.html` (the frames
under each method, to click through) and `report.html`.
The maps themselves lie in `items/`.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from experiments.runs import app, versions
from iss_jax import EffectsConfig, Sampling, nmr, player_effects, saliency
from iss_jax.critical import critical_set
from iss_jax.data.dataset import Dataset
from iss_jax.data.outcome import SUCCESS, outcome
from iss_jax.explain.donors import Donors, PlayerOptions
from iss_jax.explain.frame_players import players_of
from iss_jax.jobs.directory import RunDirectory, open_run, run_items
from iss_jax.jobs.options import ISSOptions, from_config
from iss_jax.methods import TITLES, Settings, explain
from iss_jax.players import painted
from iss_jax.policies.frames import Seen, present_views, read_frames, see, source_of
from iss_jax.policies.restored import Policy
from iss_jax.viz.explorer import ShownEpisode
from iss_jax.viz.explorer_pages import of_maps, write_pages
from iss_jax.viz.methods import Panel, methods_figure

ALL = "all"  # the views together
# The second one calls every method by its one name, and holds all that is asked of each. The third
# one holds the instruction.
LAYOUT = 3
PLAYERS = "players"
NAMES = {**TITLES, PLAYERS: "players replaced\n(effect per area)"}


@dataclasses.dataclass(frozen=True)
class Options(PlayerOptions, ISSOptions):
    """One attribute per key of `configs/method_overlays.py`, which says what each means."""

    quiet: bool
    frames: tuple[tuple[int, int], ...]
    methods: tuple[str, ...]
    seed: int
    probes: int
    gradient_masks: int
    percent: float

    def __post_init__(self) -> None:
        self.check_players()

    @property
    def rows(self) -> tuple[str, ...]:
        """Of the figure: the methods, and the players where they are asked for."""
        return (*self.methods, *([PLAYERS] if self.players else []))


def main(config: ml_collections.ConfigDict, workdir: Path) -> list[dict[str, Any]]:
    """Runs the experiment; returns the rows of `results.csv`."""
    options = from_config(config, Options)
    policy, dataset = options.load()
    run = open_run(workdir, config, layout=LAYOUT, version=versions.MAPS)
    settings = Settings(
        options.iss_config(len(policy.norm_stats["actions"].mean)),
        options.action_horizon,
        Sampling(num_steps=options.num_steps),
        options.probes,
        options.gradient_masks,
    )
    donors = Donors("")
    if options.players:
        donors = options.load_donors(policy, dataset)
    items = [_item(options, settings, policy, dataset, donors, *frame) for frame in options.frames]
    results = run_items(
        run,
        items,
        lambda item: _compute(item, options, settings, policy, dataset, donors),
        description="explanations, frame by frame",
        quiet=options.quiet,
    )
    rows, pairs, shown = [], [], []
    for item, result in zip(items, results, strict=True):
        seen = _seen(item, options, policy, dataset)
        own = _rows(item, result, options, seen)
        said = {True: ", success", False: ", failure", None: ""}[_success(item, seen)]
        _write_figure(run, item, result, own, seen, f"{_title(item, seen)}{said}")
        shown.append(_shown(item, result, own, seen))
        rows += own
        pairs += _correlations(item, result, seen)
    run.write_csv("results.csv", rows)
    run.write_csv("correlations.csv", pairs)
    run.write_json("results.json", rows)
    write_pages(run, shown, title="Explanations of the same frames")
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
    dataset: Dataset,
    donors: Donors,
    episode: int,
    frame: int,
) -> dict[str, Any]:
    asked = {"players": options.players, "draws": options.draws, **donors.keys()}
    return {
        "experiment": "method_overlays",
        **options.run_keys(policy),
        "cameras": options.frame_options.used,
        **source_of(dataset, episode),
        "episode": episode,
        "frame": frame,
        "seed": options.seed,
        "percent": options.percent,
        **{name: value for name, value in settings._asdict().items() if name != "sampling"},
        "num_steps": settings.sampling.num_steps,
        "iss": dataclasses.asdict(settings.iss),
        "methods": list(options.rows),
        **(asked if options.players else {}),
    }


def _seen(item: Mapping[str, Any], options: Options, policy: Policy, dataset: Dataset) -> Seen:
    shown = options.frame_options
    episode = read_frames(dataset, item["episode"], [item["frame"]], shown)
    return see(episode, policy, shown, trim_prompt=True)


def _compute(
    item: Mapping[str, Any],
    options: Options,
    settings: Settings,
    policy: Policy,
    dataset: Dataset,
    donors: Donors,
) -> dict[str, Any]:
    seen = _seen(item, options, policy, dataset)
    key = jax.random.fold_in(jax.random.key(item["seed"]), item["episode"])
    key = jax.random.fold_in(key, item["frame"])
    call = {"key": key, "settings": settings}
    iss = None
    if {"iss", "random"} & set(options.methods):
        iss = saliency(
            policy.params,
            seen.obs,
            key=key,
            config=settings.iss,
            sampling=settings.sampling,
            action_horizon=settings.action_horizon,
        )
    found = {}
    for method in options.methods:
        maps = explain(method, policy.params, seen.obs, iss=iss, **call)
        found[method] = {view: np.asarray(maps[view][0]) for view in seen.views}
    if options.players:
        found[PLAYERS] = _players_maps(item, options, policy, dataset, donors, seen, key)
    return found


def _players_maps(
    item: Mapping[str, Any],
    options: Options,
    policy: Policy,
    dataset: Dataset,
    donors: Donors,
    seen: Seen,
    key: jax.Array,
) -> dict[str, np.ndarray]:
    """Every pixel with its player's effect per area: large things have no lead."""
    dims = len(policy.norm_stats["actions"].mean)
    acted = player_effects(
        policy.params,
        present_views(seen.obs, seen.views),
        players_of(options.players, seen),
        donors.bank,
        key=key,
        config=EffectsConfig(draws=options.draws, fill=donors.fill, action_dims=dims),
        groups=donors.groups(dataset, item["episode"]),
        action_horizon=options.action_horizon,
        sampling=Sampling(num_steps=options.num_steps),
    )
    area = np.asarray(acted.area)
    per_area = np.divide(acted.effects, area, out=np.zeros_like(area), where=area > 0)
    labels = acted.players.labels
    return {v: np.asarray(painted(labels[v], jnp.asarray(per_area))[0]) for v in seen.views}


def _title(item: Mapping[str, Any], seen: Seen) -> str:
    time = item["frame"] / seen.episode.fps
    return f"episode {item['episode']} at {time:.1f} s: {seen.episode.prompt}"


def _success(item: Mapping[str, Any], seen: Seen) -> bool | None:
    return outcome(seen.episode.metadata.get(SUCCESS), f"episode {item['episode']}")


def _maps(result: Mapping[str, Any], method: str) -> dict[str, jax.Array]:
    return {view: jnp.asarray(m, jnp.float32) for view, m in result[method].items()}


def _rows(
    item: Mapping[str, Any], result: Mapping[str, Any], options: Options, seen: Seen
) -> list[dict[str, Any]]:
    """A row per method and view, and one per method of the views together."""
    regions = {view: jnp.asarray(labels[0]) for view, labels in seen.regions.items()}
    valid = {view: jnp.asarray(inside[0]) for view, inside in seen.valid.items()}
    chance = nmr.chance_level(regions, valid=valid, per_view=True)
    chance[ALL] = nmr.chance_level(regions, valid=valid)
    rows = []
    for method in options.rows:
        maps = _maps(result, method)
        # A player's pixels all tie: of players it is the nuisance share of their effects.
        ratio = partial(nmr.nuisance_mass_ratio, k=options.percent)
        ratio = nmr.mass_ratio if method == PLAYERS else ratio
        found = ratio(maps, regions, valid=valid, per_view=True)
        found[ALL] = ratio(maps, regions, valid=valid)
        rows += [
            {
                "episode": item["episode"],
                "frame": item["frame"],
                "method": method,
                "view": view,
                "camera": item["cameras"].get(view, ""),
                "k": options.percent,
                "nmr": float(value),
                "chance": float(chance[view]),
            }
            for view, value in found.items()
        ]
    return rows


def _correlations(
    item: Mapping[str, Any], result: Mapping[str, Any], seen: Seen
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
    seen: Seen,
    title: str,
) -> None:
    cameras, k = item["cameras"], item["percent"]
    valid = {view: jnp.asarray(inside[0]) for view, inside in seen.valid.items()}
    ratios = {(row["method"], row["view"]): row for row in rows}
    methods = {}
    for method in item["methods"]:
        maps = _maps(result, method)
        joint = ratios[method, ALL]
        name = f"{NAMES[method]}\nall views {joint['nmr']:.2f}, chance {joint['chance']:.2f}"
        methods[name] = {
            camera: Panel(
                np.asarray(maps[view]),
                _critical(method, maps[view], k, valid[view]),
                ratios[method, view]["nmr"],
                "nuisance share" if method == PLAYERS else "",
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


def _shown(
    item: Mapping[str, Any], result: Mapping[str, Any], rows: list[dict[str, Any]], seen: Seen
) -> ShownEpisode:
    """The frame under every method, to click through."""
    cameras = item["cameras"]
    maps = {
        NAMES[method].replace("\n", " "): {c: result[method][v] for v, c in cameras.items()}
        for method in item["methods"]
    }
    return of_maps(
        _title(item, seen),
        {camera: seen.images[view][0] for view, camera in cameras.items()},
        {camera: seen.valid[view][0] for view, camera in cameras.items()},
        maps,
        units=dict.fromkeys(maps, "score"),
        regions={camera: seen.regions[view][0] for view, camera in cameras.items()},
        chance=next(row["chance"] for row in rows if row["view"] == ALL),
        percent=item["percent"],
        success=_success(item, seen),
    )


def _critical(method: str, saliency: jax.Array, percent: float, valid: jax.Array) -> np.ndarray:
    """The top pixels of a map; of players none, whose pixels tie."""
    if method == PLAYERS:
        return np.zeros(saliency.shape, bool)
    return np.asarray(critical_set(saliency, percent, valid={"view": valid}).pixels["view"])


if __name__ == "__main__":
    app.run(main, "method_overlays")
