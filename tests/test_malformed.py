"""Malformed options, observations and statistics: each is taken as it is, or a named error.

Bounded and seeded. What is accepted must mean what it says: options come back unchanged, and a
changed observation is either refused or differs from the right one in nothing.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import event, given, settings, strategies as st

from iss_jax import (
    Background,
    EffectsConfig,
    ISSConfig,
    attribute,
    attribute_players,
    embedded,
    nuisance_mass_ratio,
    players,
)
from iss_jax.interventions import blur
from iss_jax.masks import sample_masks
from iss_jax.pi05.inputs import make_observation
from iss_jax.pi05.normalize import load_norm_stats
from iss_jax.pi05.observation import VIEWS, Observation, preprocess
from iss_jax.pi05.prepare import policy_observation
from iss_jax.pi05.tokenizer import load_tokenizer
from iss_jax.policies.configs import EMBEDDED, PolicyConfig
from iss_jax.policies.frames import FrameOptions
from iss_jax.viz.video import write_gif, write_mp4

SEEDED = settings(derandomize=True, max_examples=150, deadline=None, database=None)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(),
    st.text(max_size=8),
    st.binary(max_size=4),
    st.lists(st.integers(-3, 300), max_size=3),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(np.float32(0.5)),
    st.just(np.array([1, 2])),
)
NAMED = (ValueError, TypeError)


@SEEDED
@given(
    st.sampled_from([ISSConfig, EffectsConfig]),
    st.data(),
)
def test_options_are_taken_or_refused(cls, data):
    field = data.draw(st.sampled_from(dataclasses.fields(cls)))
    value = data.draw(VALUES)
    try:
        config = cls(**{field.name: value})
    except NAMED as error:
        event("refused by name")
        assert str(error)
        return
    event("taken as it is")
    kept = getattr(config, field.name)
    if isinstance(kept, tuple):
        kept, value = list(kept), list(value)
    assert kept == value or kept is value
    hash(config)


@SEEDED
@given(st.sampled_from(dataclasses.fields(PolicyConfig)), VALUES)
def test_robots_are_taken_or_refused(field, value):
    try:
        config = dataclasses.replace(EMBEDDED, **{field.name: value})
        frames = {c: np.zeros((8, 8, 3), np.uint8) for c in config.cameras.values()}
        config.split(config.join(frames, np.zeros(sum(config.state.values())), "go"))
    except NAMED as error:
        event("refused by name")
        assert str(error)
    else:
        event("taken as it is")


@SEEDED
@given(st.sampled_from(dataclasses.fields(FrameOptions)), VALUES)
def test_views_of_a_dataset_are_taken_or_refused(field, value):
    try:
        FrameOptions(**{field.name: value})
    except NAMED as error:
        event("refused by name")
        assert str(error)
    else:
        event("taken as it is")


def right():
    rng = np.random.default_rng(0)
    return Observation(
        images={v: rng.integers(0, 256, (2, 8, 8, 3), np.uint8) for v in VIEWS},
        image_masks={v: np.ones(2, bool) for v in VIEWS},
        state=np.zeros((2, 8), np.float32),
        tokenized_prompt=np.ones((2, 16), np.int32),
        tokenized_prompt_mask=np.ones((2, 16), bool),
    )


@SEEDED
@given(
    st.sampled_from(["view", "range", "nan", "token", "state", "shape", "dtype", "mask", "prompt"]),
    st.sampled_from(VIEWS),
    st.integers(0, 2**31 - 1),
    st.booleans(),
)
def test_a_malformed_observation_is_refused(kind, view, number, on_device):
    rng, obs = np.random.default_rng(number), right()
    images = {v: x.astype(np.float32) / 127.5 - 1 for v, x in obs.images.items()}
    place = tuple(rng.integers(0, s) for s in (2, 8, 8, 3))
    if kind == "view":
        images[f"{view}_"] = images.pop(view)
    elif kind == "range":
        scale, shift = [(127.5, 127.5), (0.5, 0.5), (10.0, 0.0)][number % 3]
        images = {v: x * scale + shift for v, x in images.items()}
    elif kind == "nan":
        images[view][place] = [np.nan, np.inf, -np.inf][number % 3]
    elif kind == "token":
        obs.tokenized_prompt[place[0], place[1]] = [-1, 32, -(2**31), 2**31 - 1][number % 4]
    elif kind == "state":
        obs.state[place[0], place[1]] = [np.nan, np.inf][number % 2]
    elif kind == "shape":
        images[view] = [images[view][0], images[view][..., :2], images[view][:1]][number % 3]
    elif kind == "dtype":
        images[view] = images[view].astype([bool, np.int64, np.complex64][number % 3])
    elif kind == "mask":
        obs = obs.replace(image_masks={**obs.image_masks, view: np.ones(3, bool)})
    elif kind == "prompt":
        tokens = [None, obs.tokenized_prompt[0], obs.tokenized_prompt.astype(np.float32)]
        obs = obs.replace(tokenized_prompt=tokens[number % 3])
    array = jnp.asarray if on_device else np.asarray
    obs = obs.replace(images={v: array(x) for v, x in images.items()})
    event("refused by name")
    with pytest.raises(NAMED) as caught:
        preprocess(policy_observation(obs, 32), 8)
    assert any(word in str(caught.value) for word in ("obs.", "image", "prompt", "state"))


@SEEDED
@given(st.data())
def test_malformed_statistics_are_refused_or_read_as_they_are(tmp_path_factory, data):
    file = next((embedded.checkpoint_path() / "assets").rglob("norm_stats.json"))
    content = json.loads(file.read_text())
    whole = data.draw(st.sampled_from(["state", "actions"]))
    entry = content["norm_stats"][whole]
    name = data.draw(st.sampled_from(sorted(entry)))
    value = data.draw(VALUES.filter(lambda x: not isinstance(x, bytes | np.ndarray | np.generic)))
    at = data.draw(st.sampled_from([None, 0, 3]))
    if at is None:
        entry[name] = value
    else:
        entry[name][at] = value
    folder = tmp_path_factory.mktemp("stats")
    (folder / "norm_stats.json").write_text(json.dumps(content))
    try:
        found = load_norm_stats(folder)[whole]
    except NAMED as error:
        event("refused by name")
        assert str(folder) in str(error)
        return
    event("taken as it is")
    kept = getattr(found, name)
    assert kept is None or (np.isfinite(kept).all() and len(kept) == len(found.mean))
    assert found.q01 is None or found.q99 is None or (found.q01 <= found.q99).all()


@SEEDED
@given(VALUES, VALUES)
def test_prompts_and_states_are_what_they_say(prompt, state):
    folder = embedded.checkpoint_path()
    stats = load_norm_stats(folder)
    tokenizer = load_tokenizer(folder / "assets")
    frames = {c: np.zeros((1, 8, 8, 3), np.uint8) for c in EMBEDDED.cameras.values()}
    options = {"tokenizer": tokenizer, "norm_stats": stats, "max_token_len": 40}
    zeros = np.zeros((1, 8), np.float32)
    try:
        made = make_observation(frames, zeros, [prompt], **options)
    except NAMED as error:
        event("refused by name")
        assert "prompt" in str(error)
    else:
        event("taken as it is")
        assert isinstance(prompt, str | bytes) and made.tokenized_prompt is not None
    try:
        made = make_observation(frames, np.asarray([state]), ["go"], **options)
    except NAMED as error:
        assert str(error)
    else:
        assert np.isfinite(np.asarray(made.state)).all()


FRAME = {"front": jnp.linspace(0, 1, 192).reshape(1, 8, 8, 3)}
z = jnp.zeros((1, 8, 8), jnp.int32)
NOBODY = {"front": z}
BLUR = EffectsConfig(fill="blur", draws=2)


def mean(images):
    return images["front"].mean((1, 2))[:, None, :]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sample_masks(jax.random.key(0), 1.5, 1), r"num_masks must be an integer"),
        (lambda: sample_masks(jax.random.key(0), True, 1), r"num_masks must be an integer"),
        (lambda: sample_masks(jax.random.key(0), 4, 1, grid=7), r"masks need"),
        (lambda: sample_masks(jax.random.key(0), 4, 1, keep_prob="x"), r"keep_prob must be"),
        (lambda: players.grid(FRAME, (0, 0)), r"cells: rows must be an integer >= 1, got 0"),
        (lambda: players.grid(FRAME, 3), r"cells must be \(rows, columns\), got 3"),
        (lambda: blur(FRAME["front"], sigma=0), r"sigma must be a number of at most 2240 above 0"),
        (lambda: blur(FRAME["front"], sigma=1e9), r"sigma must be .*got 1000000000"),
        (lambda: nuisance_mass_ratio(FRAME["front"][..., 0], NOBODY["front"], True), r"k must be"),
        (lambda: nuisance_mass_ratio(FRAME["front"][..., 0], NOBODY["front"], "9"), r"k must be"),
        (lambda: nuisance_mass_ratio(FRAME["front"][..., 0], NOBODY["front"], []), r"k: no perc"),
        (lambda: attribute(mean, FRAME["front"]), r"images must map views to frames"),
        (lambda: attribute(mean, {"front": FRAME["front"] > 0}), r"must be numbers, got bool"),
        (lambda: attribute(mean, {"front": FRAME["front"] * np.nan}), r"nan at \[0, 0, 0, 0\]"),
        (
            lambda: attribute_players(mean, FRAME, NOBODY, {"front": FRAME["front"] * np.inf}),
            r"background: images of 'front': ",
        ),
        (
            lambda: attribute_players(mean, FRAME, NOBODY, config=BLUR, regions={"front": 255 + z}),
            r"regions of 'front': labels \[255\]",
        ),
        (
            lambda: attribute_players(
                mean, FRAME, NOBODY, Background(FRAME, regions={"front": 255 + z})
            ),
            r"background.regions of 'front': labels \[255\]",
        ),
    ],
)
def test_sizes_labels_and_frames_that_cannot_be(call, message):
    with pytest.raises(NAMED, match=message):
        call()


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), "x", 1e9])
def test_videos_of_no_speed_leave_nothing(fps, tmp_path):
    for write, name in ((write_mp4, "a.mp4"), (write_gif, "a.gif")):
        with pytest.raises(ValueError, match="fps must be a number of at most 1000 above 0"):
            write(tmp_path / name, [np.zeros((8, 8, 3), np.uint8)] * 2, fps=fps)
    assert not list(tmp_path.iterdir())
