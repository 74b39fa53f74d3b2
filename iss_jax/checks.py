"""What values cannot be, said where they enter: frames, states, labels, prompts, options.

Shapes and dtypes are checked always. Values are looked at where there are some: nothing here is
seen inside `jit`.
"""

import warnings
from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

LABELS = "0 nuisance, 1 support, 2 action-critical"

# Floats in [-1, 1] that have been through half precision may exceed it by this.
SLACK = 1e-2

Options = TypeVar("Options")


def is_known(array: Any) -> bool:
    """Whether an array's values can be read here: no tracer, no array of other hosts."""
    if isinstance(array, Tracer | jax.ShapeDtypeStruct):
        return False
    return not isinstance(array, jax.Array) or array.is_fully_addressable


def check_options(name: str, given: Any, wanted: type[Options]) -> Options:
    """The options, if they are of the class that is wanted.

    Raises:
        TypeError: Anything else, such as an `ml_collections.ConfigDict`.
    """
    if isinstance(given, wanted):
        return given
    way = ""
    if hasattr(given, "keys"):
        way = f": make one of it by {wanted.__name__}(**{name})"
    raise TypeError(f"{name} must be {wanted.__name__}, got {type(given).__name__}{way}")


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> None:
    """Says that a count is none.

    Raises:
        ValueError: No integer, below the least, or above the most.
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be an integer >= {least}, got {value!r}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, got {value}")


def check_number(name: str, value: Any, *, above: float, most: float = np.inf) -> None:
    """Says that a number is none, or out of range.

    Args:
        name: Of the number.
        value: The number.
        above: It must exceed this.
        most: And not this; it must be finite in any case.

    Raises:
        ValueError: It is not so.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if not number or isinstance(value, bool) or not above < value <= most or np.isinf(value):
        end = "a finite number" if np.isinf(most) else f"a number of at most {most:g}"
        raise ValueError(f"{name} must be {end} above {above:g}, got {value!r}")


def check_observation(obs: Any) -> None:
    """Says that something has not the attributes of openpi's `Observation`.

    Raises:
        TypeError: It lacks some; a dict of them is none.
    """
    wanted = ("images", "image_masks", "state", "tokenized_prompt", "tokenized_prompt_mask")
    missing = [name for name in wanted if not hasattr(obs, name)]
    if missing:
        raise TypeError(
            f"obs: {type(obs).__name__} lacks {missing}, wanted openpi's Observation or "
            "iss_jax.pi05.observation.Observation"
        )


def check_finite(name: str, array: Any) -> None:
    """Says which entry is NaN or infinite, where values are known.

    Raises:
        ValueError: There is one; the message has its index.
    """
    if array is None:
        raise ValueError(f"{name}: None given, numbers wanted")
    array = _array(array)
    if not is_known(array) or not jnp.issubdtype(jnp.result_type(array), jnp.floating):
        return
    with jax.ensure_compile_time_eval():
        if isinstance(array, jax.Array) and bool(jnp.isfinite(array).all()):
            return
    values = np.asarray(array, np.float64)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        at = wrong[0].tolist()
        raise ValueError(
            f"{name}: {values[tuple(at)]} at {at}, finite numbers wanted ({len(wrong)} of "
            f"{values.size} are not)"
        )


def check_masks(name: str, masks: Mapping[str, Any] | None) -> None:
    """As `check_mask`, of each view's."""
    for view, mask in (masks or {}).items():
        check_mask(f"{name}[{view!r}]", mask)


def check_mask(name: str, mask: Any) -> None:
    """Says where a mask is NaN, which would count as True; None is no mask.

    Raises:
        ValueError: It is, where values are known; the message has the index.
    """
    mask = _array(mask)
    if mask is None or not is_known(mask):
        return
    if not jnp.issubdtype(jnp.result_type(mask), jnp.floating):
        return
    wrong = np.argwhere(np.isnan(np.asarray(mask, np.float64)))
    if len(wrong):
        raise ValueError(f"{name}: nan at {wrong[0].tolist()}, True or False wanted")


