"""A command's options of ISS are the library's, one by one."""

from iss_jax.cli.iss_keys import iss_keys
from iss_jax.config import ISSConfig


def test_the_defaults_are_the_librarys():
    assert ISSConfig(**iss_keys().to_dict()) == ISSConfig()


def test_open_ones_take_a_value_of_their_kind():
    config = iss_keys(num_masks=12)
    config.horizon, config.action_weights = 3, (1.0, 0.5)
    found = ISSConfig(**config.to_dict())
    assert (found.num_masks, found.horizon, found.action_weights) == (12, 3, (1.0, 0.5))
