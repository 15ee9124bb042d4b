"""Strict dtypes and ranks, four CPU devices, and where the reference values lie."""

import os
import pathlib

import jax
import pytest

pytest_plugins = ["tests.finished_runs"]
HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
MAPS = pathlib.Path("/proc/self/maps")
MOST_MAPS = 30_000  # Linux ends a process that asks for more than 65,530.

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_compilation_cache_dir", str(CACHE / "mtl_jax" / "compiled"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def pytest_addoption(parser):
    parser.addoption(
        "--golden-dir",
        type=pathlib.Path,
        default=HERE / "golden",
        help="directory with reference values in the format of tests/golden",
    )


def pytest_make_parametrize_id(config, val, argname):
    """Functions by their names in the names of tests: an address differs in every process."""
    return getattr(val, "__name__", None) if callable(val) else None


def pytest_collection_modifyitems(items):
    """Refuses names of tests that hold an address, by which two workers would disagree."""
    wrong = [item.nodeid for item in items if " at 0x" in item.nodeid]
    assert not wrong, f"names of tests must be the same in every process: {wrong[:3]}"


@pytest.fixture(autouse=True, scope="module")
def forgetting():
    """Forgets compiled functions, each of which keeps memory maps, before they are too many."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(params=[jax.jit, lambda f: f], ids=["jit", "eager"])
def variant(request):
    """Runs a test under `jax.jit` and without it."""
    return request.param


@pytest.fixture(scope="session")
def golden_dir(request):
    """The directory that golden tests read."""
    return request.config.getoption("--golden-dir")
