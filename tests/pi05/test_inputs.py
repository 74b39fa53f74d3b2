"""Prompts, state bins, normalisation and resizing against openpi's own results (misc.npz)."""

import contextlib
import functools
import json

import goldens
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.pi05 import normalize, observation, tokenizer
from iss_jax.pi05.inputs import make_observation

MISC = goldens.arrays("misc")
CASES = json.loads(bytes(MISC["cases_json"]))
STATS = normalize.NormStats(MISC["mean"], MISC["std"], MISC["q01"], MISC["q99"])


def test_state_bins():
    np.testing.assert_array_equal(tokenizer.state_bins(MISC["state"]), MISC["state_bins"])


class RecordingTokenizer:
    """Encodes one id a character and remembers what it was asked."""

    def __init__(self):
        self.calls = []

    def encode(self, text, add_bos=False):
        self.calls.append([text, add_bos])
        return ([2] if add_bos else []) + [ord(character) for character in text]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["prompt"].strip()[:12])
def test_prompts(case):
    recorder = RecordingTokenizer()
    state = None if case["state"] is None else np.asarray(case["state"])
    cut = sum(len(text) + bos for text, bos in case["encoded"]) > case["max_len"]
    with pytest.warns(match="63 tokens cut to 20") if cut else contextlib.nullcontext():
        ids, mask = tokenizer.tokenize_prompt(recorder, case["prompt"], state, case["max_len"])
    assert recorder.calls == case["encoded"]
    assert int(mask.sum()) == case["n_valid"] and mask[: case["n_valid"]].all()
    assert ids.dtype == np.int32 and ids.shape == (case["max_len"],)


