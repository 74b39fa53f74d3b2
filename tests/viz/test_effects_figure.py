"""The picture of what a policy acts on: colours, what is faded, and the bars."""

import matplotlib
import numpy as np
import pytest

from iss_jax import Effects, EffectsConfig
from iss_jax.effect_reasons import REASONS
from iss_jax.effects import example
from iss_jax.players import Players
from iss_jax.results import Cameras
from iss_jax.viz import effects_figure as drawn
from iss_jax.viz.effects_rows import effects_rows

SIZE = 40
# Quarters: a large well known share, a small one, one within its error, one not tested; no player
# in the bottom rows.
LABELS = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 18, 0), 20, 1)
LABELS = np.concatenate([LABELS, np.full((4, SIZE), -1)]).astype(np.int32)
BY_DRAW = np.array([[8.0, 1.0, -0.3, 0.1], [8.4, 1.1, 2.0, 0.0], [7.6, 0.9, 0.0, 0.1]], np.float32)


def effects(**changes):
    labels = {"base": LABELS, "wrist": np.full((SIZE, SIZE), -1, np.int32)}
    fields = {
        "by_draw": BY_DRAW,
        "moved": np.array([1.0, 1.0, 1.0, 0.0], np.float32),
        "beside": {"tint": np.full(3, 2.0, np.float32)},
        "floor": np.float32(0),
        "reason": np.int32(0),
        "players": Players(labels, names=("base bowl", "plate", "wall", "floor")),
        "actions": np.zeros((3, 4), np.float32),
        "frames": {view: np.full((SIZE, SIZE, 3), 0.5, np.float32) for view in labels},
        "cameras": Cameras({"base": "front", "wrist": "wrist"}),
        "config": EffectsConfig(draws=3, tint=True),
        "unit": "mean squared error",
    }
    return Effects(**fields | changes)


def panel(found):
    return drawn.players_panels(found, drawn.shown(found))["base"]


def test_players_are_coloured_by_their_share_as_far_as_it_is_known():
    found = effects()
    image = panel(found)
    by = image.shape[0] // SIZE
    large, small, unknown, untested = (
        image[by * row + 7, by * column + 3].astype(float)
        for row, column in ((9, 10), (9, 30), (27, 10), (27, 30))
    )
    end = np.array(matplotlib.colormaps[drawn.COLORMAP](1.0)[:3]) * 255
    grey = 0.5 * 255
    wanted = (1 - drawn.OPACITY) * grey + drawn.OPACITY * end
    np.testing.assert_allclose(large, wanted, atol=1.0)
    assert np.ptp(large) > 100 and 5 < np.ptp(small) < np.ptp(large)
    np.testing.assert_allclose(unknown, grey, atol=1.0)
    np.testing.assert_allclose(untested, grey, atol=1.0)
    # Nobody's pixels are the frame's, away from the edge.
    np.testing.assert_allclose(image[by * 38, by * 10], grey, atol=1.0)
    # Outlines stand between players, and lines over what was not tested.
    border = image[by * 9, by * 20 - 1].astype(float)
    assert np.abs(border - large).max() > 30
    block = image[by * 22 : by * 32, by * 24 : by * 36, 0]
    assert (block > 160).mean() == pytest.approx(1 / drawn.HATCH, abs=0.02)


def texts(figure):
    """All words of a figure."""
    found = [text.get_text() for axes in figure.axes for text in axes.texts]
    found += [text.get_text() for axes in figure.axes for text in axes.get_yticklabels()]
    found += [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]
    return [*found, figure.get_suptitle(), figure.get_supxlabel()]


