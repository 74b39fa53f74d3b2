"""From the flags of a command to an opened policy that can be explained."""

import contextlib
import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from iss_jax.cli.abilities import SERVED
from iss_jax.cli.fit import fit_table, require_fit
from iss_jax.cli.options import Described, describe, options_of
from iss_jax.data.dataset import Dataset
from iss_jax.explain.subject import Subject
from iss_jax.jobs.options import PolicyOptions


class Opened(NamedTuple):
    """A policy that can be explained.

    Attributes:
        subject: Itself.
        dataset: Of the frames.
        model: What kind of policy it is.
        name: For a folder.
        table: What fits.
        note: How the robot was inferred; empty where it was given.
    """

    subject: Subject
    dataset: Dataset
    model: str
    name: str
    table: str
    note: str

    def subject_open(self) -> contextlib.AbstractContextManager[Any]:
        """What has to be closed when all is explained."""
        closing = getattr(self.subject, "close", None)
        return contextlib.nullcontext() if closing is None else contextlib.closing(self.subject)


def opened_subject(config: ml_collections.ConfigDict) -> Opened:
    """Opens dataset and policy, checks that they fit, and loads what is to be loaded.

    Args:
        config: Of `iss_jax.cli.explain`.

    Raises:
        FileNotFoundError: Checkpoint, dataset or robot file is not there.
        ValueError: One is missing or cannot be read, or they do not fit.
        ModuleNotFoundError: What the policy runs in is not installed.
        ConnectionError: No server answers.
    """
    if not config.dataset:
        raise ValueError("--dataset: none given; wanted a folder, or embedded")
    if bool(config.checkpoint) == bool(config.server):
        given = "both" if config.server else "none"
        raise ValueError(f"--checkpoint, --server: {given} given, one of them wanted")
    found = describe(config)
    assert found.dataset is not None
    model = SERVED if found.checkpoint is None else found.checkpoint.model
    subject = _subject(config, found)
    name = re.sub(r"\W+", "-", config.server) or Path(config.checkpoint.rstrip("/")).name
    return Opened(subject, found.dataset, model, name, fit_table(found.rows), found.note)


def _subject(config: ml_collections.ConfigDict, found: Described) -> Subject:
    if found.checkpoint is None:
        return _served(config, found)
    if found.checkpoint.is_lerobot:
        return _lerobot(config, found)
    if found.checkpoint.sizes is None:
        return _fast(config, found)
    from iss_jax.explain.openpi_subject import OpenpiSubject

    assert found.robot is not None
    options = PolicyOptions(**options_of(found, config))
    policy, _ = options.load()
    return OpenpiSubject(policy, options, found.robot.action_dims)


def _fast(config: ml_collections.ConfigDict, found: Described) -> Subject:
    from iss_jax.explain.fast_subject import FastSubject
    from iss_jax.policies.restored import load_policy
    from iss_jax.sampling import Sampling

    assert found.robot is not None and found.checkpoint is not None
    require_fit(found.rows, found.robot.name)
    dtype = config.dtype or "bfloat16"
    policy = load_policy(
        str(found.checkpoint.path), tokenizer=config.tokenizer, dtype=dtype, robot=found.robot
    )
    return FastSubject(
        policy,
        found.cameras,
        max_token_len=found.robot.max_token_len,
        mirror=config.mirror,
        answer_tokens=config.answer_tokens or Sampling().answer_tokens,
        dtype=dtype,
    )


def _served(config: ml_collections.ConfigDict, found: Described) -> Subject:
    from iss_jax.explain.served_subject import ServedSubject
    from iss_jax.policies.client import PolicyClient

    assert found.robot is not None
    require_fit(found.rows, found.robot.name)
    client = PolicyClient(config.server, reply_timeout=config.reply_timeout)
    client.connect()
    return ServedSubject(
        client,
        config.server,
        found.robot,
        found.cameras,
        mirror=config.mirror,
        baseline_calls=config.baseline_calls,
    )


def _lerobot(config: ml_collections.ConfigDict, found: Described) -> Subject:
    from iss_jax.explain.lerobot_subject import LerobotSubject
    from iss_jax.policies.restored import fingerprint

    assert found.checkpoint is not None
    require_fit(found.rows, found.checkpoint.model)
    folder = Path(config.checkpoint)
    if not (folder / "config.json").exists():
        folder = folder / "pretrained_model"
    # Nothing of PyTorch is imported for other policies.
    lerobot = importlib.import_module("iss_jax.policies.lerobot")
    return LerobotSubject(
        lerobot.from_pretrained(folder, device=config.device or None),
        found.cameras,
        mirror=config.mirror,
        fingerprint=fingerprint(folder),
        baseline_calls=config.baseline_calls,
    )
