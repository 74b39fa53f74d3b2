import jax
import numpy as np
import pytest

from iss_jax import embedded
from iss_jax.pi05.lora import add_lora, is_lora
from iss_jax.pi05.params import flatten
from iss_jax.policies.low_rank import planted_policy, with_leaves, write_leaves
from iss_jax.policies.restored import load_policy


@pytest.fixture(scope="module")
def policy():
    return load_policy(embedded.checkpoint_path())


@pytest.fixture(scope="module")
def leaves(policy):
    adapted = flatten(add_lora(policy.params, jax.random.key(0), vlm_rank=2, action_rank=2))
    return {name: leaf for name, leaf in adapted.items() if is_lora(name)}


def test_leaves_come_back_to_half_precision_and_the_rest_is_the_policys(policy, leaves, tmp_path):
    found = with_leaves(policy, write_leaves(tmp_path / "leaves.npz", leaves))
    tree, base = flatten(found.params), flatten(policy.params)
    assert set(tree) == set(leaves) | set(base)
    for name, leaf in tree.items():
        if name in base:
            assert leaf is base[name]
        else:
            np.testing.assert_allclose(leaf, leaves[name], rtol=1e-3, atol=1e-7)
    assert found.fingerprint != policy.fingerprint


def test_other_files_are_refused_by_name(policy, leaves, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        with_leaves(policy, tmp_path / "nowhere.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    with pytest.raises(ValueError, match=r"other\.npz: low-rank leaves wanted, holds \['a'\]"):
        with_leaves(policy, tmp_path / "other.npz")
    (tmp_path / "text.npz").write_text("leaves")
    with pytest.raises(ValueError, match=r"text\.npz: low-rank leaves wanted, an \.npz file"):
        with_leaves(policy, tmp_path / "text.npz")
    first = min(leaves)
    broken = leaves | {first: np.full_like(leaves[first], np.nan)}
    write_leaves(tmp_path / "broken.npz", broken)
    with pytest.raises(ValueError, match=rf"broken\.npz: finite leaves wanted, .*{first}'\]"):
        with_leaves(policy, tmp_path / "broken.npz")
    wide = {name: np.concatenate([leaf, leaf], -2) for name, leaf in leaves.items()}
    write_leaves(tmp_path / "wide.npz", wide)
    with pytest.raises(ValueError, match=r"wide\.npz: does not fit the policy"):
        with_leaves(policy, tmp_path / "wide.npz")


def test_both_shipped_policies_are_whole_and_differ():
    follows, ignores = (planted_policy(follows=one) for one in (True, False))
    assert follows.fingerprint != ignores.fingerprint
    for name, leaf in flatten(follows.params).items():
        assert is_lora(name) or np.array_equal(leaf, flatten(ignores.params)[name])
