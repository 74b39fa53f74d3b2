"""Explained episodes as pages to click through, see `iss_jax.viz.explorer`."""

import numpy as np

from iss_jax.explain.files import Explained
from iss_jax.explain.players import of_all_frames
from iss_jax.nmr import Region
from iss_jax.viz.explorer import Method, ShownEpisode, ShownPlayers


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
        random={}
        if measures is None
        else {k: measures.random_nmr[:, :, i] for i, k in enumerate(found.percents)},
        percent=found.percents[0],
        success=found.success(),
        # Maps are ranked by view.
        order=[cameras[view] for view in sorted(cameras)],
    )
