"""What ships with the package is there, is consistent, and is found through importlib."""

import pytest

from iss_jax import embedded


def test_a_part_that_is_not_installed_is_named():
    with pytest.raises(FileNotFoundError, match="lacks the embedded 'nothing'"):
        embedded._path("nothing")


def test_the_papers_table_is_a_file():
    assert embedded.paper_table3_path().is_file()
