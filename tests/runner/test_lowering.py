"""Steps and evaluations of all experiments lower for GPUs and TPUs, whose programs do not grow."""

import re

import pytest

from mtl_jax import nets
from mtl_jax.config.execution import Execution
from mtl_jax.core.fingerprint import to_source
from mtl_jax.runner.execution import default_execution
from mtl_jax.runner.run_selection import select_runs
from mtl_jax.runner.trace import trace_run
from tests import small
from tests.runner import benchmark_data
from tests.runner.test_experiments import READ, SELECTED

PLATFORMS = ("cuda", "tpu")
LINEAR_ALGEBRA = {"Eigh", "cusolver_potrf_ffi", "cusolver_syevd_ffi"}  # Of a TPU, and cuSOLVER.
MOST_TEXT = 10_000_000  # Characters of a program.
QUICK_TRUNKS = (nets.MLP, nets.CNN, nets.LeNet, nets.FCN)
QUICK = {
    ("digits", "UPGrad"): {},
    ("fixmatch_cifar10", "FixMatch (RA), 40 labels"): {"trunk": nets.WideResNet(6, 1, groups=1)},
    ("camvid", "segmentation alone"): {"trunk": nets.SegNet((2, 4))},
    ("fashion_transfer", "BSS, MNIST, 4"): {},  # From a source, with an eigenproblem.
}


def lower_run(run, *platforms):
    """StableHLO of a run's step and evaluation as the first platform executes them by default.

    Platforms share a module, in which each has its own branch where they differ.
    """
    run = run.replace(execution=default_execution(run, platforms[0]))
    steps = min(run.steps, run.execution.steps_per_call)
    compiled, state, data = trace_run(run, steps)
    streams = {name: {"inputs": s.inputs, **s.labels} for name, s in data.streams.items()}
    step = compiled.train_steps.trace(state, data, steps)
    model = (state.params, state.batch_stats)
    evaluation = compiled.jitted_evaluation.trace(
        compiled.evaluation_config, *model, {"train": streams}
    )
    return [each.lower(lowering_platforms=platforms).as_text() for each in (step, evaluation)]


def check_program(text):
    """Checks that a program stays on its device, in single precision, and is not large."""
    assert set(re.findall(r"custom_call @([\w.]+)", text)) <= LINEAR_ALGEBRA
    assert not re.search(r"stablehlo\.(infeed|outfeed|send|recv)|f64>", text)
    assert len(text) < MOST_TEXT


def covering(runs):
    """Few runs, quick ones first, that have every class, function and option that any run has."""
    words, left, found = {key: words_of(run) for key, run in runs.items()}, set(), []
    left.update(*words.values())
    while left:
        best = max(runs, key=lambda key: len(words[key] & left) / slowness(runs[key]))
        left -= words[best]
        found.append(best)
    return found


def words_of(run):
    """Names of a run's classes and functions, and its options that are strings."""
    source = re.sub(r"(name|data_dir|path|folder)='[^']*'", "", to_source(run))
    options = re.findall(r"\w+='[^']*'", source)
    return {*options, *re.findall(r"\b[A-Za-z_][\w.]*+(?!=)", re.sub(r"'[^']*'", "", source))}


def slowness(run):
    """About how long a run takes to trace, in units of a small net with one task."""
    is_quick = isinstance(getattr(run.trunk, "trunk", run.trunk), QUICK_TRUNKS)
    return len(run.tasks) * (1 if is_quick else 8)


@pytest.fixture(scope="module")
def true_shapes(tmp_path_factory):
    """A folder with data whose shapes are those of the benchmarks."""
    root = tmp_path_factory.mktemp("benchmarks")
    benchmark_data.write_true_shapes(root / "data")
    return root


@pytest.mark.slow
@pytest.mark.parametrize("key", covering(SELECTED), ids="-".join)
def test_programs_lower_for_accelerators(key, true_shapes, monkeypatch):
    """Lowering itself refuses callbacks of the host, and operations that a platform has not."""
    monkeypatch.chdir(true_shapes)
    for text in lower_run(SELECTED[key], *PLATFORMS):
        check_program(text)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_run_vmaps_its_seeds_on_accelerators(platform):
    assert {default_execution(run, platform).seed_loop for run in SELECTED.values()} == {"vmap"}


@pytest.mark.parametrize("key", QUICK, ids="-".join)
def test_seeds_share_a_program_on_accelerators(key, tmp_path, monkeypatch):
    benchmark_data.write_scenes(tmp_path / "data" / "camvid", train=48)
    monkeypatch.chdir(tmp_path)
    (stem, name), found = key, []
    for seeds in (2, 4):
        runs = select_runs(READ[stem], seeds, name, smoke=False).runs
        run = next(run for run in runs if run.name == name)
        found.append(lower_run(run.replace(**QUICK[key]), *PLATFORMS))
    for few, more in zip(*found, strict=True):
        check_program(few)
        assert len(more) < 1.05 * len(few)


def test_seeds_that_are_unrolled_do_not():
    run = small.RUN.replace(execution=Execution(seed_loop="unroll"))
    few, more = (lower_run(run.replace(num_seeds=seeds), "cuda")[0] for seeds in (2, 4))
    assert len(more) > 1.5 * len(few)
