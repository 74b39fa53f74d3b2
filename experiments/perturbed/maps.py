"""Every method's map of a frame and of perturbed copies of it, and how much the maps differ.

The copies see the frame's own flow noise, prompt and masks, so that only pixels
differ.
"""

import dataclasses
import zlib
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from experiments.perturbed.items import Inputs
from iss_jax import ISSConfig, Sampling, divergence, nmr, saliency
from iss_jax.baselines import random_map
from iss_jax.masked_runs import draw_masks
from iss_jax.methods import Settings, explain as map_of
from iss_jax.nmr import Region
from iss_jax.perturbations import perturb_views
from iss_jax.pi05 import model
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.params import sizes_of
from iss_jax.policies.frames import FrameOptions, Seen, present_views, read_frames, see
from iss_jax.results import Saliency, example


class Copies(NamedTuple):
    """A frame and its perturbed copies; the frame is the first row.

    Attributes:
        images: camera -> uint8 [r, h, w, 3], in the geometry of the camera.
        seen: the same as the policy sees them, with their labels.
    """

    images: Mapping[str, np.ndarray]
    seen: Seen


_perturbed = jax.jit(perturb_views, static_argnames=("name",))


def read_copies(item: Mapping[str, Any], frame: int, key: Key[Array, ""], inputs: Inputs) -> Copies:
    """A frame of an item's episode, and its copies, each perturbed by a key of its own.

    Raises:
        ValueError: a camera lacks its region labels.
    """
    options = FrameOptions.of_item(item)
    episode = read_frames(inputs.dataset, item["episode"], [frame], options)
    given = {camera: episode.images[camera] for camera in options.used.values()}
    inside = {camera: episode.regions[camera] == Region.NUISANCE for camera in given}
    rows = [given]
    for number, (name, strength) in enumerate(item["perturbations"]):
        where = inside if item["region"] == "nuisance" else None
        own = jax.random.fold_in(key, number)
        rows.append(_perturbed(name, own, given, where, strength=jnp.float32(strength)))
    images = {camera: np.concatenate([row[camera] for row in rows]) for camera in given}
    # Cameras that the policy does not use have no copies.
    shown, things = (
        {camera: labels[camera] for camera in given if camera in labels}
        for labels in (episode.regions, episode.instances)
    )
    copies = dataclasses.replace(episode, images=given, regions=shown, instances=things)
    copies = copies.take([0] * len(rows))
    copies = dataclasses.replace(copies, images=images)
    return Copies(images, see(copies, inputs.policy, options))


class Explained(NamedTuple):
    """What a policy does on r rows and how it is explained.

    Attributes:
        actions: normalised, [r, H, A], under one flow noise.
        maps: method -> view -> [r, h, w].
    """

    actions: Float[Array, "r horizon dims"]
    maps: dict[str, dict[str, Float[Array, "r h w"]]]


@partial(
    jax.jit,
    static_argnames=("views", "iss", "methods", "probes", "action_horizon", "sampling"),
)
def explain(
    params: Any,
    obs: Observation,
    key: Key[Array, ""],
    *,
    views: tuple[str, ...],
    iss: ISSConfig,
    methods: tuple[str, ...],
    probes: int,
    action_horizon: int,
    sampling: Sampling,
) -> Explained:
    """Actions and maps of a frame and its copies, under one draw of flow noise and of masks."""
    count = obs.state.shape[0]
    obs = present_views(obs, views)
    noise_key, mask_key, new_key, probe_key, deal_key = jax.random.split(key, 5)
    sizes = sizes_of(params)
    noise = jax.random.normal(
        noise_key, (1, iss.noise_draws, action_horizon, sizes.action_dim), jnp.float32
    )
    noise = jnp.broadcast_to(noise, (count, *noise.shape[1:]))
    seen = preprocess(obs, sizes.image.image_size)
    draws = jnp.moveaxis(noise, 1, 0)
    act = partial(model.sample_actions, params, seen, sampling=sampling)
    actions = jax.lax.map(act, draws).mean(0)
    call = {"noise": noise, "sampling": sampling, "action_horizon": action_horizon}
    found = {}
    if {"iss", "iss_new_masks", "random", "random_same"} & set(methods):
        own, new = (draw_masks(k, len(VIEWS), iss) for k in (mask_key, new_key))
        rows, masks = list(range(count)), [own] * count
        if "iss_new_masks" in methods:
            rows, masks = [*rows, *rows[1:]], [*masks, *[new] * (count - 1)]
        every = _saliency_of_rows(params, obs, np.array(rows), jnp.stack(masks), iss, call, views)
        result = jax.tree.map(lambda leaf: leaf[:count], every)
        found["iss"] = result.maps
        if "iss_new_masks" in methods:
            found["iss_new_masks"] = {
                view: jnp.concatenate([m[:1], m[count:]]) for view, m in every.maps.items()
            }
        if "random" in methods:
            found["random"] = random_map(deal_key, result).maps
        if "random_same" in methods:
            found["random_same"] = _dealt_alike(deal_key, result)
    for method, own in (("attention", probe_key), ("norm", probe_key), ("gradient", probe_key)):
        if method in methods:
            settings = Settings(iss, action_horizon, sampling, probes=probes)
            found[method] = map_of(method, params, obs, key=own, settings=settings, noise=noise)
    return Explained(
        actions, {name: {view: found[name][view] for view in views} for name in methods}
    )


