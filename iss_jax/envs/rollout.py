"""Closed-loop rollouts of a policy, alone or spread over processes.

A policy is any callable from an observation, a dict of `images` (camera to uint8 `[h, w, 3]`),
`state` (float32 `[8]`), `prompt` and the trial's `seed`, to a chunk of actions `[H, 7]` in robot
units.
"""

import contextlib
import dataclasses
import importlib
import itertools
import multiprocessing
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any, cast

import numpy as np

from iss_jax.data.episode import Episode
from iss_jax.envs.libero import CONTROL_HZ, MAX_STEPS, LiberoEnv, make
from iss_jax.envs.panels import Panel
from iss_jax.jobs.parent import end_with_parent

Policy = Callable[[dict[str, Any]], np.ndarray]
ImageTransform = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
# What the policy was given, and region labels by camera.
Watch = Callable[[dict[str, Any], dict[str, np.ndarray]], object]
DEFAULT_MAX_STEPS = 400


@dataclasses.dataclass(frozen=True)
class RolloutItem:
    """One trial: which task, from where, and in which layout (see `LiberoEnv.reset`).

    `max_steps` and `record_every` go before those of the whole call where they are not None, as
    does `prompt` before the target's own instruction. A `panel` is what the cameras see besides;
    `support` names objects that recorded regions count as support besides the task's own.
    """

    suite: str
    task: str
    init_state: int = 0
    layout: str = "native"
    seed: int = 0
    target: str | None = None
    max_steps: int | None = None
    record_every: int | None = None
    prompt: str | None = None
    panel: Panel | None = None
    support: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Rollout:
    """What came of a trial.

    Attributes:
        success: whether the goal was reached, by LIBERO's own check.
        steps: control steps executed.
        episode: what was seen and done, when it was recorded.
    """

    success: bool
    steps: int
    episode: Episode | None = None


def rollout(
    env: LiberoEnv,
    policy: Policy,
    *,
    execute: int = 8,
    max_steps: int | None = None,
    transform: ImageTransform | None = None,
    record_every: int = 0,
    seed: int = 0,
    watch: Watch | None = None,
) -> Rollout:
    """Runs a policy at 20 Hz from the environment's current state until success or time-out.

    Args:
        env: an environment that has been reset.
        policy: called before every `execute` control steps.
        execute: how many actions of each chunk are executed before the next one is asked for.
        max_steps: time-out in control steps; openpi's limit for the suite when None.
        transform: applied to the images that the policy sees (a blur, a perturbation).
        record_every: control steps between recorded frames (untransformed, with region and instance
            labels); 0 records nothing.
        seed: handed to the policy with each observation, for its own randomness.
        watch: told after each action is known what the policy was given, and the region labels of
            what the cameras saw; a monitor. What it does takes no control steps.

    Raises:
        ValueError: the policy's chunk is not `[H, 7]` with H at least `execute`, or not finite.
    """
    limit = max_steps or MAX_STEPS.get(env.task.suite, DEFAULT_MAX_STEPS)
    recorder = _Recorder(record_every)
    steps, success = 0, env.success()
    while steps < limit and not success:
        regions: dict[str, np.ndarray] = {}
        if watch is None:
            images = env.render()
        else:
            seen = env.observation()
            images, regions = seen.images, seen.regions
        observation = {
            "images": images if transform is None else transform(images),
            "state": env.state,
            "prompt": env.prompt,
            "seed": seed,
        }
        chunk = np.asarray(policy(observation))
        if chunk.ndim != 2 or chunk.shape[1] != 7 or chunk.shape[0] < execute:
            raise ValueError(
                f"actions: shape {chunk.shape} given, (H, 7) with H >= {execute} wanted"
            )
        if not np.isfinite(chunk[:execute]).all():
            raise ValueError(f"actions: not finite at control step {steps} of {env.task.name}")
        if watch is not None:
            watch(observation, regions)
        for action in chunk[: min(execute, limit - steps)]:
            recorder.see(env, steps, action)
            success = env.step(action)
            steps += 1
            if success:
                break
    return Rollout(success, steps, recorder.episode(env, success, steps))


class _Recorder:
    """Frames of a rollout, every so many control steps."""

    def __init__(self, every: int):
        self._every = every
        self._frames: list = []
        self._actions: list[np.ndarray] = []

    def see(self, env: LiberoEnv, step: int, action: np.ndarray) -> None:
        if self._every and step % self._every == 0:
            self._frames.append(env.observation())
            self._actions.append(np.asarray(action, np.float32))

    def episode(self, env: LiberoEnv, success: bool, steps: int) -> Episode | None:
        if not self._frames:
            return None
        frames = self._frames
        return Episode(
            images={c: np.stack([f.images[c] for f in frames]) for c in frames[0].images},
            regions={c: np.stack([f.regions[c] for f in frames]) for c in frames[0].regions},
            state=np.stack([f.state for f in frames]),
            action=np.stack(self._actions),
            prompt=env.prompt,
            fps=CONTROL_HZ / self._every,
            metadata={
                "suite": env.task.suite,
                "task": env.task.name,
                "success": success,
                "steps": steps,
            },
            instances={c: np.stack([f.instances[c] for f in frames]) for c in frames[0].instances},
            instance_names=frames[0].instance_names,
        )


