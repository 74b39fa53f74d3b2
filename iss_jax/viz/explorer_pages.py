"""Pages to click through in a run directory, of whatever frames an experiment explains."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8

from iss_jax.effects import Effects
from iss_jax.jobs.directory import RunDirectory
from iss_jax.viz.explorer import Method, ShownEpisode, ShownPlayers, write_explorer
from iss_jax.viz.frames import displayed

# Of one page, which is read whole before it shows anything.
MOST_FRAMES = 600


def write_pages(run: RunDirectory, episodes: Sequence[ShownEpisode], *, title: str) -> list[str]:
    """Writes `explorer.html` into a run directory, and `explorer_2.html` and so on of long runs.

    Pages of an earlier run that this one has no use for go. Of several processes the first writes.

    Args:
        run: Where.
        episodes: All of them.
        title: Of each page.

    Returns:
        Names of the pages.
    """
    if not run.processes.first:
        return []
    names = []
    for number, own in enumerate(split(episodes), 1):
        names.append("explorer.html" if number == 1 else f"explorer_{number}.html")
        write_explorer(run.path / names[-1], own, title=title)
    for path in run.path.iterdir():
        if re.fullmatch(r"explorer(_\d+)?\.html", path.name) and path.name not in names:
            path.unlink()
    return names


def split(episodes: Sequence[ShownEpisode]) -> list[list[ShownEpisode]]:
    """Episodes in pages of so many frames, one at least each."""
    pages: list[list[ShownEpisode]] = []
    for episode in episodes:
        held = sum(len(one.times) for one in pages[-1]) if pages else 0
        if not pages or held + len(episode.times) > MOST_FRAMES:
            pages.append([])
        pages[-1].append(episode)
    return pages


def of_effects(found: Effects, title: str, *, success: bool | None = None) -> ShownEpisode:
    """One frame and what its players do, as the page takes it.

    Args:
        found: Of one frame, without batch axes, with the frame itself.
        title: In the list.
        success: Of its episode, where it is known.

    Raises:
        ValueError: The effects do not hold their frame.
    """
    if found.frames is None:
        raise ValueError(f"{title}: effects with their frame wanted, these hold none")
    views = {view: found.cameras.get(view) or view for view in found.frames}
    images = {view: image[None] for view, image in displayed(found.frames).items()}
    valid = {view: np.ones(image.shape[:3], bool) for view, image in images.items()}
    shares = [np.asarray(own, np.float32)[None] for own in (found.share, found.share_stderr)]
    if not bool(found.valid):
        shares = [np.full_like(own, np.nan) for own in shares]
    return ShownEpisode(
        title=title,
        times=np.zeros(1),
        images={camera: images[view] for view, camera in views.items()},
        valid={camera: valid[view] for view, camera in views.items()},
        methods={},
        computed=np.ones(1, bool),
        players=ShownPlayers(
            {
                views[view]: np.asarray(labels)[None]
                for view, labels in found.players.labels.items()
                if view in views
            },
            found.shown_names(),
            *shares,
        ),
        success=success,
    )


def of_maps(
    title: str,
    images: Mapping[str, UInt8[np.ndarray, "h w 3"]],
    valid: Mapping[str, np.ndarray],
    maps: Mapping[str, Mapping[str, np.ndarray]],
    *,
    units: Mapping[str, str],
    regions: Mapping[str, np.ndarray] | None = None,
    chance: float | None = None,
    percent: float = 10.0,
    success: bool | None = None,
) -> ShownEpisode:
    """One frame under the maps of several methods, as the page takes it.

    Args:
        title: In the list.
        images: Camera -> picture, at the size of the maps.
        valid: Camera -> pixels that are picture.
        maps: Method -> camera -> scores of the pixels.
        units: Method -> what a score is.
        regions: Camera -> labels, where there are some.
        chance: Nuisance share of the area, where it is known.
        percent: The k that the page begins with.
        success: Of the frame's episode, where it is known.
    """
    methods = {}
    for name, own in maps.items():
        scores = np.stack([np.asarray(own[camera], np.float32) for camera in images])[None]
        methods[name] = Method(scores, np.full_like(scores, np.nan), units[name])
    return ShownEpisode(
        title=title,
        times=np.zeros(1),
        images={camera: np.asarray(image)[None] for camera, image in images.items()},
        valid={camera: np.asarray(valid[camera])[None] for camera in images},
        methods=methods,
        computed=np.ones(1, bool),
        regions={camera: np.asarray(own)[None] for camera, own in (regions or {}).items()},
        chance=None if chance is None else np.full(1, chance),
        percent=percent,
        success=success,
        # In the order in which maps by view are ranked, which the caller keeps.
        order=list(images),
    )
