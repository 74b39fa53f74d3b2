"""Which frames are chosen: spread over tasks, groups in turn."""

from pathlib import Path

import pytest

from experiments.single_frames.frames import choose_frames, frame_key, spread_order


class Episodes:
    """A dataset of nothing but metadata; every episode's file is this one."""

    root = Path("episodes")

    def __init__(self, lines: list[dict]) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    def metadata(self, index: int) -> dict:
        return self.lines[index]

    def prompts(self, index: int) -> tuple[str, ...]:
        return (self.lines[index]["task"],)

    def files(self, index: int) -> tuple[Path, ...]:
        return (Path(__file__),)


def episodes(seen: int, far: int, of_each: int = 2) -> Episodes:
    names = [("seen", f"s{i}") for i in range(seen)] + [("far", f"f{i}") for i in range(far)]
    return Episodes(
        [
            {"suite": "a", "task": task, "split": split, "length": 5 + lap}
            for lap in range(of_each)
            for split, task in names
        ]
    )


GROUPS = {"seen": ("seen",), "unseen": ("near", "far")}


def test_groups_take_turns_and_their_tasks_are_spread():
    frames = choose_frames(episodes(6, 9), GROUPS, 3)
    # Halves, then quarters: 0, 1/2 and 1/4 of the way through six and nine tasks.
    assert [(f["group"], f["task"]) for f in frames] == [
        ("seen", "s0"),
        ("unseen", "f0"),
        ("seen", "s3"),
        ("unseen", "f4"),
        ("seen", "s1"),
        ("unseen", "f2"),
    ]
    assert {f["frame"] for f in frames} == {2} and len({f["data"] for f in frames}) == 1
    assert all(f["prompts"] == [f["task"]] for f in frames)
    assert choose_frames(episodes(6, 9), GROUPS, 2) == frames[:4]


def test_the_order_holds_every_task_once():
    for count in (1, 2, 7, 18, 23, 41, 100):
        assert sorted(spread_order(count)) == list(range(count))
    assert spread_order(8) == [0, 4, 2, 6, 1, 5, 3, 7]


def test_zero_takes_every_task_once_and_more_takes_further_episodes():
    dataset = episodes(2, 1)
    assert len(choose_frames(dataset, {"seen": ("seen",)}, 0)) == 2
    four = choose_frames(dataset, {"seen": ("seen",)}, 4)
    assert [(f["task"], f["episode"]) for f in four] == [("s0", 0), ("s1", 1), ("s0", 3), ("s1", 4)]
    # The middle frame of the longer episodes of the second lap.
    assert [f["frame"] for f in four] == [2, 2, 3, 3]


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"no episode of the splits \['near'\]"):
        choose_frames(episodes(2, 1), {"near": ("near",)}, 1)
    with pytest.raises(ValueError, match="fewer than 5 episodes"):
        choose_frames(episodes(2, 1), {"seen": ("seen",)}, 5)
    with pytest.raises(ValueError, match=r"lacks the metadata \['split'\]"):
        choose_frames(Episodes([{"suite": "a", "task": "b", "length": 1}]), GROUPS, 1)


def test_keys_differ_by_frame_use_and_seed():
    item = {"suite": "a", "task": "b", "episode": 1, "frame": 2}
    others = [({**item, "frame": 3}, "u", 0), (item, "v", 0), (item, "u", 1)]
    keys = {str(frame_key(*args)) for args in [(item, "u", 0), *others]}
    assert len(keys) == 4 and str(frame_key(item, "u")) in keys
