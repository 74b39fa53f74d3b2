"""Explained episodes as pages to click through, see `iss_jax.viz.explorer`."""

from collections.abc import Sequence

import numpy as np

from iss_jax.explain.files import Explained
from iss_jax.explain.players import of_all_frames
from iss_jax.jobs.directory import RunDirectory
from iss_jax.nmr import Region
from iss_jax.viz.explorer import Method, ShownEpisode, ShownPlayers, write_explorer

# Of one page, which is read whole before it shows anything.
MOST_FRAMES = 600


def shown_episode(found: Explained, kind: str) -> ShownEpisode:
    """An explained episode as the page takes it.

    Args:
        found: The episode.
        kind: Of its players, see `iss_jax.explain.frame_players.players_of`.
    """
    cameras, frames = found.cameras, len(found.episode)
    stderr = np.full(found.cells.shape, np.nan, np.float32)
    stderr[found.computed] = np.where(
        np.isfinite(found.contrast_stderr), found.contrast_stderr, np.nan
    )
    players = None
    if found.acted is not None:
        acted = of_all_frames(found.acted, kind, found.seen, found.computed)
        labels = {
            cameras[view]: np.broadcast_to(np.asarray(own), (frames, *np.shape(own)[1:]))
            for view, own in acted.players.labels.items()
            if view in cameras
        }
        players = ShownPlayers(
            labels, acted.shown_names(), np.asarray(acted.share), np.asarray(acted.share_stderr)
        )
    measures = found.measures
    return ShownEpisode(
        title=f"episode {found.index}: {found.task()}",
        times=found.times,
        images={camera: found.seen.images[view] for view, camera in cameras.items()},
        valid={camera: found.seen.valid[view] for view, camera in cameras.items()},
        methods={"ISS": Method(found.cells, stderr, found.unit)},
        computed=found.is_computed,
        regions={c: found.seen.regions[v] for v, c in cameras.items() if v in found.seen.regions},
        players=players,
        chance=None if measures is None else measures.area[:, Region.NUISANCE],
        random=None if measures is None else measures.random_nmr[:, :, 0],
        percent=found.percents[0],
        success=found.success(),
        # Maps are ranked by view.
        order=[cameras[view] for view in sorted(cameras)],
    )


def write_pages(run: RunDirectory, episodes: Sequence[ShownEpisode], *, title: str) -> list[str]:
    """Writes `explorer.html` into a run directory, and `explorer_2.html` and so on of long runs.

    Args:
        run: Where.
        episodes: All of them.
        title: Of each page.

    Returns:
        Names of the pages.
    """
    names = []
    for number, own in enumerate(split(episodes), 1):
        names.append("explorer.html" if number == 1 else f"explorer_{number}.html")
        write_explorer(run.path / names[-1], own, title=title)
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
