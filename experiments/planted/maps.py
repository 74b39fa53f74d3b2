"""How much of each explanation lies on the planted panel, and how much the panel really does.

The frames are those of the scripted expert, the same for every policy, each painted with the colour
of another object of its scene: instruction and panel disagree.
"""

import dataclasses
import hashlib
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from experiments.making.panel_masks import read_masks, unpacked
from experiments.planted.cue import COLOURS, INSTRUCTIONS
from experiments.planted.trials import present_objects
from iss_jax import ISSConfig, Sampling, nmr, saliency
from iss_jax.data.dataset import open_dataset
from iss_jax.data.episode import Episode
from iss_jax.envs.panels import paint
from iss_jax.methods import TITLES, Settings, explain
from iss_jax.pi05 import model
from iss_jax.pi05.observation import Observation, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.frames import FrameOptions, Seen, read_frames, see
from iss_jax.policies.restored import Policy

METHODS = tuple(TITLES)
PANEL = 1  # its label where its masks are taken as regions


@dataclasses.dataclass(frozen=True)
class Scenes:
    """The chosen frames of an episode.

    Attributes:
        name: of the episode, `task/attempt`.
        episode: the frames, unpainted.
        masks: camera -> bool [n, h, w], where the panel is seen.
        named: the wanted object, which the instruction names.
        shown: another object of the scene, which the panel shows.
        digest: of the file that the episode lies in, of the masks and of the colours.
    """

    name: str
    episode: Episode
    masks: dict[str, np.ndarray]
    named: int
    shown: int
    digest: str


def load_scenes(config: ml_collections.ConfigDict) -> list[Scenes]:
    """The held-out episodes' chosen frames, an entry an episode.

    Raises:
        ValueError: `locate_panels` has not been run, an episode is shorter than the frames say, or
            a frame does not show the panel.
    """
    from iss_jax.envs.suites import list_tasks, objects_in

    present = {}
    for task in list_tasks("libero_object"):
        present[task.name] = present_objects(objects_in(task))
    rows = list(config.episode_frames)
    scenes = []
    for root in config.datasets:
        dataset = open_dataset(root)
        packed = read_masks(dataset)
        first = 0
        for index in range(len(dataset)):
            line = dataset.metadata(index)
            if line["length"] <= max(rows):
                raise ValueError(f"{root}: episode {index} has {line['length']} frames, not {rows}")
            episode = read_frames(dataset, index, rows, FrameOptions())
            shape = next(iter(episode.images.values())).shape[1:3]
            named = INSTRUCTIONS.index(episode.prompt)
            name = f"{line['task']}/{line['attempt']}"
            others = [i for i in present[line["scene"]] if i != named]
            other = int(np.random.default_rng(zlib.crc32(name.encode())).choice(others))
            masks = {c: unpacked(m[first + np.array(rows)], shape) for c, m in packed.items()}
            if not np.any([mask.any(axis=(1, 2)) for mask in masks.values()], axis=0).all():
                raise ValueError(f"{root}: episode {index} has a frame that shows no panel")
            scenes.append(
                Scenes(
                    name=name,
                    episode=episode,
                    masks=masks,
                    named=named,
                    shown=other,
                    digest=_digest(
                        *(path.read_bytes() for path in dataset.files(index)),
                        *masks.values(),
                        COLOURS,
                    ),
                )
            )
            first += line["length"]
    return scenes


def _digest(*parts: bytes | np.ndarray) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.tobytes())
    return digest.hexdigest()[:16]


def observe(
    scenes: Scenes, named: int, shown: int, policy: Policy, max_token_len: int
) -> Observation:
    """The frames as the policy sees them, with an instruction and a panel that name these."""
    return _seen(scenes, scenes.masks, named, shown, policy, max_token_len).obs


def _seen(
    scenes: Scenes,
    labels: Mapping[str, np.ndarray],
    named: int,
    shown: int,
    policy: Policy,
    max_token_len: int,
) -> Seen:
    episode = dataclasses.replace(
        scenes.episode,
        images=paint(scenes.episode.images, scenes.masks, COLOURS[shown]),
        regions={camera: mask.astype(np.uint8) for camera, mask in labels.items()},
        prompt=INSTRUCTIONS[named],
    )
    return see(episode, policy, FrameOptions(max_token_len=max_token_len))


