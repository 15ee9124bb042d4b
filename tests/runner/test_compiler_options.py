"""Options of XLA: they are for convolutional trunks on a CPU with a JAX that needs them."""

import jax
import pytest

from mtl_jax import nets
from mtl_jax.runner import compiler_options
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.compiler_options import (
    CONVOLUTION_OPTIONS,
    evaluation_options,
    needs_options,
    step_options,
)
from mtl_jax.storage.run_data import load_run_data
from tests.small import RUN

CNN = RUN.replace(trunk=nets.CNN((8, 8)), steps=100)
OLD = jax.__version_info__ < (0, 11)


@pytest.fixture(autouse=True)
def fresh():
    needs_options.cache_clear()
    yield
    needs_options.cache_clear()


def test_options_are_for_convolutions_on_a_cpu():
    wanted = CONVOLUTION_OPTIONS if OLD else {}
    assert evaluation_options(CNN, "cpu") == step_options(CNN, "cpu") == wanted
    assert step_options(CNN.replace(steps=8), "cpu") == {"xla_backend_optimization_level": 0, **wanted}  # fmt: skip
    for run, platform in ((RUN.replace(steps=100), "cpu"), (CNN, "gpu"), (CNN, "tpu")):
        assert evaluation_options(run, platform) == step_options(run, platform) == {}


@pytest.mark.skipif(not OLD, reason="is for older versions of JAX")
def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(compiler_options, "CONVOLUTION_OPTIONS", {"xla_cpu_no_such_option": "1"})
    assert evaluation_options(CNN, "cpu") == {}


@pytest.mark.skipif(not OLD, reason="is for older versions of JAX")
@pytest.mark.slow
def test_steps_and_evaluations_have_no_convolution_of_ynnpack():
    prepared = load_run_data(CNN)
    made = compile_run(CNN, prepared.train, jax.devices()[:1])
    state, data = made.init(None), made.put_data(prepared.train)
    step = made.train_steps.lower(state, data, 1).compile().as_text()
    entry = step[step.index("ENTRY") :]
    assert " convolution(" in entry
