"""Every run of every experiment: an identity, shapes that fit, and a step that lowers."""

import pathlib

import pytest

from mtl_jax.host.experiment import asked, in_order, read
from mtl_jax.host.sweep import cost
from mtl_jax.identity import fingerprint

FILES = sorted((pathlib.Path(__file__).parent.parent / "experiments").glob("*.py"))
RUNS = [
    pytest.param(run, id=f"{file.stem}-{run.name}")
    for file in FILES
    for run in in_order(asked(read(file), [], 2, None, smoke=False))
]


def test_there_are_experiments():
    assert "digits" in [file.stem for file in FILES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_run_has_its_own_identity(file):
    runs = in_order(read(file))
    prints = {fingerprint(run) for run in runs}
    assert len(prints) == len(runs)
    assert prints == {fingerprint(run) for run in in_order(read(file))}, "the same when read again"


@pytest.mark.parametrize("run", RUNS)
def test_a_step_lowers(run):
    parameters, flops = cost(run)
    assert parameters > 0
    # Two for every number of a kernel and example forward, as many or more back.
    assert flops > parameters * run.batch