def measure(
    scenes: Scenes, policy: Policy, config: ml_collections.ConfigDict
) -> list[dict[str, float]]:
    """Of each frame: where every explanation lies, and what panel and instruction do.

    Returns:
        A dict a frame: `<method>_mass`, share of the positive scores on the panel; `<method>_rank`,
        probability that a pixel of the panel scores higher than another one; `<method>_top`, share
        of the highest `config.percent` % that is panel; `<method>_nmr`, their share on nuisance,
        the panel included; `area`, the panel's share of the pixels; `panel_effect` and
        `instruction_effect`, the mean squared difference of the actions (normalised) when the panel
        takes each other colour, or the instruction names each other object.
    """
    asked = (scenes.named, scenes.shown, policy, config.max_token_len)
    seen = _seen(scenes, scenes.episode.regions, *asked)
    obs = seen.obs
    panels = _seen(scenes, scenes.masks, *asked).regions
    key = jax.random.key(zlib.crc32(scenes.name.encode()))
    robot = len(policy.norm_stats["actions"].mean)
    sampling = Sampling(num_steps=config.num_steps)
    shares = _explain(
        policy.params,
        obs,
        seen.regions,
        panels,
        seen.valid,
        key,
        settings=Settings(
            ISSConfig(num_masks=config.num_masks, action_dims=robot),
            config.action_horizon,
            sampling,
            probes=config.gradient_probes,
            gradient_masks=max(2, config.num_masks // 10),
            points=config.gradient_points,
            wide_sigma=config.wide_sigma,
        ),
        percent=config.percent,
    )
    count = len(scenes.episode)
    found = {name: np.asarray(value) for name, value in shares.items()}
    dims = sizes_of(policy.params).action_dim
    noise = jax.random.normal(key, (1, config.action_horizon, dims), jnp.float32)
    noise = jnp.broadcast_to(noise, (count, *noise.shape[1:]))
    act = partial(_act, policy.params, size=policy.image_size, sampling=sampling)
    before = np.asarray(act(obs, noise))
    for name, chosen in (("instruction", scenes.named), ("panel", scenes.shown)):
        changes = []
        for step in range(1, len(INSTRUCTIONS)):
            other = (chosen + step) % len(INSTRUCTIONS)
            pair = (other, scenes.shown) if name == "instruction" else (scenes.named, other)
            after = np.asarray(act(observe(scenes, *pair, policy, config.max_token_len), noise))
            changes.append(np.mean((after - before)[..., :robot] ** 2, axis=(1, 2)))
        found[f"{name}_effect"] = np.mean(changes, axis=0)
    return [{name: float(value[i]) for name, value in found.items()} for i in range(count)]


@partial(jax.jit, static_argnames=("size", "sampling"))
def _act(
    params: Any, obs: Observation, noise: Array, *, size: int, sampling: Sampling
) -> Float[Array, "b horizon dims"]:
    return model.sample_actions(params, preprocess(obs, size), noise, sampling)


@partial(jax.jit, static_argnames=("settings", "percent"))
def _explain(
    params: Any,
    obs: Observation,
    regions: Mapping[str, UInt8[Array, "b h w"]],
    panels: Mapping[str, UInt8[Array, "b h w"]],
    valid: Mapping[str, Array],
    key: Key[Array, ""],
    *,
    settings: Settings,
    percent: float,
) -> dict[str, Float[Array, " b"]]:
    random_key, key = jax.random.split(key)
    result = saliency(
        params,
        obs,
        key=key,
        config=settings.iss,
        sampling=settings.sampling,
        action_horizon=settings.action_horizon,
    )
    maps = {
        method: explain(
            method,
            params,
            obs,
            key=random_key if method == "random" else key,
            settings=settings,
            iss=result,
        )
        for method in METHODS
    }
    shares = {"area": nmr.chance_level(panels, region=PANEL, valid=valid)}
    for name, one in maps.items():
        shares[f"{name}_mass"] = nmr.mass_ratio(one, panels, region=PANEL, valid=valid)
        shares[f"{name}_rank"] = nmr.region_auc(one, panels, region=PANEL, valid=valid)
        shares[f"{name}_top"] = nmr.regional_mass_ratio(
            one, panels, region=PANEL, k=percent, valid=valid
        )
        shares[f"{name}_nmr"] = nmr.nuisance_mass_ratio(one, regions, k=percent, valid=valid)
    return shares
