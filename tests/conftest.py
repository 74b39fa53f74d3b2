"""Strict numerics for the whole suite, and eight virtual CPU devices for the sharding tests."""

import os
import pathlib

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import jax  # noqa: E402  (XLA reads its flags when jax first starts a backend)
import pytest  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

IGNORED_WARNINGS = ()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    for line in IGNORED_WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{line}")


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """Folder of the arrays that openpi itself produced."""
    return pathlib.Path(__file__).parent / "golden"
