"""Which robot a checkpoint's statistics are of, and whether a configuration fits them."""

from collections.abc import Mapping

from etils import epath

from iss_jax.few import few
from iss_jax.pi05.checkpoint import read_sizes
from iss_jax.pi05.normalize import NormStats, load_norm_stats, norm_stats_files
from iss_jax.pi05.params import Sizes
from iss_jax.policies.configs import CONFIGS, PolicyConfig


def unfit(config: PolicyConfig, norm_stats: Mapping[str, NormStats], sizes: Sizes) -> str:
    """Why a model or its statistics do not fit a robot; empty where they do."""
    if config.model not in ("", sizes.model):
        return f"parameters of a {config.model} wanted, those of a {sizes.model} given"
    if sizes.reads_state and config.discrete_state_input:
        return "a π0 reads the state as a token: discrete_state_input=False wanted, True given"
    if config.action_dims > sizes.action_dim:
        return f"{config.action_dims} action dimensions, but the model has {sizes.action_dim}"
    for name, what, dims in (
        ("state", "state", sum(config.state.values())),
        ("actions", "action", config.action_dims),
    ):
        if name not in norm_stats:
            return f"statistics of {name!r} wanted, of {few(sorted(norm_stats))} given"
        known = len(norm_stats[name].mean)
        if dims > known:
            return f"{dims} {what} dimensions, but the statistics have {known}"
    return ""


def asset_ids(root: epath.Path) -> list[str]:
    """Names under which a checkpoint holds statistics."""
    assets = root / "assets"
    return [str(file.parent.relative_to(assets)) for file in norm_stats_files(root)]


def config_of(root: epath.Path) -> PolicyConfig:
    """The configuration whose model and whose statistics a checkpoint holds.

    Raises:
        FileNotFoundError: It holds none.
        ValueError: None or several of them.
    """
    sizes = read_sizes(root)
    model = sizes.model
    held = asset_ids(root)
    if not held:
        raise FileNotFoundError(f"{root}: no statistics under assets/<asset_id>/norm_stats.json")
    of_model = [config for config in CONFIGS.values() if config.model in ("", model)]
    found = [config for config in of_model if config.asset_id in held]
    if len(found) == 1:
        return found[0]
    stats = {own: load_norm_stats(root / "assets" / own) for own in held}
    fit = sorted(
        config.name
        for config in of_model
        if any(not unfit(config, own, sizes) for own in stats.values())
    )
    raise ValueError(
        f"{root}: no configuration is given, and the statistics of {held} do not say which robot "
        f"this is. Those of {model} and its dimensions: {fit}; or give a PolicyConfig of your own"
    )


def own_stats(root: epath.Path, config: PolicyConfig) -> dict[str, NormStats]:
    """A checkpoint's statistics of a configuration: by name, or the only ones where it has none.

    Raises:
        FileNotFoundError: There are none.
        ValueError: There are others only.
    """
    if not config.asset_id:
        return load_norm_stats(root)
    held = asset_ids(root)
    if held and config.asset_id not in held:
        raise ValueError(
            f"{root}: {config.name} wants the statistics of {config.asset_id!r}, the checkpoint "
            f"holds those of {held}. If they are this robot's, give "
            f"dataclasses.replace(configs.named({config.name!r}), asset_id={held[0]!r}) or "
            "norm_stats=load_norm_stats(...)"
        )
    return load_norm_stats(root / "assets" / config.asset_id if held else root)
