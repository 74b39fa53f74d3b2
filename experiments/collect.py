"""Collects LIBERO episodes from the scripted expert: `configs/collect.py` says how to run it.

Every process owns some tasks and writes its own dataset, `<workdir>/shard-<k>`, and the list of
its attempts, `<workdir>/shard-<k>.attempts.jsonl`. A run started again goes on after the last
attempt: what an attempt does follows from its task and number alone.
"""

import dataclasses
import functools
import multiprocessing
import os
import queue
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np
import tqdm

from experiments.runs import app
from iss_jax.data import jsonl, lerobot
from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.envs.benchmarks import landmarks_of
from iss_jax.few import few
from iss_jax.jobs.parent import end_with_parent


@dataclasses.dataclass(frozen=True)
class CollectOptions:
    """The options of `configs/collect.py`, of the same names."""

    kind: str
    suite: str
    tasks: tuple[int, ...]
    image_size: int
    regions: bool
    landmarks: bool
    processes: int
    seed: int
    episodes_per_task: int
    max_attempts_per_task: int
    layouts: tuple[str, ...]
    layout_shares: tuple[float, ...]
    other_target_share: float
    noise_share: float
    first_init_state: int
    last_init_state: int
    first_layout_seed: int
    frame_every: int
    max_steps: int
    sources: tuple[str, ...]
    blocks_per_task: int
    frames_per_block: int
    near_share: float
    decoy_share: float
    policy: str
    max_token_len: int
    expert_share: float
    execute: int

    @classmethod
    def from_config(cls, config: ml_collections.ConfigDict) -> "CollectOptions":
        """Reads the options off a config."""
        values: dict[str, Any] = {f.name: config[f.name] for f in dataclasses.fields(cls)}
        return cls(**values)

    @property
    def wanted_per_task(self) -> int:
        """Episodes or blocks of each task."""
        return self.blocks_per_task if self.kind == "static" else self.episodes_per_task

    @property
    def attempts_per_task(self) -> int:
        """Attempts at them; those of the expert may fail often, the others hardly ever."""
        return self.max_attempts_per_task if self.kind == "demonstrations" else self.wanted_per_task


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one attempt at a demonstration does.

    Attributes:
        init_state: LIBERO's init state.
        layout: kind of layout.
        layout_seed: its seed.
        other_target: which other object is wanted, as a fraction of their list; None: the task's.
        noise: whether a burst of action noise is to be recovered from.
    """

    init_state: int
    layout: str
    layout_seed: int
    other_target: float | None
    noise: bool


def plan(options: CollectOptions, task: int, attempt: int) -> Plan:
    """The plan of an attempt: a function of task and number alone."""
    rng = generator(options, task, attempt)
    layout = str(rng.choice(options.layouts, p=options.layout_shares))
    other = float(rng.random())
    noise = bool(rng.random() < options.noise_share)
    wants_other = layout != "native" and rng.random() < options.other_target_share
    return Plan(
        init_state=int(rng.integers(options.first_init_state, options.last_init_state + 1)),
        layout=layout,
        layout_seed=options.first_layout_seed + task + 100 * attempt,
        other_target=other if wants_other else None,
        noise=noise,
    )


def generator(options: CollectOptions, task: int, attempt: int) -> np.random.Generator:
    """The randomness of one attempt."""
    kind = zlib.crc32(f"{options.kind}/{options.suite}/{options.first_layout_seed}".encode())
    return np.random.default_rng([options.seed, kind, task, attempt])


def attempts_of(options: CollectOptions) -> Callable[[Any, int, int], Episode | None]:
    """What an attempt of this kind of collection is: (env, task, attempt) to what came of it.

    Raises:
        ValueError: an unknown kind.
    """
    if options.kind == "demonstrations":
        return lambda env, task, attempt: _demonstration(env, options, task, attempt)
    if options.kind == "static":
        from iss_jax.envs import static_frames

        @functools.cache
        def sources(hinges: int) -> static_frames.Sources:
            return static_frames.load_sources(options.sources, hinges)

        return lambda env, task, attempt: static_frames.block(
            env, options, sources(env.hinges), attempt, generator(options, task, attempt)
        )
    if options.kind == "corrections":
        from experiments.inputs.acting import make_policy
        from iss_jax.envs.demonstrations import ACTION_HORIZON

        policy = make_policy(
            options.policy, max_token_len=options.max_token_len, action_horizon=ACTION_HORIZON
        )
        return lambda env, task, attempt: _correction(env, options, policy, task, attempt)
    raise ValueError(f"kind {options.kind!r}: one of demonstrations, static, corrections wanted")


def _demonstration(env: Any, options: CollectOptions, task: int, attempt: int) -> Episode | None:
    from iss_jax.envs import demonstrations

    wanted = plan(options, task, attempt)
    rng = generator(options, task, attempt).spawn(1)[0]
    metadata = _reset(env, wanted)
    if metadata is None:
        return None
    support = landmarks_of(env.task.suite, env.task.name) if options.landmarks else ()
    if support:
        env.count_as_support(support)
        metadata = {**metadata, "landmarks": " ".join(support)}
    episode = demonstrations.record(
        env,
        burst=demonstrations.draw_burst(rng) if wanted.noise else None,
        rng=rng,
        max_steps=options.max_steps,
        frame_every=options.frame_every,
        with_regions=options.regions,
    )
    if episode is None:
        return None
    metadata = {**episode.metadata, "kind": "demonstration", **metadata}
    return dataclasses.replace(episode, metadata=metadata)


def _correction(
    env: Any, options: CollectOptions, policy: Any, task: int, attempt: int
) -> Episode | None:
    from iss_jax.envs import corrections

    metadata = _reset(env, plan(options, task, attempt))
    if metadata is None:
        return None
    episode = corrections.record(
        env,
        policy,
        generator(options, task, attempt).spawn(1)[0],
        expert_share=options.expert_share,
        execute=options.execute,
        max_steps=options.max_steps,
        frame_every=options.frame_every,
        with_regions=options.regions,
    )
    metadata = {**episode.metadata, "kind": "correction", **metadata}
    return dataclasses.replace(episode, metadata=metadata)


def _reset(env: Any, wanted: Plan) -> dict[str, Any] | None:
    """Sets the environment up for a plan.

    Returns:
        What the episode's metadata say of it; None where no layout of the kind was found.
    """
    from iss_jax.envs.layouts import NoLayoutError

    target = None
    if wanted.other_target is not None:
        env.set_target(None)
        others = [name for name in env.shuffled_objects if name != env.target]
        target = others[int(wanted.other_target * len(others))]
    try:
        env.reset(wanted.init_state, wanted.layout, wanted.layout_seed, target)
    except NoLayoutError:
        return None
    return {
        "suite": env.task.suite,
        # The suite names its tasks by their instructions, in any scene.
        "task": env.task.name if target is None else env.prompt.replace(" ", "_"),
        "scene": env.task.name,
        "layout": wanted.layout,
        "init_state": wanted.init_state,
        "seed": wanted.layout_seed,
    }


def run_shard(options: CollectOptions, workdir: str, shard: int, reports: Any) -> None:
    """Collects the tasks of one process, a round of all tasks at a time."""
    from iss_jax.envs import libero

    root = Path(workdir) / f"shard-{shard}"
    root.parent.mkdir(parents=True, exist_ok=True)
    tasks = options.tasks[shard :: options.processes]
    attempts = _Attempts(Path(workdir) / f"shard-{shard}.attempts.jsonl", root)
    envs: dict[int, Any] = {}
    carry_out = attempts_of(options)
    split = "train" if options.first_layout_seed >= 10_000 else "heldout"
    for attempt in range(options.attempts_per_task):
        for task in tasks:
            if attempts.done(task, attempt) or attempts.successes(task) >= options.wanted_per_task:
                continue
            if task not in envs:
                envs[task] = libero.make(options.suite, task, image_size=options.image_size)
            episode = carry_out(envs[task], task, attempt)
            if episode is not None:
                numbers = {"task_number": task, "attempt": attempt, "split": split}
                metadata = {**episode.metadata, **numbers}
                episode = dataclasses.replace(episode, metadata=metadata)
                lerobot.write_episode(root, episode, robot_type="panda")
            attempts.add(task, attempt, episode is not None)
            reports.put((shard, task, attempt, episode is not None))


class _Attempts:
    """Which attempts are over: a list beside the dataset, completed by the dataset itself."""

    def __init__(self, path: Path, root: Path):
        self._path = path
        self._over: dict[tuple[int, int], bool] = {}
        if path.exists():
            jsonl.last_line(path)  # cuts an interrupted line off
            for entry in jsonl.read_lines(path):
                self._over[entry["task"], entry["attempt"]] = entry["success"]
        if (root / "meta" / "info.json").exists():
            dataset = open_dataset(root)
            for metadata in map(dataset.metadata, range(len(dataset))):
                # An interruption between an episode and its line must not write it twice.
                self._over.setdefault((metadata["task_number"], metadata["attempt"]), True)

    def done(self, task: int, attempt: int) -> bool:
        return (task, attempt) in self._over

    def successes(self, task: int) -> int:
        return sum(ok for (t, _), ok in self._over.items() if t == task)

    def add(self, task: int, attempt: int, success: bool) -> None:
        self._over[task, attempt] = success
        jsonl.append_line(self._path, {"task": task, "attempt": attempt, "success": success})

    @property
    def total(self) -> int:
        return sum(self._over.values())


def collect(options: CollectOptions, workdir: Path) -> dict[str, int]:
    """Collects everything that `workdir` does not hold yet.

    Args:
        options: what to collect.
        workdir: folder of the shards.

    Returns:
        Attempts and successes of this call.

    Raises:
        RuntimeError: a process ended with an error; what it wrote before stays.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    reports = context.Queue()
    processes = [
        context.Process(target=_run_apart, args=(options, str(workdir), shard, reports))
        for shard in range(options.processes)
    ]
    _one_thread_each()
    for process in processes:
        process.start()
    try:
        counts = _counted(options, workdir, processes, reports)
    finally:
        for process in processes:
            if process.is_alive():
                process.terminate()
    failed = [i for i, process in enumerate(processes) if process.exitcode]
    if failed:
        raise RuntimeError(
            f"shards {few(failed)} ended with an error; start the run again to resume"
        )
    return counts


def _run_apart(options: CollectOptions, workdir: str, shard: int, reports: Any) -> None:
    end_with_parent()
    run_shard(options, workdir, shard, reports)


def _counted(
    options: CollectOptions, workdir: Path, processes: Sequence[Any], reports: Any
) -> dict[str, int]:
    """Attempts and successes that the processes report, until all have ended."""
    counts = {"attempts": 0, "successes": 0}
    present = sum(
        _Attempts(workdir / f"shard-{k}.attempts.jsonl", workdir / f"shard-{k}").total
        for k in range(options.processes)
    )
    total = options.wanted_per_task * len(options.tasks)
    with tqdm.tqdm(total=total, initial=present, unit="episode") as bar:
        while any(process.is_alive() for process in processes) or not reports.empty():
            try:
                _, _, _, success = reports.get(timeout=1.0)
            except queue.Empty:
                continue
            counts["attempts"] += 1
            counts["successes"] += success
            bar.update(int(success))
    return counts


def _one_thread_each() -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def main(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs the experiment."""
    counts = collect(CollectOptions.from_config(config), workdir)
    print(f"{counts['successes']} of {counts['attempts']} attempts succeeded; data in {workdir}")


if __name__ == "__main__":
    app.run(main, "collect", many_processes=False)
