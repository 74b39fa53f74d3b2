r"""Region masks for a dataset that has none.

    python -m experiments.make_regions --config=configs/make_regions.py:labels \
        --config.dataset=<folder> --config.labels=<folder> --config.mapping=<json>
    python -m experiments.make_regions --config=configs/make_regions.py:boxes \
        --config.dataset=<folder> --config.boxes=<json>

- `labels`: from label images, `<labels>/<camera>/episode_000000/000000.png` and so on, or from
  cameras of the dataset that show labels; the mapping says which id or colour is what:
  `{"3": "action", "#ff8000": "support", "*": "nuisance"}`.
- `boxes`: from a COCO file of boxes and polygons on some frames, each of which holds until the
  next; its categories are called nuisance, support and action, or mapped to these.

The masks are written beside the dataset, `<dataset>/regions/` (episode folders: their `masks/`),
where every reader finds them. `experiments.convert_dataset` then makes them features.
"""

import ml_collections

VARIANTS = ("labels", "boxes")


def get_config(variant: str = "boxes") -> ml_collections.ConfigDict:
    """The configuration of one variant."""
    if variant not in (*VARIANTS, "smoke"):
        raise ValueError(f"variant {variant!r} given, one of {VARIANTS} wanted")
    config = ml_collections.ConfigDict()
    config.name = f"make_regions-{variant}"
    config.dataset = ""
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
    return config
