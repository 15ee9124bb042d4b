"""Strict dtypes and ranks, four CPU devices, bounded memory, and where reference values lie."""

import ctypes
import functools
import gc
import importlib.metadata
import os
import pathlib
import sys

# Most of the time goes into compilation, which this shortens; programs of tests are small.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
FLAGS = [
    "--xla_cpu_use_xnnpack=false",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_disable_hlo_passes=cpu-parallel-task-assigner",
]
if importlib.metadata.version("jaxlib").startswith("0.10."):  # A later one ends at this flag.
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(FLAGS))

import jax
import pytest

pytest_plugins = ["tests.finished_runs"]
HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache"))
MAPS = pathlib.Path("/proc/self/maps")
MOST_MAPS = 30_000  # Linux ends a process that asks for more than 65,530.
STATM = pathlib.Path("/proc/self/statm")
MOST_BYTES = 1.5e9  # Of a worker, above which it forgets what it compiled.
ROOM = 0.3e9  # What it may take again after that, if much is left.
LIMIT = pytest.StashKey[float]()

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


def resident():
    """Bytes of memory that this process has; the most that it had where the system says no more."""
    if STATM.exists():
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget():
    """Forgets compiled functions, and gives their memory back to the system."""
    for module in [each for name, each in sys.modules.items() if name.startswith("tests.")]:
        for made in vars(module).values():
            if isinstance(made, functools._lru_cache_wrapper):
                made.cache_clear()
    jax.clear_caches()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)


@pytest.fixture(autouse=True, scope="module")
def few_maps():
    """Forgets compiled functions, each of which keeps memory maps, before they are too many."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        forget()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    """Forgets compiled functions before a worker has more memory than a laptop can spare."""
    limit = item.config.stash.get(LIMIT, MOST_BYTES)
    if resident() > limit:
        forget()
        item.config.stash[LIMIT] = max(MOST_BYTES, resident() + ROOM)


@pytest.fixture(params=[jax.jit, lambda f: f], ids=["jit", "eager"])
def variant(request):
    """Runs a test under `jax.jit` and without it."""
    return request.param


@pytest.fixture(scope="session")
def golden_dir(request):
    """The directory that golden tests read."""
    return request.config.getoption("--golden-dir")