def check_frames(
    name: str, images: Mapping[str, Any], present: Mapping[str, Any] | None = None
) -> None:
    """Says which float frames are not in [-1, 1], as openpi's `Observation` has them.

    uint8 frames are what they are. A row none of whose pixels is below 0 in any view is taken for
    [0, 1]: in [-1, 1] no pixel of it would be darker than mid-grey. It is left alone where its
    values are those that bright pictures of eight bits have: odd multiples of 1/255. Of a view
    alone it is said and not refused, for a wrist camera may well see a white wall.

    Args:
        name: Of the frames, for the message.
        images: View -> frames, rows first.
        present: View -> whether it is there, one a row; the range of an absent view is not looked
            at.

    Raises:
        ValueError: Values that are not finite, beyond [-1, 1], or in [0, 1] in every view, or a
            `present` that is NaN; the message names the view.

    Warns:
        UserWarning: One view among darker ones looks like [0, 1].
    """
    lowest, highest = np.array(np.inf), np.array(-np.inf)
    suspects = []
    for view, frames in images.items():
        there = None if present is None else present.get(view)
        check_mask(f"{name}[{view!r}]: whether it is present", there)
        frames = _array(frames)
        if not is_known(frames) or not jnp.issubdtype(frames.dtype, jnp.floating):
            continue
        rows = np.ones(frames.shape[:1], bool)
        if there is not None:
            if not is_known(there):
                continue
            if np.shape(there) not in ((), rows.shape):
                continue  # said elsewhere
            rows = np.broadcast_to(np.asarray(there, bool), rows.shape)
        if frames.ndim < 2 or not rows.any() or (lowest.ndim and lowest.shape != rows.shape):
            continue
        with jax.ensure_compile_time_eval():
            # NaN is asked for by itself: some backends' minima pass over it.
            finite, low, high = (np.asarray(x) for x in _extent(jnp.asarray(frames)))
        if not finite:
            check_finite(f"{name}[{view!r}]", frames)
        # Older versions of numpy know no common type with bfloat16.
        low = np.where(rows, low.astype(np.float64), np.inf)
        high = np.where(rows, high.astype(np.float64), -np.inf)
        if low.min() < -1.0 - SLACK or high.max() > 1.0 + SLACK:
            raise ValueError(
                f"{name}[{view!r}]: floats in [{low.min():g}, {high.max():g}], wanted [-1, 1] "
                "(uint8 / 127.5 - 1, as openpi's Observation has them) or uint8"
            )
        suspects += [
            (view, row, low[row], high[row])
            for row in np.flatnonzero(_bright(low, high))
            if not _of_bytes(np.asarray(frames[row]))
        ]
        lowest, highest = np.minimum(lowest, low), np.maximum(highest, high)
    bright = _bright(lowest, highest)
    if not bright.any() and suspects:
        view, row, low, high = suspects[0]
        warnings.warn(
            f"{name}[{view!r}]: floats in [{low:g}, {high:g}] in row {row}, no pixel of it below "
            "0: this view alone looks like [0, 1], wanted is [-1, 1] (2 x - 1, as openpi's "
            "Observation has them) or uint8, which may be as bright as it is",
            stacklevel=3,
        )
    # Of rows whose views are all bright, those are refused of which one view is no bytes'.
    of_suspects = np.isin(np.arange(bright.size), [row for _, row, _, _ in suspects])
    bright = bright & of_suspects.reshape(bright.shape)
    if bright.any():
        row = int(np.argmax(bright))
        low, high = np.ravel(lowest)[row], np.ravel(highest)[row]
        raise ValueError(
            f"{name}: floats in [{low:g}, {high:g}] in row {row}, no pixel of any view below 0: "
            "this looks like [0, 1], wanted is [-1, 1] (2 x - 1, as openpi's Observation has them) "
            "or uint8, which may be as bright as it is"
        )