def rollouts(
    items: Sequence[RolloutItem],
    factory: str,
    factory_options: Mapping[str, Any] | None = None,
    *,
    processes: int = 2,
    image_size: int = 80,
    execute: int = 8,
    max_steps: int | None = None,
    transform: str | None = None,
    record_every: int = 0,
) -> Iterator[tuple[RolloutItem, Rollout]]:
    """Runs many trials in spawned processes and yields each as it ends, in no fixed order.

    Trials of one task go to one process in one go, since building an environment takes seconds.
    Every process builds its own policy, and its numerical libraries keep to one thread. It ends
    with the one that started it, whatever ended that.

    Args:
        items: the trials.
        factory: `"module:function"` that returns the policy; called once in every process.
        factory_options: keyword arguments of the factory; must be picklable.
        processes: number of processes.
        image_size: height and width of the images, pixels.
        execute: as in `rollout`.
        max_steps: as in `rollout`.
        transform: `"module:function"` of the image transform, or None.
        record_every: as in `rollout`.

    Raises:
        RuntimeError: a process failed; the message carries its traceback.
    """
    groups = [
        list(group)
        for _, group in itertools.groupby(
            sorted(items, key=lambda item: (item.suite, item.task)),
            key=lambda item: (item.suite, item.task),
        )
    ]
    context = multiprocessing.get_context("spawn")
    work = context.Queue()
    for group in groups:
        work.put(group)
    options = {
        "execute": execute,
        "max_steps": max_steps,
        "record_every": record_every,
    }
    arguments = (work, factory, dict(factory_options or {}), image_size, transform, options)
    # A pipe each: of one that all write to, the rest of a message is awaited for ever when its
    # writer dies.
    pipes = [context.Pipe(duplex=False) for _ in range(min(processes, len(groups)))]
    workers = [
        context.Process(target=_work, args=(writer, *arguments), daemon=True) for _, writer in pipes
    ]
    for _ in workers:
        work.put(None)
    try:
        with single_threaded():
            for worker in workers:
                worker.start()
        for _, writer in pipes:
            writer.close()
        readers = {reader: w for (reader, _), w in zip(pipes, workers, strict=True)}
        yield from _results(readers, len(items))
        for worker in workers:
            worker.join()
    finally:
        for worker in workers:
            if worker.is_alive():
                worker.terminate()
        for reader, writer in pipes:
            reader.close()
            writer.close()
        # What nobody takes any more must not keep this process from ending.
        work.cancel_join_thread()
        work.close()


def _results(workers: dict[Connection, Any], wanted: int) -> Iterator[tuple[RolloutItem, Rollout]]:
    """What the workers send, until each has ended."""
    while workers:
        for reader in cast("list[Connection]", connection.wait(list(workers))):
            try:
                item, outcome = reader.recv()
            except (EOFError, OSError):
                worker = workers.pop(reader)
                worker.join()
                if worker.exitcode:
                    raise RuntimeError(
                        f"a rollout process died with exit code {worker.exitcode}"
                    ) from None
                continue
            if isinstance(outcome, str):
                raise RuntimeError(f"a rollout process failed at {item}:\n{outcome}")
            wanted -= 1
            yield item, outcome
    if wanted:
        raise RuntimeError(f"the rollout processes have ended, {wanted} trials have no result")


def _work(
    results: Connection,
    work: Any,
    factory: str,
    factory_options: dict[str, Any],
    image_size: int,
    transform: str | None,
    options: dict[str, Any],
) -> None:
    end_with_parent()
    # Sent from a thread: the next trial goes on while the reader is busy with the last one.
    outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sender = threading.Thread(target=_send, args=(outbox, results), daemon=True)
    sender.start()
    item = None
    try:
        policy = _load(factory)(**factory_options)
        change = None if transform is None else _load(transform)
        while (group := work.get()) is not None:
            env = make(group[0].suite, group[0].task, image_size=image_size)
            for item in group:
                env.reset(item.init_state, item.layout, item.seed, item.target)
                env.panel = item.panel
                if item.support:
                    env.count_as_support(item.support)
                env.prompt = item.prompt or env.prompt
                own = {"max_steps": item.max_steps, "record_every": item.record_every}
                chosen = options | {name: v for name, v in own.items() if v is not None}
                outbox.put((item, rollout(env, policy, transform=change, seed=item.seed, **chosen)))
    except BaseException:
        # A policy that calls for the end of its process has failed, too.
        outbox.put((item, traceback.format_exc()))
    outbox.put(None)
    sender.join()


def _send(outbox: "queue.SimpleQueue[Any]", results: Connection) -> None:
    while (message := outbox.get()) is not None:
        try:
            results.send(message)
        except OSError:
            return
        except Exception:
            results.send((message[0], traceback.format_exc()))


def _load(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(f"{name!r} given, 'module:function' wanted")
    return getattr(importlib.import_module(module), attribute)


@contextlib.contextmanager
def single_threaded() -> Iterator[None]:
    """Processes started inside keep numerical libraries (BLAS, XLA's CPU backend) to one thread."""
    single = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "XLA_FLAGS": (
            os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
        ).strip(),
    }
    before = {name: os.environ.get(name) for name in single}
    os.environ.update(single)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
