"""Keys of the experiments on single frames of every task: the policy, and which frames."""

import ml_collections

from configs.parts.policy import set_policy


def task_frames(name: str, *, paper: bool = False) -> ml_collections.ConfigDict:
    """The embedded policy on frames of the study, or the paper's policy on the paper's tasks."""
    config = ml_collections.ConfigDict()
    config.name = name
    config.quiet = False

    where = "" if paper else "embedded"
    dtype, longest = ("bfloat16", 200) if paper else ("float32", 48)
    set_policy(config, checkpoint=where, dataset=where, dtype=dtype, max_token_len=longest)

    # Groups of tasks, and the splits that each is made of.
    unseen = ("unseen_level1", "unseen_level2") if paper else ("near", "far")
    config.groups = ml_collections.ConfigDict({"seen": ("seen",), "unseen": unseen})
    # Of each group, the middle frames of episodes of different tasks; 0 for one of every task.
    config.frames_per_group = 0
    return config