def _saliency_of_rows(
    params: Any,
    obs: Observation,
    rows: np.ndarray,
    masks: Bool[Array, "R n views gh gw"],
    iss: ISSConfig,
    call: dict[str, Any],
    views: tuple[str, ...],
) -> Saliency:
    """ISS of some rows, each under masks of its own, by one program that is run once a row."""
    present = {view: np.array([view in views]) for view in obs.images}

    def one(args: tuple[Array, Array]) -> Saliency:
        row, masks = args
        alone = jax.tree.map(lambda leaf: leaf[row][None], dataclasses.replace(obs, image_masks={}))
        alone = dataclasses.replace(alone, image_masks=present)
        own = {**call, "noise": call["noise"][row][None]}
        result = saliency(params, alone, config=iss, masks=masks, **own)
        # Frames would be held once a row; nobody looks at them.
        return example(dataclasses.replace(result, gradients=None, frames=None))

    return jax.lax.map(one, (jnp.asarray(rows), masks))


def _dealt_alike(key: Key[Array, ""], result: Saliency) -> dict[str, Array]:
    """`random_map` with one permutation for all rows, whose valid pixels are the same."""

    def one(row: Any) -> dict[str, Array]:
        maps, valid, cells = jax.tree.map(lambda leaf: leaf[None], row)
        dealt = random_map(
            key, dataclasses.replace(result, maps=maps, valid=valid, cells=cells)
        ).maps
        return {view: scores[0] for view, scores in dealt.items()}

    return jax.lax.map(one, (result.maps, result.valid, result.cells))


def similarities(
    maps: Mapping[str, Float[Array, "r h w"]], valid: Mapping[str, Bool[Array, "r h w"]]
) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and Pearson's r of each copy's map with that of the frame, the first row.

    Over all valid pixels of all views together. Cosine is the paper's; adding a constant to both
    maps brings it closer to 1, and leaves Pearson's r as it is. nan for a map without variation.
    """
    views = list(maps)
    flat = np.concatenate(
        [np.asarray(maps[view], np.float64)[:, np.asarray(valid[view])[0]] for view in views],
        axis=1,
    )
    centred = flat - flat.mean(1, keepdims=True)
    out = []
    for rows in (flat, centred):
        norms = np.linalg.norm(rows, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            out.append(rows[1:] @ rows[0] / (norms[1:] * norms[0]))
    return out[0], out[1]


def measure(item: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    """What an item's perturbations do to actions and maps, a list entry a frame.

    Returns:
        `action_error` [F, K], the mean squared difference of the actions to the frame's own, over
        the dimensions and steps that ISS counts; `area` [F], nuisance share of the pixels; of each
        method `cosine` and `pearson` [F, K] (see `similarities`) and `nmr` [F, 1 + K].
    """
    key = jax.random.fold_in(jax.random.key(item["seed"]), zlib.crc32(item["task"].encode()))
    out: dict[str, Any] = {"action_error": [], "area": []}
    for kind in ("cosine", "pearson", "nmr"):
        out[kind] = {method: [] for method in item["methods"]}
    for frame in item["frames"]:
        copies, explained = explained_copies(item, frame, key, inputs)
        regions, valid = jax.tree.map(jnp.asarray, (copies.seen.regions, copies.seen.valid))
        error = divergence.effects(
            explained.actions[1:],
            explained.actions[0],
            action_dims=inputs.iss.action_dims,
            horizon=inputs.iss.horizon,
        )
        out["action_error"].append(np.asarray(error))
        out["area"].append(float(nmr.chance_level(regions, valid=valid)[0]))
        for method, maps in explained.maps.items():
            cosine, pearson = similarities(maps, valid)
            out["cosine"][method].append(cosine)
            out["pearson"][method].append(pearson)
            share = nmr.nuisance_mass_ratio(maps, regions, k=item["percent"], valid=valid)
            out["nmr"][method].append(np.asarray(share))
    return out


def explained_copies(
    item: Mapping[str, Any], frame: int, key: Key[Array, ""], inputs: Inputs
) -> tuple[Copies, Explained]:
    """A frame of an item and its copies, and all maps of them."""
    pixels_key, explain_key = jax.random.split(jax.random.fold_in(key, frame))
    copies = read_copies(item, frame, pixels_key, inputs)
    explained = explain(
        inputs.policy.params,
        copies.seen.obs,
        explain_key,
        views=copies.seen.views,
        iss=inputs.iss,
        methods=tuple(item["methods"]),
        probes=item["gradient_probes"],
        action_horizon=item["action_horizon"],
        sampling=Sampling(num_steps=item["num_steps"]),
    )
    return copies, explained
