import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.strides import interpolate, stream, stride_frames


@pytest.mark.parametrize(
    ("num_frames", "stride", "expected"),
    [
        (10, 3, [0, 3, 6, 9]),
        (11, 3, [0, 3, 6, 9, 10]),
        (5, 1, [0, 1, 2, 3, 4]),
        (4, 10, [0, 3]),
        (1, 10, [0]),
    ],
)
def test_stride_frames_hold_the_first_and_the_last(num_frames, stride, expected):
    assert stride_frames(num_frames, stride).tolist() == expected


def test_interpolation_follows_algorithm_1():
    num_frames, stride = 11, 4
    values = np.array([0.0, 8.0, 4.0, 20.0], np.float32)
    frames = stride_frames(num_frames, stride)
    expected = []
    for t in range(1, num_frames + 1):
        previous = stride * ((t - 1) // stride) + 1
        following = min(previous + stride, num_frames)
        alpha = (t - previous) / max(following - previous, 1)
        index = (previous - 1) // stride
        after = values[min(index + 1, 3)]
        expected.append((1 - alpha) * values[index] + alpha * after)
    found = interpolate(jnp.asarray(values), frames, num_frames)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_interpolation_reproduces_a_line_in_every_pixel():
    slope = jnp.arange(6.0).reshape(2, 3)
    frames = stride_frames(9, 5)
    values = jnp.asarray(frames, jnp.float32)[:, None, None] * slope[None]
    line = jnp.arange(9.0)[:, None, None] * slope[None]
    np.testing.assert_allclose(interpolate(values, frames, 9), line, rtol=1e-6)


def test_one_frame_is_itself():
    np.testing.assert_array_equal(interpolate(jnp.array([[3.0]]), jnp.array([0]), 1), [[3.0]])


@pytest.mark.parametrize(("num_frames", "stride"), [(11, 4), (9, 4), (2, 5), (1, 3), (6, 1)])
def test_stream_equals_interpolation_and_computes_only_strided_frames(num_frames, stride):
    seen = []

    def compute(frame):
        seen.append(frame)
        return {"map": jnp.array([float(frame) ** 2])}

    found = [result["map"][0] for result in stream(compute, range(num_frames), stride=stride)]
    frames = stride_frames(num_frames, stride)
    assert seen == frames.tolist()
    squares = jnp.asarray(frames, jnp.float32) ** 2
    np.testing.assert_allclose(found, interpolate(squares, frames, num_frames), rtol=1e-6)


def test_stream_is_lazy():
    seen = []
    results = stream(lambda frame: seen.append(frame) or float(frame), iter(range(10**9)), stride=3)
    assert [next(results) for _ in range(4)] == [0.0, 1.0, 2.0, 3.0]
    assert seen == [0, 3]
    assert list(stream(float, [], stride=2)) == []


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        stream(float, [1], stride=0)
    with pytest.raises(ValueError, match="at least 1, got 0 and 2"):
        stride_frames(0, 2)
    with pytest.raises(ValueError, match=r"rise from 0 to 5, got \[0, 3\]"):
        interpolate(jnp.zeros(2), np.array([0, 3]), 6)
    with pytest.raises(ValueError, match=r"frames must be \[2\]"):
        interpolate(jnp.zeros(2), np.array([0, 3, 5]), 6)


def test_whole_numbers_are_interpolated_too():
    between = interpolate(jnp.array([0, 4]), jnp.array([0, 4]), 5)
    np.testing.assert_array_equal(between, np.arange(5.0, dtype=np.float32))


def test_what_was_computed_stays_beside_what_is_not_known():
    found = interpolate(jnp.array([0.0, jnp.nan, 4.0]), jnp.array([0, 2, 4]), 5)
    np.testing.assert_array_equal(found, [0.0, np.nan, np.nan, np.nan, 4.0])
