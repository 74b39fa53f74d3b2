"""Effects of players on policies that are only asked."""

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import Background, EffectsConfig, attribute_players
from iss_jax.policies import served_players
from iss_jax.policies.configs import PolicyConfig

ARM = PolicyConfig("arm", {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}, {"state": 1}, 2, 3)
RNG = np.random.default_rng(0)
FRAMES = {camera: RNG.integers(0, 256, (8, 8, 3), np.uint8) for camera in ("front", "wrist")}
RAW = {**FRAMES, "state": np.zeros(1), "prompt": "reach"}
LABELS = {
    "base_0_rgb": np.repeat([0, 1], 4)[:, None] * np.ones((1, 8), np.int32),
    "left_wrist_0_rgb": np.full((8, 8), 2, np.int32),
}
DONORS = Background(
    {view: jnp.asarray(RNG.integers(0, 256, (6, 8, 8, 3), np.uint8)) for view in LABELS}
)
CONFIG = EffectsConfig(draws=4)


def actions_of(front, wrist):
    """Two steps of three dimensions that see the front's upper half and, less, the wrist."""
    seen = front[..., :4, :, :].mean((-3, -2)) + 0.3 * wrist.mean((-3, -2))
    return np.stack([seen, 2.0 * seen], -2) / 255.0


def test_it_equals_the_same_policy_that_is_traced():
    found = served_players.attribute_players(
        lambda raw: {"actions": actions_of(raw["front"] * 1.0, raw["wrist"] * 1.0)},
        RAW,
        ARM,
        LABELS,
        DONORS,
        config=CONFIG,
    )

    def policy(images):
        seen = images["base_0_rgb"][:, :4].mean((1, 2))
        seen = seen + 0.3 * images["left_wrist_0_rgb"].mean((1, 2))
        return jnp.stack([seen, 2.0 * seen], 1) / 255.0

    traced = attribute_players(
        policy,
        {"base_0_rgb": jnp.asarray(FRAMES["front"]), "left_wrist_0_rgb": FRAMES["wrist"]},
        LABELS,
        DONORS,
        config=CONFIG,
    )
    np.testing.assert_allclose(found.by_draw, traced.by_draw, rtol=1e-4, atol=1e-8)
    assert found.effects[1] == 0.0 and found.floor == 0.0 and bool(found.valid)
    assert dict(found.cameras) == {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist"}


def test_the_noise_of_a_server_is_subtracted():
    """A player that nothing depends on has no effect on average; without it, 2 sigma^2."""
    rng = np.random.default_rng(1)

    def infer(raw):
        noise = 0.5 * rng.standard_normal((2, 3))
        return {"actions": actions_of(raw["front"] * 1.0, raw["wrist"] * 1.0) + noise}

    found = served_players.attribute_players(
        infer, RAW, ARM, LABELS, DONORS, config=EffectsConfig(draws=150), baseline_calls=100
    )
    assert float(found.floor) == pytest.approx(0.5, rel=0.15)
    assert abs(float(found.effects[1])) < 4 * float(found.stderr[1])
    assert float(found.stderr[1]) < 0.05


def test_of_noise_alone_there_are_no_shares():
    rng = np.random.default_rng(2)
    found = served_players.attribute_players(
        lambda raw: {"actions": rng.standard_normal((2, 3))},
        RAW,
        ARM,
        LABELS,
        DONORS,
        config=CONFIG,
        baseline_calls=50,
    )
    assert not bool(found.valid)
    assert found.sentence().startswith("no shares")


def test_every_call_is_counted():
    calls = []
    served_players.attribute_players(
        lambda raw: {"actions": np.zeros((2, 3))},
        RAW,
        ARM,
        LABELS,
        DONORS,
        config=EffectsConfig(draws=2, views=True),
        progress=lambda done, wanted: calls.append((done, wanted)),
    )
    assert calls[-1] == (len(calls), len(calls))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"infer": lambda raw: {"action": 0}}, "answer 0: has no 'actions', it has"),
        ({"infer": lambda raw: {"actions": np.zeros(3)}}, r"answer 0: actions of shape \(3,\)"),
        ({"baseline_calls": 1}, "baseline_calls must be an integer >= 2, got 1"),
        ({"raw": {**RAW, "front": FRAMES["front"] / 255.0}}, "cameras must send uint8 frames"),
        ({"background": None}, "needs a background, got none"),
    ],
)
def test_errors_say_what_is_wanted(change, message):
    call = {
        "infer": lambda raw: {"actions": np.zeros((2, 3))},
        "raw": RAW,
        "robot": ARM,
        "players": LABELS,
        "background": DONORS,
        "config": CONFIG,
    }
    with pytest.raises(ValueError, match=message):
        served_players.attribute_players(**(call | change))
