"""What a policy may answer, whoever asks."""

import jax.numpy as jnp
import numpy as np
import pytest

from iss_jax.policies.answers import actions_of


@pytest.mark.parametrize(
    "actions",
    [
        [[1, 2, 3]],
        np.ones((1, 3), np.float64),
        jnp.ones((1, 3), jnp.bfloat16),
        np.ones((1, 3), ">f4"),
    ],
)
def test_numbers_of_any_kind_are_actions(actions):
    found = actions_of({"actions": actions, "timing": {}}, "answer 0", (1, 3))
    assert found.dtype == np.float32 and found.shape == (1, 3)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "answer 4: NoneType given, a dict with 'actions'"),
        ([1, 2], "answer 4: list given"),
        ((np.zeros((2, 3)), {}), "answer 4: tuple given"),
        (np.zeros((2, 3)), "answer 4: ndarray given"),
        ({"action": 0, 1: 2}, r"answer 4: has no 'actions', it has \['1', 'action'\]"),
        ({"actions": []}, r"actions of shape \(0,\), wanted \[H, a\]"),
        ({"actions": np.zeros((0, 3))}, r"actions of shape \(0, 3\)"),
        ({"actions": np.zeros((2, 0))}, r"actions of shape \(2, 0\)"),
        ({"actions": np.zeros(3)}, r"actions of shape \(3,\)"),
        ({"actions": np.zeros((1, 2, 3))}, r"actions of shape \(1, 2, 3\)"),
        ({"actions": None}, "actions of dtype object"),
        ({"actions": "left"}, "actions of dtype <U4, wanted numbers"),
        ({"actions": {"left": 1}}, "actions of dtype object"),
        ({"actions": np.ones((2, 3), bool)}, "actions of dtype bool"),
        ({"actions": np.ones((2, 3), complex)}, "actions of dtype complex"),
        ({"actions": [[1, 2], [3]]}, "rows of unequal length"),
        ({"actions": [[1.0, np.nan]]}, "hold nan at step 0, dimension 1"),
        ({"actions": [[0.0], [-np.inf]]}, "hold -inf at step 1, dimension 0"),
        ({"actions": [[1e300]]}, r"hold 1e\+300 at step 0"),
    ],
)
def test_everything_else_is_named(answer, message):
    with pytest.raises(ValueError, match=message):
        actions_of(answer, "answer 4")


def test_answers_keep_their_shape():
    with pytest.raises(ValueError, match=r"shape \(3, 7\), wanted \(2, 7\), as before"):
        actions_of({"actions": np.zeros((3, 7))}, "answer 1", (2, 7))
