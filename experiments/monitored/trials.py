"""Closed-loop trials in which every inference's signals are recorded, one file a trial."""

import gc
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np

from experiments.distilled.cue import painted, places
from experiments.monitored.reader import reading_of
from experiments.monitored.signals import SignalOptions, Signals, donor_bank, signals_of
from experiments.planted.cue import COLOURS, INSTRUCTIONS
from experiments.planted.trials import present_objects
from iss_jax import embedded
from iss_jax.envs.benchmarks import STUDY
from iss_jax.jobs.directory import RunDirectory
from iss_jax.nmr import Region
from iss_jax.policies.frames import FrameOptions
from iss_jax.policies.restored import checkpoint_folder, fingerprint, load_policy

POLICIES = ("embedded", "reader")
CUE = "panel_one"


def trial_items(config: ml_collections.ConfigDict) -> list[dict[str, Any]]:
    """One item a trial, in rounds: a run that is cut short has trials of every kind.

    Each plan of the configuration is `(policy, suite, panel, trials, steps)`; the panel shows
    nothing, the object that is asked for (`own`) or another one (`other`).
    """
    folder = checkpoint_folder("embedded")
    known = fingerprint(folder)
    rounds: dict[int, list[dict[str, Any]]] = {}
    for policy, suite, panel, trials, most in config.plans:
        tasks = [task for task in STUDY if task.suite == suite]
        for task in tasks[: config.tasks or None]:
            for trial in range(trials):
                rounds.setdefault(trial // config.per_round, []).append(
                    {
                        "policy": policy,
                        "checkpoint": known,
                        "suite": suite,
                        "task": task.name,
                        "split": task.split,
                        "panel": panel,
                        "trial": trial,
                        "init_state": (config.init_apart * trial) % config.init_states,
                        "max_steps": min(task.max_steps, most),
                        "execute": config.execute,
                        "every": config.every,
                        "signals": config.signals.to_dict(),
                    }
                )
    found = []
    for number in sorted(rounds):
        # Trials of one scene stand together: building it takes seconds.
        scenes: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for item in rounds[number]:
            scenes.setdefault((item["suite"], item["task"]), []).append(item)
        found += [item for own in _interleaved(list(scenes.values())) for item in own]
    return found


def _interleaved(scenes: Sequence[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Scenes of the suites in turn."""
    by_suite: dict[str, list[list[dict[str, Any]]]] = {}
    for own in scenes:
        by_suite.setdefault(own[0]["suite"], []).append(own)
    longest = max(map(len, by_suite.values()), default=0)
    places_in = [
        ((i + 0.5) / len(own), suite, i) for suite, own in by_suite.items() for i in range(len(own))
    ]
    assert longest <= len(places_in)
    for _, suite, i in sorted(places_in):
        yield by_suite[suite][i]


def run_trials(run: RunDirectory, config: ml_collections.ConfigDict, items: list[dict]) -> None:
    """Runs every trial that has no result yet, and stores each as it ends."""
    import tqdm

    from iss_jax.envs.libero import make

    options = SignalOptions(**config.signals.to_dict())
    signals = signals_of(load_policy(embedded.checkpoint_path()), donor_bank(options), options)
    env, scene = None, None
    for item in tqdm.tqdm(run.unfinished(items), unit="trial", disable=config.quiet):
        if scene != (item["suite"], item["task"]):
            scene = item["suite"], item["task"]
            env = None
            gc.collect()  # A scene holds itself, and the best part of a gigabyte.
            env = make(*scene, image_size=options.image_size)
        run.save(item, one_trial(env, signals, item))


def one_trial(env: Any, signals: Signals, item: Mapping[str, Any]) -> dict[str, Any]:
    """Success, steps, and the signals of each inference in order."""
    from iss_jax.envs.rollout import rollout

    env.reset(item["init_state"], "native", item["trial"])
    where, shown = panel_of(item, env.prompt, env.objects, signals.options.image_size)
    views = FrameOptions().used
    view_of = {camera: view for view, camera in views.items()}
    task = f"{item['suite']}/{item['task']}"
    seed = zlib.crc32(f"{task}/{item['trial']}".encode())
    reads = bool(where) and item["policy"] == "reader"
    rows: list[dict[str, Any]] = []
    number = 0

    def show(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return painted(dict(images), where, CUE, shown) if where else dict(images)

    def key() -> jax.Array:
        return jax.random.fold_in(jax.random.key(seed), number)

    def given(observation: Mapping[str, Any], told: bool) -> dict[str, Any]:
        raw = {name: observation[name] for name in ("images", "state", "prompt")}
        return raw | ({"prompt": INSTRUCTIONS[shown]} if told else {})

    def act(observation: Mapping[str, Any]) -> np.ndarray:
        return signals.act(given(observation, reads), key())

    def watch(observation: Mapping[str, Any], regions: Mapping[str, np.ndarray]) -> None:
        nonlocal number
        turn, own = number % item["every"] == 0, key()
        number += 1
        if not turn:
            return
        labels = {view: regions[camera].copy() for view, camera in views.items()}
        for camera, mask in where.items():
            labels[view_of[camera]][mask] = Region.NUISANCE
        reading = None
        if reads:
            obs = signals.policy.observe(given(observation, True))
            by_view = {view_of[camera]: mask for camera, mask in where.items()}
            reading = reading_of(by_view, COLOURS[shown], obs)
        rows.append(signals.measure(given(observation, False), labels, own, task, reading))

    found = rollout(
        env,
        act,
        execute=item["execute"],
        max_steps=item["max_steps"],
        transform=show,
        seed=item["trial"],
        watch=watch,
    )
    columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    return {"success": bool(found.success), "steps": found.steps, "signals": columns}


def panel_of(
    item: Mapping[str, Any], prompt: str, objects: Sequence[str], size: int
) -> tuple[dict[str, np.ndarray], int]:
    """The panel's pixels by camera, none without one, and the object that it shows.

    Args:
        item: Of the trial.
        prompt: The instruction.
        objects: Of the scene, by the simulator's names: another object is one of these.
        size: Side of the frames, pixels.
    """
    if not item["panel"]:
        return {}, -1
    shown = own = INSTRUCTIONS.index(prompt)
    if item["panel"] == "other":
        others = [i for i in present_objects(list(objects)) if i != own]
        shown = int(np.random.default_rng([own, item["trial"]]).choice(others))
    cameras = list(FrameOptions().used.values())
    return places(CUE, cameras, (size, size)), shown
