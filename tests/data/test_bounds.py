"""A file of less than a megabyte may hold 200 MB, and no more."""

import pytest

from iss_jax.data.bounds import allowed, check_bytes, check_pixels


def test_small_files_have_a_free_share_and_large_ones_a_ratio():
    assert allowed(0) == allowed(10**6) == 200_000_000
    assert allowed(10**7) == 2_000_000_000
    check_bytes(200_000_000, 1, "here")
    with pytest.raises(ValueError, match=r"here: 200000001 bytes of memory wanted by a file of 1;"):
        check_bytes(200_000_001, 1, "here")


def test_pictures_of_8k_video_and_no_more():
    check_pixels(4320, 7680, "here")
    with pytest.raises(ValueError, match=r"here: a picture of 11000 x 11000 pixels, at most"):
        check_pixels(11_000, 11_000, "here")
