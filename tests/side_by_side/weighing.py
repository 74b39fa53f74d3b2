"""Policies that act on things by known weights, for tests of comparisons."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import tiny_policy

from iss_jax.explain.donors import Donors
from iss_jax.policies.frames import FrameOptions, Seen

NAMES = {1: "robot", 2: "bowl", 3: "lamp"}
SIZE = 32


def episode_of(frames=2):
    """A robot, a bowl and a lamp in bands; the lamp is nuisance."""
    bands = np.repeat([1, 2, 3, 3], SIZE // 4).astype(np.int32)
    numbers = np.broadcast_to(bands, (frames, SIZE, SIZE)).copy()
    regions = np.select([numbers == 1, numbers == 2], [2, 1], 0).astype(np.uint8)
    episode = tiny_policy.episode(frames)
    return dataclasses.replace(
        episode,
        images={"wrist": episode.images["wrist"]},
        regions={"wrist": regions},
        instances={"wrist": numbers},
        instance_names=NAMES,
        metadata={},
    )


@dataclasses.dataclass
class Weighing:
    """Effects are its weights of the players, in every draw times what the draw's key says.

    `asked` holds what each frame was given: key, donors, whose they are not, and the fill.
    """

    weights: tuple = (1.0, 1.0, 2.0)
    seen_size: int = SIZE
    reason: int = 0
    moved: tuple = (1.0,)
    bank: Donors = dataclasses.field(default_factory=lambda: Donors("blur"))
    asked: list = dataclasses.field(default_factory=list)
    frame_options: FrameOptions = dataclasses.field(
        default_factory=lambda: FrameOptions({"left_wrist_0_rgb": "wrist"})
    )
    action_dims: int = 7
    cannot: tuple = ()

    def run_keys(self):
        own = {"weights": list(self.weights), "size": self.seen_size, "reason": self.reason}
        return {**own, "moved": list(self.moved)}

    def unit(self, config):
        return ""

    def see(self, episode):
        view, cut = "left_wrist_0_rgb", slice(0, self.seen_size)
        frames = len(episode)
        seen = Seen(
            episode,
            None,  # pyright: ignore
            {view: "wrist"},
            {view: episode.regions["wrist"][:, cut, cut]} if episode.regions else {},
            {view: np.ones((frames, self.seen_size, self.seen_size), bool)},
            self.seen_size,
            {view: episode.instances["wrist"][:, cut, cut]} if episode.instances else {},
        )
        seen.__dict__["images"] = {view: episode.images["wrist"][:, cut, cut]}
        return seen

    def donors(self, dataset, asked):
        return self.bank

    def effects_of(self, seen, frame, players, bank, groups, key, config):
        count = len(players)
        drawn = None
        if groups is not None:
            drawn = [np.asarray(one).tolist() for one in (groups.episode, groups.task)]
        key_words = tuple(np.asarray(jax.random.key_data(key)).tolist())
        self.asked.append({"key": key_words, "bank": bank, "groups": drawn, "fill": config.fill})
        weights = np.resize(self.weights, count)
        factor = np.asarray(jax.random.uniform(key, (config.draws, 1), jnp.float32, 0.5, 2.0))
        return {
            "by_draw": (factor * weights).tolist(),
            "moved": np.resize(self.moved, count).tolist(),
            "floor": 0.0,
            "reason": self.reason,
            "actions": [[0.0]],
        }
