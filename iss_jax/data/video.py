"""Frames of a video by their time, through PyAV (part of the `data` extra)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from iss_jax.extras import imports_of

# Of a frame's duration: further off than this, it cannot be told which frame is meant. Clocks of
# hardware jitter; half a duration would be as near to the next frame.
TOLERANCE = 0.4


def check_stamps(stamps: np.ndarray, rows: np.ndarray, fps: float, where: str) -> None:
    """Checks that time stamps are those of their frames.

    Args:
        stamps: float [T], seconds from the episode's beginning.
        rows: int [T], the frames those are.
        fps: frames a second.
        where: the file and episode, for messages.

    Raises:
        ValueError: one is not within `TOLERANCE` of its frame; the message names the frame.
    """
    late = np.abs(stamps.astype(np.float64) * fps - rows)
    # NaN is near nothing.
    wrong = ~(late <= TOLERANCE)
    if np.any(wrong):
        at = int(np.argmax(wrong))
        raise ValueError(
            f"{where}, frame {rows[at]}: timestamp {stamps[at]:.4f} s, but the frame is at "
            f"{rows[at] / fps:.4f} s of {fps:g} frames a second, and at most {TOLERANCE:g} of a "
            "frame may lie between; Keys(timestamps=False) goes by the frames' numbers"
        )


def read_frames(
    path: Path,
    start: float,
    rows: np.ndarray,
    fps: float,
    shape: tuple[int, ...],
    where: str,
    length: int,
) -> np.ndarray:
    """Decodes the pictures of some frames of an episode.

    Decoding starts at the last key frame before the first of them and ends at the last of them.

    Args:
        path: the video.
        start: time at which the episode begins in it, seconds.
        rows: int [T], the frames.
        fps: frames a second, which say when each frame is shown.
        shape: of one picture.
        where: the file and episode, for messages.
        length: frames of the episode, all of which the video must have.

    Returns:
        uint8 [T, *shape], RGB.

    Raises:
        FileNotFoundError: the video is missing.
        ValueError: it cannot be decoded, begins late, ends before the episode, has no picture of
            one of the frames, or one of another size; the message names the frame.
    """
    with imports_of("data"):
        import av
        import av.error

    if not path.exists():
        raise FileNotFoundError(f"{where}: the video is missing")
    if not len(rows):
        return np.zeros((0, *shape), np.uint8)
    times = start + rows / fps
    waiting = list(np.argsort(times, kind="stable"))
    found: np.ndarray | None = None
    damage = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{where}: holds no video")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            if stream.time_base is None:
                raise ValueError(f"{where}: the video has no time base")
            base = float(stream.time_base)
            _check_size((stream.height, stream.width), shape, f"{where}, frame {rows[waiting[0]]}")
            _check_span((stream.start_time or 0) * base, stream.frames, start, length, fps, where)
            found = np.empty((len(rows), *shape), np.uint8)
            if times[waiting[0]] > 0:
                begin = int((times[waiting[0]] + TOLERANCE / fps) / base)
                container.seek(begin, stream=stream, backward=True)
            for frame in container.decode(stream):
                if frame.pts is None:
                    continue
                time = frame.pts * base
                picture = None
                while waiting and abs(time - times[waiting[0]]) <= TOLERANCE / fps:
                    if picture is None:
                        size = (frame.height, frame.width)
                        _check_size(size, shape, f"{where}, frame {rows[waiting[0]]}")
                        picture = frame.to_ndarray(format="rgb24")
                    found[waiting.pop(0)] = picture
                if not waiting or time > times[waiting[0]] + TOLERANCE / fps:
                    break
    except av.error.FFmpegError as error:
        damage = error
    if waiting or found is None:
        reason = f"cannot be decoded ({damage})" if damage else "has no picture"
        raise ValueError(
            f"{where}, frame {rows[waiting[0]]}: the video {reason} at {times[waiting[0]]:.3f} s"
        )
    return found


def _check_size(size: tuple[int, int], shape: tuple[int, ...], where: str) -> None:
    """Before a picture takes memory."""
    # A stream whose first bytes are damaged has no size; its frames have one, or none can be had.
    if size != (0, 0) and (*size, 3) != shape:
        raise ValueError(f"{where}: picture {[*size, 3]} found, {list(shape)} wanted by info.json")


def _check_span(
    begin: float, pictures: int, start: float, length: int, fps: float, where: str
) -> None:
    """Checks that a video begins at zero and is as long as the episodes in it.

    A video whose pictures are a frame late would give each frame the picture before, and the first
    of an episode that of another.
    """
    if abs(begin) > TOLERANCE / fps:
        raise ValueError(
            f"{where}: the video begins at {begin:.4f} s instead of 0, {abs(begin) * fps:.1f} "
            "frames off, so its pictures are those of other frames"
        )
    first = round(start * fps)
    # Some containers do not count their pictures.
    if start and pictures and first + length > pictures:
        raise ValueError(
            f"{where}, frame 0: the episode is to begin at {start:.3f} s and to take the pictures "
            f"{first} to {first + length - 1}, but the video has {pictures}"
        )