def test_the_figure_says_names_shares_areas_and_runs(tmp_path):
    found = effects()
    figure = found.plot()
    words = texts(figure)
    share = np.asarray(found.share)
    assert f"1  front bowl  {100 * share[0]:.0f} %" in words
    assert f"plate  {100 * share[1]:.0f} %" in words and "floor  not tested" in words
    assert any(text.startswith("Acts on: front bowl") for text in words)
    (footer,) = [text for text in words if "runs" in text]
    footer = " ".join(footer.split())
    assert "18 runs: 3 draws, fill background." in footer and "Hatched: not tested" in footer
    assert "tint 0.21" in footer and "Effect: mean squared error" in footer
    # The wrist view holds no player.
    assert "front" in words and "wrist" not in words
    (bars,) = [axes for axes in figure.axes if axes.patches]
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths, np.sort(share)[::-1], rtol=1e-6)
    reach = 2.0 * found.share_stderr
    low, high = (np.clip(found.share + sign * reach, 0, 1) for sign in (-1, 1))
    largest = int(np.argmax(share))
    np.testing.assert_allclose(bars.lines[0].get_xdata(), [low[largest], high[largest]], rtol=1e-5)
    ticks = bars.collections[0].get_segments()
    np.testing.assert_allclose([segment[0, 0] for segment in ticks], 0.25, rtol=1e-6)
    figure.savefig(tmp_path / "effects.png")
    assert (tmp_path / "effects.png").read_bytes().startswith(b"\x89PNG")


def test_a_share_below_0_is_drawn_where_an_estimator_allows_it():
    by_draw = BY_DRAW * np.array([1.0, 1.0, 0.0, 0.0], np.float32)
    by_draw[:, 2] = [-0.8, -1.0, -1.2]
    found = effects(by_draw=by_draw, config=EffectsConfig(draws=3, estimator="banzhaf"))
    axes = drawn.effects_figure(found).axes[-1]
    share = float(found.share[2])
    assert share < -0.1
    assert min(bar.get_width() for bar in axes.patches) == pytest.approx(share, abs=1e-5)
    ends = [line.get_xdata() for line in axes.lines]
    left = min(end[0] for end in ends)
    assert left < share and axes.get_xlim()[0] < left
    # Alone no player has a negative effect: a bar begins at 0.
    alone = drawn.effects_figure(effects()).axes[-1]
    assert alone.get_xlim()[0] == 0.0 and alone.get_xlim()[1] <= 1.0


def test_without_shares_nothing_is_coloured_and_the_reason_stands_there():
    found = effects(reason=np.int32(1))
    assert np.ptp(panel(found), axis=-1).max() == 0
    assert any(REASONS[1] in " ".join(text.split()) for text in texts(found.plot()))


def test_one_draw_is_coloured_for_its_errors_are_not_known():
    found = effects(by_draw=BY_DRAW[:1], config=EffectsConfig(draws=1))
    assert np.ptp(panel(found), axis=-1).max() > 100
    (bars,) = [axes for axes in found.plot().axes if axes.patches]
    assert not bars.lines


def test_frames_that_are_not_known_are_grey():
    found = effects(frames=None)
    assert panel(found).shape == panel(effects()).shape
    assert len(found.plot().axes) == 2


def test_one_of_a_batch_is_drawn():
    import jax

    batch = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), effects())
    assert any("front bowl" in text for text in texts(batch.plot(1)))
    with pytest.raises(IndexError):
        batch.plot(2)
    assert example(batch, 1).by_draw.shape == BY_DRAW.shape


def test_rows_have_their_own_colours_labels_and_bars(tmp_path):
    large = effects(by_draw=BY_DRAW * np.array([1.0, 8.0, 1.0, 1.0], np.float32))
    figure = effects_rows(
        [effects(), large], ["first", "second"], title="Two frames", notes=["A note."], most=2
    )
    words = texts(figure)
    assert {"first", "second", "Two frames", "front"} <= set(words)
    assert [text for text in words if "bowl" in text] == [
        f"1  front bowl  {100 * float(found.share[0]):.0f} %" for found in (effects(), large)
    ]
    assert words[-1].startswith("A note.\n")
    figure.savefig(tmp_path / "rows.png")
    with pytest.raises(ValueError, match="one observation at least"):
        effects_rows([], [])
