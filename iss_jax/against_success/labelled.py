"""NMR needs region labels; without them it is refused, and what helps is said."""

from iss_jax.data.dataset import Dataset
from iss_jax.few import few
from iss_jax.policies.frames import FrameOptions

WAYS = """NMR takes region labels (nuisance, support, action-critical). Three ways to them:
  1. names of things{which}:
     iss-jax regions --dataset {root} --instances --nuisance <names> --support <names> \\
         --action <names>
  2. boxes or polygons on some frames, a COCO file of any annotation tool:
     iss-jax regions --dataset {root} --boxes boxes.json
  3. label images of a segmentation model:
     iss-jax regions --dataset {root} --label_images <folder> --nuisance <ids> --action <ids>
Without labels, iss-jax explain says what the policy acts on: --players looks takes any frames."""


def check_labelled(dataset: Dataset, episode: int, options: FrameOptions) -> None:
    """Says that an episode has no region labels, and the ways to get some.

    Args:
        dataset: the episodes.
        episode: its number.
        options: the cameras that must have labels. One without images is another's to name.

    Raises:
        ValueError: a camera that shows images has no labels.
    """
    first = dataset.read(episode, [0])
    used = [camera for camera in options.used.values() if camera in first.images]
    missing = [camera for camera in used if camera not in first.regions]
    if not missing:
        return
    there = all(camera in first.instances for camera in used)
    which = (
        f" (this dataset has them: {few(sorted(set(first.instance_names.values())), 4)})"
        if there and first.instance_names
        else " (instance labels), where the dataset has them"
    )
    raise ValueError(
        f"{dataset.root}, episode {episode}: no region labels of {few(missing)}. "
        + WAYS.format(root=dataset.root, which=which)
    )
