r"""Region masks for a dataset that has none.

    python -m experiments.make_regions --config=configs/make_regions.py:labels \
        --config.dataset=<folder> --config.labels=<folder> --config.mapping=<json>
    python -m experiments.make_regions --config=configs/make_regions.py:boxes \
        --config.dataset=<folder> --config.boxes=<json>
    python -m experiments.make_regions --config=configs/make_regions.py:smoke

- `labels`: from label images, `<labels>/<camera>/episode_000000/000000.png` and so on, or from
  cameras of the dataset that show labels; the mapping says which id or colour is what:
  `{"3": "action", "#ff8000": "support", "*": "nuisance"}`.
- `boxes`: from a COCO file of boxes and polygons on some frames, each of which holds until the
  next; its categories are called nuisance, support and action, or mapped to these.
- `smoke`: from the boxes of `docs/episodes/whole_boxes.json`, for a copy of `docs/episodes/whole`;
  seconds.

The masks are written beside the dataset, `<dataset>/regions/` (episode folders: their `masks/`),
where every reader finds them. `experiments.convert_dataset` then makes them features.
"""

import ml_collections

from configs.parts.variants import chosen

VARIANTS = ("labels", "boxes", "smoke")


def get_config(variant: str = "boxes") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    config = ml_collections.ConfigDict()
    config.name = f"make_regions-{chosen(variant, VARIANTS)}"
    config.dataset = ""
    # Write beside a copy in the workdir and leave the dataset as it is.
    config.copy = False
    config.source = "boxes" if variant == "smoke" else variant
    # labels: the folder of label images, or a JSON object {camera: camera that shows its labels}.
    config.labels = ""
    # labels: the mapping file. boxes: a JSON file {category: region}, empty where they have these
    # names.
    config.mapping = ""
    # boxes: the COCO file.
    config.boxes = ""
    # Cameras that get masks; all of the dataset when empty.
    config.cameras = ()
    # LeRobot only, see `configs/convert_dataset.py`.
    config.features = ml_collections.ConfigDict(
        {"cameras": "", "regions": "", "state": "", "action": ""}
    )
    # Masks that are there already are replaced; otherwise they are an error.
    config.replace = False
    # Episodes on the contact sheet, evenly spread; 0 for none.
    config.sheet = 6
    config.quiet = False
    if variant == "smoke":
        config.dataset, config.boxes = "docs/episodes/whole", "docs/episodes/whole_boxes.json"
        # Those of an earlier run.
        config.copy = config.replace = True
    return config
