"""Instance labels in channels and names in metadata: every number, and what is refused."""

import numpy as np
import pytest

from iss_jax.data.instances import (
    MOST,
    from_channels,
    names_from_json,
    names_to_json,
    to_channels,
)


def test_every_number_survives_three_channels():
    numbers = np.array([0, 1, 255, 256, 65_535, 65_536, MOST], np.int32).reshape(1, 1, -1)
    image = to_channels(numbers, "here")
    assert image.dtype == np.uint8
    # COCO's panoptic images: R + 256 G + 256² B.
    assert (image.astype(int) @ [1, 256, 256**2] == numbers).all()
    np.testing.assert_array_equal(from_channels(image), numbers)
    assert from_channels(image).dtype == np.int32


def test_a_number_too_large_is_refused():
    with pytest.raises(ValueError, match=rf"here: number {MOST + 1} given, at most {MOST}"):
        to_channels(np.full((1, 1, 1), MOST + 1, np.int32), "here")


def test_names_to_json_and_back():
    names = {7: "black bowl", 12: "plate"}
    content = names_to_json(names)
    assert content == {"instance_names": {"7": "black bowl", "12": "plate"}}
    assert names_from_json(content["instance_names"], "here") == names
    assert names_to_json({}) == {} and names_from_json(None, "here") == {}


@pytest.mark.parametrize("content", [["bowl"], {"bowl": 7}, {"-1": "bowl"}, {"7": 7}])
def test_names_that_are_none_are_refused(content):
    with pytest.raises(ValueError, match=r"line 3: instance_names is .*, numbers to names wanted"):
        names_from_json(content, "line 3")
