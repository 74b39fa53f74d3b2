import numpy as np
import pytest
import scipy.fft

from experiments.fast_student import tokens

RNG = np.random.default_rng(0)
CHUNKS = RNG.normal(size=(200, 16, 3)).astype(np.float32)


def test_all_coefficients_and_many_bins_give_the_chunk_back():
    found = tokens.fitted(CHUNKS, kept=16, bins=4096, first=5)
    inside = RNG.normal(size=(4, 16, 3)).astype(np.float32) * 0.2
    ids = tokens.encode(found, inside)
    assert ids.shape == (4, found.length) == (4, 48)
    assert ids.min() >= 5 and ids.max() < 5 + 4096
    np.testing.assert_allclose(tokens.decode(found, ids), inside, atol=5e-3)


def test_few_coefficients_are_the_low_frequencies():
    found = tokens.fitted(CHUNKS, kept=2, bins=2048, first=0)
    chunk = RNG.normal(size=(1, 16, 3)).astype(np.float32) * 0.2
    spectrum = scipy.fft.dct(chunk, axis=1, norm="ortho")
    spectrum[:, 2:] = 0
    wanted = scipy.fft.idct(spectrum, axis=1, norm="ortho")
    np.testing.assert_allclose(tokens.decode(found, tokens.encode(found, chunk)), wanted, atol=5e-3)


def test_the_lowest_frequencies_come_first():
    found = tokens.fitted(CHUNKS, kept=4, bins=64, first=10)
    still = np.zeros((1, 16, 3), np.float32)
    higher = still + np.cos(np.pi * (np.arange(16) + 0.5) * 3 / 16)[:, None].astype(np.float32)
    changed = (tokens.encode(found, still) != tokens.encode(found, higher)).reshape(4, 3)
    assert changed.tolist() == [[False] * 3] * 3 + [[True] * 3]


@pytest.mark.parametrize(("given", "counted"), [(0, 10), (9999, 73), (40, 40)])
def test_ids_that_are_no_bins_count_as_the_nearest(given, counted):
    found = tokens.fitted(CHUNKS, kept=1, bins=64, first=10)
    ids = np.full((1, found.length), given, np.int32)
    np.testing.assert_array_equal(
        tokens.decode(found, ids), tokens.decode(found, np.full_like(ids, counted))
    )


def test_chunks_beyond_the_bins_are_cut():
    found = tokens.fitted(CHUNKS, kept=1, bins=8, first=0)
    far = tokens.encode(found, np.full((1, 16, 3), 1e3, np.float32))
    assert far.tolist() == [[7, 7, 7]]
