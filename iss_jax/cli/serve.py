r"""A checkpoint behind openpi's websocket protocol.

    iss-jax serve --checkpoint CHECKPOINT --robot my_robot.py
    iss-jax serve --checkpoint embedded

Every observation gets flow noise of its own, as openpi's server draws it, unless it brings some: a
float32 array [H, A] under "noise", which repeated calls may share. Frames of more different sizes
than --sizes are refused: all clients would wait while each is compiled.
"""

from typing import Any

import ml_collections

from iss_jax.cli.plainly import plainly

SUMMARY = "a checkpoint behind openpi's websocket protocol"


def get_config() -> ml_collections.ConfigDict:
    """Keys and defaults."""
    config = ml_collections.ConfigDict()
    # A step's folder, or "embedded".
    config.checkpoint = ""
    # A Python file with a PolicyConfig, a name of ours, or openpi's name of a configuration.
    config.robot = ""
    # The checkpoint's own when empty, else PaliGemma's where openpi caches it.
    config.tokenizer = ""
    # bfloat16 as openpi infers when empty, float32 for the embedded policy.
    config.dtype = ""
    config.num_steps = 10
    config.host = "127.0.0.1"
    # 0 lets the system choose; the port is printed.
    config.port = 8000
    # Of the flow noise that answers an observation without "noise".
    config.seed = 0
    # Different sizes of frames that are answered.
    config.sizes = 4
    return config


def run(config: ml_collections.ConfigDict, workdir: str | None) -> int:
    """Serves until interrupted; nothing is written.

    Args:
        config: With the keys of `get_config`.
        workdir: Not used.

    Raises:
        SystemExit: What was given cannot be; the message was printed.
    """
    del workdir
    with plainly("serve"):
        policy, robot, shape = opened_policy(config)
    from iss_jax.policies.answering import answering
    from iss_jax.policies.server import serve

    serve(
        answering(policy, robot, seed=config.seed, sizes=config.sizes),
        host=config.host,
        port=config.port,
        metadata={"robot": robot.name, "action_horizon": shape[0], "action_dim": shape[1]},
        ready=lambda port: print(f"serving ws://{config.host}:{port}", flush=True),
    )
    return 0


def opened_policy(config: ml_collections.ConfigDict) -> Any:
    """The policy, its robot and the shape of its flow noise.

    Args:
        config: With the keys of `get_config`.

    Raises:
        FileNotFoundError: Checkpoint or robot file is not there.
        ValueError: No checkpoint is given, one is none of a π0.5 or π0, or no robot follows from
            it.
    """
    import jax.numpy as jnp

    from iss_jax.cli.chosen_robot import choose_robot
    from iss_jax.cli.fit import fit_rows, require_fit
    from iss_jax.jobs.packaged import located
    from iss_jax.policies.checkpoint_facts import checkpoint_facts
    from iss_jax.policies.openpi import from_checkpoint
    from iss_jax.sampling import Sampling

    own = config.checkpoint == "embedded"
    if not config.checkpoint:
        raise ValueError("--checkpoint: none given; wanted a folder, or embedded")
    facts = checkpoint_facts(located(config.checkpoint, "checkpoint"))
    if facts.sizes is None:
        raise ValueError(
            f"--checkpoint: {facts.path} is a {facts.model}, a π0.5 or π0 wanted; openpi and "
            "LeRobot serve theirs themselves"
        )
    chosen = choose_robot(config.robot or ("embedded" if own else ""), facts, None)
    if chosen.note:
        print(chosen.note)
    require_fit(fit_rows(chosen.robot, facts, None), chosen.robot.name)
    policy = from_checkpoint(
        facts.path,
        chosen.robot,
        tokenizer=config.tokenizer or None,
        dtype=jnp.dtype(config.dtype or ("float32" if own else "bfloat16")),
        sampling=Sampling(num_steps=config.num_steps),
    )
    return policy, chosen.robot, (policy.action_horizon, facts.action_dim)
