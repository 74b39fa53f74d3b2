"""Keys of the experiments on single frames of every task: the policy, and which frames."""

import ml_collections


def task_frames(name: str, *, paper: bool = False) -> ml_collections.ConfigDict:
    """The embedded policy on frames of the study, or the paper's policy on the paper's tasks."""
    config = ml_collections.ConfigDict()
    config.name = name
    config.quiet = False

    # "embedded" is the package's own data; otherwise folders.
    config.checkpoint = "" if paper else "embedded"
    config.dataset = "" if paper else "embedded"
    # The checkpoint's own when empty, else PaliGemma's where openpi caches it.
    config.tokenizer = ""
    config.dtype = "bfloat16" if paper else "float32"

    # View of the policy to camera of the dataset; an empty camera leaves the view out.
    config.cameras = ml_collections.ConfigDict(
        {"base_0_rgb": "front", "left_wrist_0_rgb": "wrist", "right_wrist_0_rgb": "overhead"}
    )
    config.discrete_state_input = True
    config.max_token_len = 200 if paper else 48
    config.action_horizon = 16
    config.num_steps = 10

    # Groups of tasks, and the splits that each is made of.
    unseen = ("unseen_level1", "unseen_level2") if paper else ("near", "far")
    config.groups = ml_collections.ConfigDict({"seen": ("seen",), "unseen": unseen})
    # Of each group, the middle frames of episodes of different tasks; 0 for one of every task.
    config.frames_per_group = 0
    return config
