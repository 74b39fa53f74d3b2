"""Whatever torch draws for a batch is one row's draw, given to all rows."""

import pytest

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
        assert len(torch.normal(torch.zeros(2), torch.ones(2)).unique()) == 2


def test_the_generator_goes_on_as_if_nothing_had_been_drawn():
    torch.manual_seed(7)
    wanted = torch.randn(3)
    torch.manual_seed(7)
    with shared_noise(2, seed=0):
        torch.randn(2, 5)
    assert torch.equal(torch.randn(3), wanted)
