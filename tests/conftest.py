"""Strict numerics for the whole suite, and eight virtual CPU devices for the sharding tests."""

import os
import pathlib
from collections.abc import Iterator

# Beside the flags that make compilation cheap, which the conftest above sets.
os.environ["XLA_FLAGS"] = " ".join(
    ("--xla_force_host_platform_device_count=8", os.environ.get("XLA_FLAGS", ""))
)

import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

IGNORED_WARNINGS = ()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "error")
    for line in IGNORED_WARNINGS:
        config.addinivalue_line("filterwarnings", f"ignore:{line}")


@pytest.fixture(scope="session", autouse=True)
def programs_are_shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What one file has compiled the next one reads, and so does the other test process.

    In a folder of this session, so that no run depends on an earlier one; the gate names one for
    its suite and for what is slow. Processes that tests start keep nothing, as a user's. openpi's
    JAX, 0.5, aborts where it reads a CPU's program back.
    """
    if jax.__version_info__ < (0, 6):
        return
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    programs = os.environ.get("ISS_TEST_PROGRAMS") or str(folder / "programs")
    jax.config.update("jax_compilation_cache_dir", programs)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(scope="module", autouse=True)
def programs_are_let_go() -> Iterator[None]:
    """XLA's compiler crashes in a process that holds the programs of several hundred tests."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """Folder of the arrays that openpi itself produced."""
    return pathlib.Path(__file__).parent / "golden"