def _bright(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return (low >= 0.0) & (high > low) & np.isfinite(low)


def _of_bytes(frame: np.ndarray) -> bool:
    """Whether a frame may be uint8 / 127.5 - 1, whose values are odd multiples of 1/255."""
    slack = 255 * float(jnp.finfo(frame.dtype).eps) + 1e-3
    halves = (frame.astype(np.float32) * 255 - 1) / 2
    # Of bfloat16 nobody can tell.
    return bool(slack >= 0.5 or (np.abs(halves - np.round(halves)) <= slack / 2).all())


@jax.jit
def _extent(frames: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether all is finite; the least and the largest value of each row."""
    axes = tuple(range(1, frames.ndim))
    return jnp.isfinite(frames).all(), frames.min(axes), frames.max(axes)


def _array(value: Any) -> Any:
    """Lists as arrays; anything else as it is."""
    return np.asarray(value) if isinstance(value, list | tuple) else value


def check_tokens(name: str, tokens: Any, mask: Any, vocab: int) -> None:
    """Says which token is no row of the table of embeddings.

    Raises:
        ValueError: A token that counts is negative or beyond the table, or the mask is NaN.
    """
    check_mask(f"{name}: its mask", mask)
    tokens, mask = _array(tokens), _array(mask)
    if not jnp.issubdtype(jnp.result_type(tokens), jnp.integer):
        raise ValueError(f"{name}: dtype {jnp.result_type(tokens)}, integers wanted")
    if not is_known(tokens) or not is_known(mask):
        return
    ids, counts = np.asarray(tokens), np.asarray(mask, bool)
    if ids.shape != counts.shape:
        return  # said elsewhere
    wrong = np.argwhere(counts & ((ids < 0) | (ids >= vocab)))
    if len(wrong):
        at = wrong[0].tolist()
        raise ValueError(f"{name}: {ids[tuple(at)]} at {at}, wanted 0 to {vocab - 1}")


def check_labels(name: str, labels: Mapping[str, Any], valid: Mapping[str, Any]) -> None:
    """Says which region labels are none.

    Args:
        name: Of the labels, for the message.
        labels: View -> labels.
        valid: View -> pixels that count; labels of others are not looked at. A missing entry means
            all.

    Raises:
        ValueError: Labels that are no integers, or other ones than 0, 1 and 2.
    """
    if not isinstance(labels, Mapping):
        raise TypeError(f"{name} must map views to labels, got {type(labels).__name__}")
    for view, own in labels.items():
        own = _array(own)
        dtype = jnp.result_type(own)
        if not jnp.issubdtype(dtype, jnp.integer):
            raise ValueError(f"{name} of {view!r}: dtype {dtype}, wanted integers: {LABELS}")
        inside = valid.get(view)
        if not is_known(own) or (inside is not None and not is_known(inside)):
            continue
        with jax.ensure_compile_time_eval():
            # On the device, of which one number comes back and not the picture.
            if isinstance(own, jax.Array) and bool(((own >= 0) & (own <= 2)).all()):
                continue
        values = np.asarray(own)
        wrong = (values < 0) | (values > 2)
        if inside is not None:
            wrong = wrong & np.broadcast_to(np.asarray(inside, bool), values.shape)
        if wrong.any():
            found = np.unique(values[wrong])[:5].tolist()
            raise ValueError(f"{name} of {view!r}: labels {found}, wanted {LABELS}")


def check_text(name: str, text: Any) -> str:
    """An instruction as a string.

    Raises:
        ValueError: It is none: None, a list, a number, or bytes that are no UTF-8.
    """
    if isinstance(text, np.ndarray | np.generic) and np.ndim(text) == 0:
        text = text.item()
    if isinstance(text, bytes):
        try:
            return text.decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: {text[:40]!r} is no UTF-8 text ({error})") from error
    if not isinstance(text, str):
        raise ValueError(f"{name}: {text!r} ({type(text).__name__}) given, text wanted")
    return text


def check_actions(actions: Any, rows: int) -> Any:
    """What a policy answered, if it is one action chunk a row.

    Args:
        actions: The answer; may be traced.
        rows: How many copies the policy was given.

    Raises:
        ValueError: No array, another shape than [rows, H, A], or no real numbers.
    """
    if not hasattr(actions, "shape") or not hasattr(actions, "dtype"):
        raise ValueError(
            f"policy must map n images to an array of actions [n, H, A], got "
            f"{type(actions).__name__}"
        )
    shape = tuple(actions.shape)
    if len(shape) != 3 or shape[0] != rows or not all(shape):
        raise ValueError(
            f"policy must map n images to actions [n, H, A], got {list(shape)} for n = {rows}"
        )
    kinds = (jnp.floating, jnp.integer)
    if not any(jnp.issubdtype(actions.dtype, kind) for kind in kinds):
        raise ValueError(f"policy must answer real numbers, got {actions.dtype}")
    return actions
