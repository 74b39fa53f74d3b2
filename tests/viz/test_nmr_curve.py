"""Curves show the numbers they were given."""

import numpy as np

from iss_jax.viz.nmr_curve import Curve, compare_figure, nmr_figure


def curve(frames=5):
    rng = np.random.default_rng(0)
    return Curve(
        times=np.arange(frames) / 5.0,
        nmr=rng.uniform(0.1, 0.3, frames),
        chance=rng.uniform(0.2, 0.3, frames),
        random=rng.uniform(0.0, 0.5, (frames, 40)),
        computed=np.arange(frames) % 2 == 0,
        percent=10,
    )


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def test_the_joint_curve_its_chance_and_the_band():
    given = curve()
    views = {"front": (given.nmr / 2, given.chance / 2), "wrist": (given.nmr, given.chance)}
    joint, single = nmr_figure(given, views, title="milk").axes
    shown = lines(joint)
    np.testing.assert_allclose(shown["nmr@10"], np.stack([given.times, given.nmr], 1))
    np.testing.assert_allclose(shown["chance"][:, 1], given.chance)
    dots = joint.lines[-1].get_xydata()
    np.testing.assert_allclose(dots[:, 0], given.times[::2])
    low, high = np.quantile(given.random, (0.05, 0.95), axis=1)
    band = joint.collections[0].get_paths()[0].vertices
    for t, time in enumerate(given.times):
        at = band[np.isclose(band[:, 0], time), 1]
        np.testing.assert_allclose([at.min(), at.max()], [low[t], high[t]])
    np.testing.assert_allclose(lines(single)["front"][:, 1], given.nmr / 2)
    assert joint.get_ylabel() == "nmr@10" and single.get_xlabel() == "time (s)"


def test_episodes_are_compared_by_nmr_less_chance():
    first, second = curve(), curve(3)
    (axes,) = compare_figure([first, second], ["a", "b"]).axes
    np.testing.assert_allclose(lines(axes)["a"][:, 1], first.nmr - first.chance)
    np.testing.assert_allclose(lines(axes)["b"][:, 0], second.times)


def test_one_frame_is_drawn():
    assert nmr_figure(curve(1), {}, title="").axes[0].lines[0].get_xydata().shape == (1, 2)
