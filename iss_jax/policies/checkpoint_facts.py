"""What a checkpoint says of itself before any parameter is read."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from etils import epath

from iss_jax.pi0_fast.params import fast_sizes_of, is_fast
from iss_jax.pi05.checkpoint import located, params_folder, saved_tree
from iss_jax.pi05.normalize import NormStats, load_norm_stats, norm_stats_files
from iss_jax.pi05.params import Sizes, as_params, sizes_of

LEROBOT = "LeRobot"


@dataclasses.dataclass(frozen=True)
class CheckpointFacts:
    """A checkpoint's model and statistics.

    Attributes:
        path: Its folder.
        model: `π0.5`, `π0`, `π0-FAST`, or `LeRobot <type>`.
        image_size: Side of the model's frames, pixels; 0 where it does not say.
        action_dim: Dimensions of the model's actions; 0 where it does not say.
        sizes: Of a π0.5 or π0.
        stats: Folder under `assets/` -> its statistics.
        says: A LeRobot policy's `config.json`.
    """

    path: epath.Path
    model: str
    image_size: int = 0
    action_dim: int = 0
    sizes: Sizes | None = None
    stats: Mapping[str, Mapping[str, NormStats]] = dataclasses.field(default_factory=dict)
    says: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_lerobot(self) -> bool:
        """Whether it is a policy of LeRobot, in PyTorch."""
        return self.model.startswith(LEROBOT)


def checkpoint_facts(path: str | Path | epath.Path) -> CheckpointFacts:
    """Reads what a checkpoint says of itself.

    >>> from iss_jax import embedded
    >>> found = checkpoint_facts(embedded.checkpoint_path())
    >>> found.model, found.image_size, found.action_dim
    ('π0.5', 80, 7)

    Args:
        path: A step's folder in openpi's layout, or a LeRobot policy's with its `config.json`.

    Raises:
        FileNotFoundError: Nothing there.
        ValueError: It is neither; the message names a leaf.
    """
    says = lerobot_config(path)
    if says is not None:
        return CheckpointFacts(epath.Path(path), f"{LEROBOT} {says['type']}", says=says)
    import orbax.checkpoint as ocp

    root = located(path)
    with ocp.PyTreeCheckpointer() as checkpointer:
        tree = saved_tree(checkpointer, params_folder(root))
    params = as_params(jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree))
    assets = root / "assets"
    stats = {
        file.parent.relative_to(assets).as_posix(): load_norm_stats(file)
        for file in norm_stats_files(root)
    }
    if is_fast(params):
        return CheckpointFacts(root, "π0-FAST", fast_sizes_of(params).image.image_size, stats=stats)
    sizes = sizes_of(params)
    return CheckpointFacts(
        root, sizes.model, sizes.image.image_size, sizes.action_dim, sizes, stats
    )


def lerobot_config(path: str | Path | epath.Path) -> dict[str, Any] | None:
    """A LeRobot policy's `config.json`, in its folder or in its `pretrained_model/`; else None.

    Raises:
        ValueError: The file cannot be read.
    """
    for folder in (epath.Path(path), epath.Path(path) / "pretrained_model"):
        file = folder / "config.json"
        if not file.exists():
            continue
        try:
            content = json.loads(file.read_text())
        except ValueError as error:
            raise ValueError(f"{file}: cannot be read ({error})") from error
        if isinstance(content, dict) and isinstance(content.get("type"), str):
            return content
    return None
