"""Where `locate_objects` keeps the pixels of objects beside a dataset."""

import os

CAMERAS = ("front", "wrist", "overhead")  # the order of the policy's views


FILE = os.path.join("meta", "object_pixels.npz")
