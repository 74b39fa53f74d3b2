"""Chunks and their validity around a disturbance, by hand."""

import numpy as np

from iss_jax.envs import demonstrations


def test_chunks_are_the_next_labels_and_then_hold():
    labels = np.arange(5, dtype=np.float32)[:, None] + np.zeros((5, 7), np.float32)
    chunks, valid = demonstrations.action_chunks(labels, np.zeros(5, bool), horizon=3)
    assert chunks.shape == (5, 3, 7) and chunks.dtype == np.float32
    assert chunks[1, :, 0].tolist() == [1.0, 2.0, 3.0]
    assert chunks[4, 0, 0] == 4.0
    np.testing.assert_array_equal(chunks[4, 1], demonstrations.HOLD)
    assert valid.all()


def test_labels_are_valid_up_to_the_first_disturbed_step():
    labels = np.zeros((8, 7), np.float32)
    disturbed = np.zeros(8, bool)
    disturbed[3:5] = True
    _, valid = demonstrations.action_chunks(labels, disturbed, horizon=4)
    # The label at step 3 answers a state that was reached undisturbed; what comes after does not.
    assert valid[0].tolist() == [True, True, True, True]
    assert valid[1].tolist() == [True, True, True, False]
    assert valid[3].tolist() == [True, False, False, False]
    assert valid[4].tolist() == [True, False, False, False]
    assert valid[5].all()


def test_bursts_move_the_hand_by_centimetres():
    bursts = [demonstrations.draw_burst(np.random.default_rng(i)) for i in range(400)]
    assert {b.length for b in bursts} == set(range(4, 12))
    assert max(b.start for b in bursts) < 60
    pushes = np.stack([b.push for b in bursts])
    # Standard deviations 0.7 and 0.08 of 1,200 draws each: within four standard errors (2 %).
    np.testing.assert_allclose(pushes[:, :3].std(), 0.7, rtol=0.09)
    np.testing.assert_allclose(pushes[:, 3:].std(), 0.08, rtol=0.09)
