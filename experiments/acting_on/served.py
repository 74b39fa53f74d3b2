"""Players and donors of a frame that is sent to a server, at its cameras' own sizes."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from iss_jax import Background, Players, fills, players
from iss_jax.data.dataset import Dataset
from iss_jax.data.episode import Episode
from iss_jax.explain.donors import AUTO, WITHOUT_DONORS
from iss_jax.explain.frame_players import PLAYERS
from iss_jax.few import few
from iss_jax.policies.donors import donor_frames, task_of
from iss_jax.policies.frames import FrameOptions, read_frames


def sent_players(kind: str, episode: Episode, cameras: Mapping[str, str]) -> Players:
    """The players of one frame by the name that a config gives, as `players_of` says.

    Args:
        kind: one of `PLAYERS`.
        episode: the frame.
        cameras: view to camera.

    Raises:
        ValueError: another kind, or the dataset has no labels of that kind.
    """
    if kind not in PLAYERS:
        raise ValueError(f"config.players: {kind!r} given, one of {('', *PLAYERS)} wanted")
    if kind == "names" and set(cameras.values()) <= set(episode.instances):
        labels = {view: episode.instances[camera][0] for view, camera in cameras.items()}
        there = {int(n) for image in labels.values() for n in np.unique(image)}
        names = {n: name for n, name in episode.instance_names.items() if n in there}
        return players.from_instances(labels, names)
    if kind == "regions":
        missing = sorted(set(cameras.values()) - set(episode.regions))
        if missing:
            raise ValueError(
                f"players 'regions': no region labels of {few(missing)} in the dataset"
            )
        return players.from_regions({v: episode.regions[c][0] for v, c in cameras.items()})
    images = {view: jnp.asarray(episode.images[camera][:1]) for view, camera in cameras.items()}
    found = players.by_appearance(images, join=kind == "looks_joined")
    return Players({v: own[0] for v, own in found.labels.items()}, names=found.names)


def sent_donors(
    dataset: Dataset,
    episode: int,
    frame: Episode,
    shown: FrameOptions,
    *,
    fill: str,
    most: int,
) -> tuple[str, Background | None]:
    """The fill, and donors of other tasks at the cameras' own sizes.

    Args:
        dataset: of the frame and of its donors.
        episode: number of the frame's episode.
        frame: the frame.
        shown: cameras and mirroring.
        fill: a name of `iss_jax.fills`, or `auto`: donors where there are some, else a blur.
        most: donors that are looked for.

    Raises:
        ValueError: donors are asked for by name and there are none.
    """
    if fill != AUTO and not fills.needs_donors(fill):
        return fill, None
    own = task_of(dataset.metadata(episode))
    images: dict[str, list[np.ndarray]] = {view: [] for view in shown.used}
    for other, number in donor_frames(dataset, most):
        if task_of(dataset.metadata(other)) == own:
            continue
        donor = read_frames(dataset, other, [number], shown, labels="none")
        sizes = {camera: donor.images[camera].shape for camera in shown.used.values()}
        if sizes == {camera: frame.images[camera].shape for camera in sizes}:
            for view, camera in shown.used.items():
                images[view].append(donor.images[camera][0])
    if next(iter(images.values())):
        chosen = "background" if fill == AUTO else fill
        return chosen, Background({v: jnp.asarray(np.stack(i)) for v, i in images.items()})
    if fill == AUTO:
        return WITHOUT_DONORS, None
    raise ValueError(
        f"config.fill: {fill!r} given, but {dataset.root} has no frames of other tasks at the same "
        f"size; wanted {AUTO!r} or {WITHOUT_DONORS!r}"
    )
