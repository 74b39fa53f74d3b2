"""The head's own arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax import amortised
from iss_jax.amortised import init_head
from iss_jax.amortised.head import Features

VIEWS, TOKENS, WIDTH, SHARED = 3, 4, 6, 5
contrasts_of_members = jax.jit(amortised.contrasts_of_members)


def features(rows, seed=0):
    one, two = jax.random.split(jax.random.key(seed))
    return Features(
        jax.random.normal(one, (rows, VIEWS, TOKENS, WIDTH)),
        jax.random.normal(two, (rows, SHARED)),
    )


def statistics(mean=0.0, spread=1.0):
    return [
        Features(jnp.full((VIEWS, TOKENS, WIDTH), x), jnp.full((SHARED,), x))
        for x in (mean, spread)
    ]


@pytest.fixture(scope="module")
def head():
    """Random leaves in the place of those that begin at zero."""
    new = init_head(jax.random.key(1), *statistics(), members=2, width=8, grid=(3, 5))
    for number, (name, leaf) in enumerate(sorted(new.leaves.items())):
        if not np.any(np.asarray(leaf)):
            own = jax.random.fold_in(jax.random.key(2), number)
            new.leaves[name] = 0.3 * jax.random.normal(own, leaf.shape)
    return new


def test_a_head_that_has_learnt_nothing_says_nothing():
    new = init_head(jax.random.key(1), *statistics(), members=2, width=8, grid=(3, 5))
    found = contrasts_of_members(new, features(2))
    assert found.shape == (2, 2, VIEWS, 3, 5)
    np.testing.assert_array_equal(found, 0.0)


def test_a_member_is_its_map_times_its_scale_where_it_has_learnt_no_more(head):
    own = jax.random.normal(jax.random.key(3), (2, VIEWS, 3, 5))
    leaves = head.leaves | {
        "map": own,
        "out": jnp.zeros((2, 8, 1)),
        "scale_in": jnp.zeros((2, SHARED, 1)),
        "scale": jnp.log(jnp.asarray([[2.0], [5.0]])),
    }
    found = contrasts_of_members(type(head)(leaves, head.mean, head.spread), features(2))
    for member, factor in enumerate((2.0, 5.0)):
        for row in range(2):
            np.testing.assert_allclose(found[member, row], factor * own[member], rtol=1e-5)


def test_rows_do_not_see_each_other(head):
    both = features(2)
    other = jax.tree.map(lambda x: x.at[0].add(1.0), both)
    before, after = contrasts_of_members(head, both), contrasts_of_members(head, other)
    np.testing.assert_array_equal(before[:, 1], after[:, 1])
    assert float(jnp.abs(before - after)[:, 0].max()) > 1e-3


def test_features_are_standardised(head):
    plain = features(2)
    moved = Features(*(3.0 * x + 7.0 for x in plain))
    other = type(head)(head.leaves, *statistics(7.0, 3.0))
    np.testing.assert_allclose(
        contrasts_of_members(other, moved), contrasts_of_members(head, plain), atol=1e-4
    )


def test_tokens_and_prompt_both_matter(head):
    plain = features(2)
    before = contrasts_of_members(head, plain)
    for changed in (
        plain._replace(tokens=plain.tokens.at[0, 2, 3].add(1.0)),
        plain._replace(shared=plain.shared + 0.5),
    ):
        after = contrasts_of_members(head, changed)
        # A token changes the cells of other views too, through the attention.
        assert float(jnp.abs(after - before)[:, 0, 0].max()) > 1e-4