@pytest.mark.parametrize("dims", ["7", "32"])
@pytest.mark.parametrize(("how", "golden"), [("quantiles", "quantile"), ("mean_std", "zscore")])
def test_normalisation(dims, how, golden):
    """Values reach 1e3, so the tolerance is relative: float32's own."""
    raw = MISC[f"raw{dims}"]
    there = functools.partial(normalize.normalize, stats=STATS, how=how)
    back = functools.partial(normalize.unnormalize, stats=STATS, how=how)
    expected = MISC[f"{golden}/unnormalized{dims}"]
    np.testing.assert_allclose(back(raw), expected, rtol=1e-5, atol=1e-5)
    if dims == "7":
        np.testing.assert_allclose(there(raw), MISC[f"{golden}/normalized7"], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(back(there(raw)), raw, rtol=1e-4, atol=1e-4)
    else:
        # As openpi, whose arrays then do not broadcast.
        with pytest.raises(ValueError, match="of 7 dimensions, 32 given"):
            there(raw)
    np.testing.assert_array_equal(back(raw)[..., 7:], raw[..., 7:])


def test_an_unknown_normalisation_is_named():
    with pytest.raises(ValueError, match="normalisation: 'zscore' given, one of"):
        normalize.unnormalize(np.zeros(7), STATS, "zscore")


def test_statistics_are_over_all_leading_axes():
    """Of 0, 1, ... 100 the mean is 50, the variance (101² − 1) / 12, the quantiles 1 and 99."""
    column = np.random.default_rng(0).permutation(101).astype(np.float32)
    found = normalize.statistics(np.stack([column, -2 * column], axis=-1)[None])
    np.testing.assert_allclose(found.mean, [50, -100])
    np.testing.assert_allclose(found.std, np.sqrt((101**2 - 1) / 12) * np.array([1, 2]))
    np.testing.assert_allclose([found.q01, found.q99], [[1, -198], [99, -2]])


def test_quantiles_are_needed():
    with pytest.raises(ValueError, match="hold no quantiles"):
        normalize.normalize(np.zeros(7), normalize.NormStats(np.zeros(7), np.ones(7)), "quantiles")


@pytest.mark.parametrize("case", range(4))
@pytest.mark.parametrize("dtype", ["u8", "f32"])
def test_resize_with_pad(case, dtype):
    image, expected = (MISC[f"resize/{case}/{way}_{dtype}"] for way in ("in", "out"))
    ours = observation.resize_with_pad(jnp.asarray(image), *expected.shape[1:3])
    assert ours.dtype == expected.dtype
    np.testing.assert_allclose(
        np.asarray(ours, np.float32), expected.astype(np.float32), atol=1 if dtype == "u8" else 2e-6
    )
    if dtype == "u8":  # rounding may differ at exact halves only
        assert np.mean(np.asarray(ours) != expected) < 1e-3
    rows, columns = observation.padded_extent(*image.shape[1:3], *expected.shape[1:3])
    outside = np.ones(expected.shape[1:3], bool)
    outside[rows, columns] = False
    assert np.all(np.asarray(ours)[:, outside] == (0 if dtype == "u8" else -1))


def test_preprocess_orders_scales_and_drops():
    obs = goldens.observation("tiny_b")
    shuffled = {view: obs.images[view] for view in reversed(observation.VIEWS)}
    extra = {"extra_rgb": obs.images["base_0_rgb"]}
    done = observation.preprocess(obs.replace(images={**extra, **shuffled}))
    assert tuple(done.images) == observation.VIEWS
    pixels = np.asarray(obs.images["base_0_rgb"], np.float64)
    np.testing.assert_allclose(done.images["base_0_rgb"], pixels / 255 * 2 - 1, atol=1e-6)


def test_preprocess_names_what_is_wrong():
    obs = goldens.observation("tiny_b")
    two = {view: obs.images[view] for view in observation.VIEWS[:2]}
    with pytest.raises(ValueError, match=r"obs.images: lacks .'right_wrist_0_rgb'"):
        observation.preprocess(obs.replace(images=two))
    with pytest.raises(ValueError, match="obs: tokenized_prompt"):
        observation.preprocess(obs.replace(tokenized_prompt=None))
    bad = {**obs.images, "base_0_rgb": obs.images["base_0_rgb"][0]}
    with pytest.raises(ValueError, match=r"obs.images\['base_0_rgb'\]: got shape \(224, 224, 3\)"):
        observation.preprocess(obs.replace(images=bad))
    integers = {**obs.images, "base_0_rgb": obs.images["base_0_rgb"].astype(jnp.int32)}
    with pytest.raises(ValueError, match="got dtype int32"):
        observation.preprocess(obs.replace(images=integers))


def test_own_tokenizer_cuts_states_into_single_tokens(tmp_path):
    prompts = ["pick up the milk", "pick up the butter and wait"]
    (tmp_path / "a.model").write_bytes(tokenizer.train_tokenizer(prompts))
    processor = tokenizer.load_tokenizer(tmp_path)
    state = np.linspace(-0.999, 0.999, 8)
    text = tokenizer.prompt_text(prompts[1], state)
    # BOS, "Task:", six words, ",", "State:", eight bins, ";", "Action:"
    assert len(processor.encode(text, add_bos=True)) == 1 + 1 + 6 + 2 + 8 + 2
    ids = {processor.piece_to_id(f"▁{i}") for i in range(256)}
    assert len(ids) == 256 and processor.unk_id() not in ids
    assert processor.unk_id() not in processor.encode("open the zebra's drawer")


def test_missing_tokenizer_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENPI_DATA_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"gs://big_vision/paligemma_tokenizer.model"):
        tokenizer.load_tokenizer()
    with pytest.raises(FileNotFoundError, match="no tokenizer file here"):
        tokenizer.load_tokenizer(tmp_path / "none.model")
    (tmp_path / "big_vision").mkdir()
    model = tokenizer.train_tokenizer(["open the drawer"])
    (tmp_path / "big_vision" / tokenizer.FILE_NAME).write_bytes(model)
    assert tokenizer.load_tokenizer().vocab_size() > 256


def test_make_observation_and_back():
    rng = np.random.default_rng(0)
    stats = {"state": STATS, "actions": STATS}
    images = {"front": rng.integers(0, 256, (2, 8, 8, 3), np.uint8)}
    obs = make_observation(
        images,
        MISC["raw7"][:2],
        ["a", "b"],
        tokenizer=RecordingTokenizer(),
        norm_stats=stats,
        max_token_len=80,
    )
    np.testing.assert_array_equal(obs.images["base_0_rgb"], images["front"])
    assert [bool(obs.image_masks[view][0]) for view in observation.VIEWS] == [True, False, False]
    np.testing.assert_allclose(obs.state, MISC["quantile/normalized7"][:2], rtol=1e-5, atol=1e-5)
    actions = normalize.unnormalize(np.zeros((2, 5, 32)), STATS, "quantiles")
    # Zero is the middle of the quantile range.
    np.testing.assert_allclose(actions[0, 0, :7], (STATS.q01 + STATS.q99 + 1e-6) / 2, rtol=1e-5)
    with pytest.raises(ValueError, match="wanted any of"):
        make_observation(
            {"side": images["front"]},
            MISC["raw7"][:2],
            ["a", "b"],
            tokenizer=RecordingTokenizer(),
            norm_stats=stats,
            max_token_len=8,
        )
