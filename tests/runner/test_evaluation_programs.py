"""Evaluations are compiled once, in the background, and their errors are raised where they wait."""

import collections

import jax
import pytest

from mtl_jax import nets, optimizers
from mtl_jax.config.experiment import Experiment
from mtl_jax.runner import sweep as sweep_module
from mtl_jax.runner.evaluation_programs import BackgroundCompilation
from mtl_jax.runner.sweep import sweep
from tests.small import COLUMN, ROW, RUN

MEASURED = RUN.replace(
    tasks=(ROW, COLUMN), steps=4, evaluation={"measure_affinity": True, "every": 2}
)
BOTH = {
    "alone": ((nets.MLP((11,)), 0.1),),
    "a population": ((nets.MLP((13,)), 0.1), (nets.MLP((13,)), 0.2)),
}  # fmt: skip
NAMES = ("affinity", "evaluate", "evaluate_seeds")


@pytest.mark.parametrize("settings", BOTH.values(), ids=BOTH)
def test_evaluations_are_compiled_once_by_a_thread(settings, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sweep_module, "write_report", lambda *_: None)
    runs = tuple(
        MEASURED.replace(name=f"rate {rate}", trunk=trunk, optimizer=optimizers.Adam(rate))
        for trunk, rate in settings
    )
    jax.config.update("jax_log_compiles", True)  # In all threads.
    try:
        assert sweep(Experiment(runs=runs), Experiment(runs=runs), tmp_path) == 0
    finally:
        jax.config.update("jax_log_compiles", False)
    threads = collections.defaultdict(list)
    for record in caplog.records:
        for name in NAMES:
            if f"Finished XLA compilation of jit({name}) " in record.getMessage():
                threads[name].append(record.threadName)
    # Alone, one function evaluates the validation part during training and the test part at the end.
    evaluations = ["evaluate_seeds"] * 2 if len(runs) == 1 else ["evaluate", "evaluate_seeds"]
    found = sorted(name for name, own in threads.items() for _ in own)
    assert found == ["affinity", *evaluations]
    assert "MainThread" not in {thread for own in threads.values() for thread in own}


def test_an_error_of_the_compiler_is_raised():
    class Broken:
        def compile(self):
            raise ValueError("no registers left")

    programs = BackgroundCompilation([Broken()])
    with pytest.raises(ValueError, match="no registers left"):
        programs.wait()
    programs.close()
