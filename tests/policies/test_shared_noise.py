"""Whatever torch draws for a batch is one row's draw, given to all rows."""

from types import SimpleNamespace

import numpy as np
import pytest

from iss_jax import ISSConfig
from iss_jax.policies.lerobot import from_policy
from iss_jax.policies.shared_noise import shared_noise

torch = pytest.importorskip("torch", reason="PyTorch is not installed (docs/guide/pytorch.md)")

pytestmark = [pytest.mark.lerobot, pytest.mark.filterwarnings("ignore")]

DRAWS = {
    "randn": lambda n: torch.randn(n, 2, 3),
    "randn of a tuple": lambda n: torch.randn((n, 2, 3), dtype=torch.float64),
    "randn of a size": lambda n: torch.randn(size=(n, 5)),
    "rand": lambda n: torch.rand(n),
    "randint": lambda n: torch.randint(0, 1000, (n, 4)),
    "randint up to": lambda n: torch.randint(1000, (n, 4)),
    "normal": lambda n: torch.normal(1.0, 2.0, (n, 3)),
    "normal of a size": lambda n: torch.normal(mean=0.0, std=1.0, size=(n, 3)),
    "randn like": lambda n: torch.randn_like(torch.zeros(n, 3)),
    "rand like": lambda n: torch.rand_like(torch.zeros(n, 3)),
    "normal in place": lambda n: torch.zeros(n, 3).normal_(),
    "uniform in place": lambda n: torch.zeros(n, 3).uniform_(),
    "numpy's integers": lambda n: torch.randn(np.int64(n), 5),
    "randint of names": lambda n: torch.randint(low=0, high=1000, size=(n, 4)),
    "rand like a named": lambda n: torch.rand_like(input=torch.zeros(n, 3)),
    "randint like": lambda n: torch.randint_like(torch.zeros(n, 4), 1000),
    "init": lambda n: torch.nn.init.normal_(torch.zeros(n, 3)),
    "truncated": lambda n: torch.nn.init.trunc_normal_(torch.zeros(n, 3)),
    "out": lambda n: torch.randn(n, 5, out=torch.zeros(n, 5)),
    "normal of tensors": lambda n: torch.normal(torch.zeros(n, 3), torch.ones(n, 3)),
    "normal of a mean": lambda n: torch.normal(torch.zeros(n, 3), 1.0),
    "normal of a spread": lambda n: torch.normal(0.0, torch.ones(n, 3)),
    "normal with out": lambda n: torch.normal(torch.zeros(n, 3), 1.0, out=torch.zeros(n, 3)),
    "bernoulli": lambda n: torch.bernoulli(torch.full((n, 64), 0.5)),
    "bernoulli in place": lambda n: torch.zeros(n, 64).bernoulli_(0.5),
    "multinomial": lambda n: torch.multinomial(torch.ones(n, 900), 4),
    "poisson": lambda n: torch.poisson(torch.full((n, 8), 90.0)),
    "log-normal": lambda n: torch.zeros(n, 3).log_normal_(),
    "beta": lambda n: torch.distributions.Beta(torch.ones(n, 3), torch.ones(n, 3)).sample(),
    "gamma": lambda n: torch.distributions.Gamma(torch.ones(n, 3), torch.ones(n, 3)).sample(),
    "categorical": lambda n: torch.distributions.Categorical(torch.ones(n, 900)).sample(),
    "dropout": lambda n: torch.nn.Dropout(0.5)(torch.ones(n, 64)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_all_rows_have_one_noise_however_many_they_are(name):
    found = []
    for rows in (2, 5):
        with shared_noise(rows, seed=3):
            found.append([DRAWS[name](rows) for _ in range(2)])
    for draws in found:
        for draw in draws:
            assert (draw == draw[:1]).all()
        assert not torch.equal(*draws)
    for few, many in zip(*found, strict=True):
        assert torch.equal(few[0], many[0]) and many.shape[0] == 5 and few.dtype == many.dtype
    with shared_noise(2, seed=4):
        assert not torch.equal(DRAWS[name](2), found[0][0])


def test_tensors_of_other_sizes_are_drawn_as_they_are():
    with shared_noise(2, seed=0):
        assert len(torch.randn(7).unique()) == 7
        assert len(torch.zeros(3, 4).normal_().unique()) == 12
        assert len(torch.normal(torch.zeros(3), torch.ones(3)).unique()) == 3


def test_sizes_that_are_drawn_as_they_are_are_told():
    with shared_noise(2, seed=0) as sizes:
        torch.randn(2, 5)
        torch.randn(7)
        torch.zeros(3, 4).normal_()
        torch.nn.functional.dropout(torch.ones(9, 4), training=False)
        torch.bernoulli(torch.full((5,), 0.5))
    assert sizes == {7, 3, 5}


def test_a_row_s_probabilities_are_its_own():
    """The same noise, whatever it falls on."""
    chances = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
    with shared_noise(3, seed=0):
        assert torch.bernoulli(chances).tolist() == chances.tolist()
        assert torch.multinomial(chances, 1).tolist() == [[1], [0], [0]]
        means = torch.normal(torch.tensor([0.0, 1.0, 5.0]), 1.0)
        assert torch.allclose(means - means[0], torch.tensor([0.0, 1.0, 5.0]))


def test_a_generator_of_ones_own_is_shared_too():
    own = torch.Generator().manual_seed(5)
    with shared_noise(3, seed=0):
        first, second = (torch.bernoulli(torch.full((3, 64), 0.5), generator=own) for _ in "ab")
    assert (first == first[:1]).all() and not torch.equal(first, second)


class Blind(torch.nn.Module):
    """A policy that sees nothing, and draws a chunk of noise."""

    config = SimpleNamespace(image_features={"observation.images.front": None})

    def __init__(self, draw):
        super().__init__()
        self.weight, self._draw = torch.nn.Parameter(torch.zeros(1)), draw

    def predict_action_chunk(self, batch):
        return self._draw(len(batch["observation.state"]))


def blind_map(draw, **options):
    frame = np.zeros((14, 14, 3), np.uint8)
    policy = from_policy(Blind(draw), **options)
    return policy.saliency({"front": frame}, np.zeros(2), config=ISSConfig(num_masks=60))


# Rows lie along the second axis, where they cannot be told.
UNCAUGHT = {
    "bernoulli": lambda n: torch.bernoulli(torch.full((8, n, 4), 0.5)).movedim(1, 0),
    "normal": lambda n: torch.normal(torch.zeros(8, n, 4), 1.0).movedim(1, 0),
    "multinomial": lambda n: (
        torch.multinomial(torch.ones(8, 5), n * 4, replacement=True).view(8, n, 4).movedim(1, 0)
        * 1.0
    ),
}
CAUGHT = {
    "bernoulli": lambda n: torch.bernoulli(torch.full((n, 8, 4), 0.5)),
    "normal": lambda n: torch.normal(torch.zeros(n, 8, 4), 1.0),
    "multinomial": lambda n: torch.multinomial(torch.ones(n, 40), 32).view(n, 8, 4) * 1.0,
    "one for all rows": lambda n: torch.randn(16, 3) + torch.randn(n, 16, 3),
}


@pytest.mark.parametrize("name", UNCAUGHT)
def test_noise_that_is_not_caught_is_subtracted(name):
    found = [blind_map(UNCAUGHT[name], seed=seed * 1000) for seed in range(8)]
    means = np.array([float(own.effects.mean()) for own in found])
    assert min(float(own.floor) for own in found) > 0
    assert abs(means.mean()) < 2 * means.std(ddof=1) / len(means) ** 0.5


@pytest.mark.parametrize("name", CAUGHT)
def test_noise_that_is_caught_has_no_floor_and_no_effect(name):
    found = blind_map(CAUGHT[name])
    assert float(found.floor) == 0 and not np.asarray(found.effects).any()


def test_the_generator_goes_on_as_if_nothing_had_been_drawn():
    torch.manual_seed(7)
    wanted = torch.randn(3)
    torch.manual_seed(7)
    with shared_noise(2, seed=0):
        torch.randn(2, 5)
    assert torch.equal(torch.randn(3), wanted)
