import jax
import jax.numpy as jnp
import pytest

from iss_jax.keys import batch_key, split_two


def test_one_key_or_one_a_row_typed_or_raw():
    assert batch_key(None, 3).shape == ()
    keys = jax.random.split(jax.random.key(1), 3)
    assert batch_key(keys, 3) is keys
    raw = jax.random.PRNGKey(1)
    assert batch_key(raw, 2) == jax.random.key(1)
    assert batch_key(jnp.stack([raw] * 3), 3).shape == (3,)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (7, TypeError, "jax.random.key.*7"),
        (jnp.zeros(2), TypeError, r"float32 \[2\]"),
        (jax.random.split(jax.random.key(0), 2), ValueError, r"\[3\] keys, got \[2\]"),
    ],
)
def test_errors_name_what_was_given(key, error, message):
    with pytest.raises(error, match=message):
        batch_key(key, 3)


def test_each_of_several_keys_splits_like_one():
    keys = jax.random.split(jax.random.key(1), 3)
    first, second = split_two(keys)
    for i in range(3):
        assert (first[i], second[i]) == split_two(keys[i])
