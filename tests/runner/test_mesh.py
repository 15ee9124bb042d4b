"""Meshes: by itself, as asked for, and refused where one does not suit."""

import jax
import pytest

from mtl_jax import nets
from mtl_jax.config.device_mesh import DeviceMesh, PartitionRule
from mtl_jax.config.execution import Execution
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.mesh import mesh_of
from mtl_jax.runner.trace import trace_run
from tests.runner.launching import experiment_file, launched
from tests.small import RUN

FOUR = RUN.replace(num_seeds=4, batch_size=8)
TEXT = """
from mtl_jax import Execution, Experiment, nets
from tests.small import RUN

CNN = RUN.replace(name="cnn", trunk=nets.CNN((4,)))
EXPERIMENT = Experiment(runs=(RUN, CNN, CNN.replace(name="vmapped", execution=Execution())))
"""


@pytest.mark.parametrize(
    ("seeds", "batch", "devices", "shape"),
    [
        (2, 8, 4, (2, 2, 1)),
        (4, 8, 4, (4, 1, 1)),
        (3, 8, 4, (1, 4, 1)),
        (3, 9, 4, (1, 1, 1)),
        (6, 9, 3, (3, 1, 1)),
        (2, 9, 4, (2, 1, 1)),
        (2, 8, 1, (1, 1, 1)),
    ],
)
def test_by_itself_it_divides_seeds_then_examples(seeds, batch, devices, shape):
    mesh = mesh_of(
        RUN.replace(num_seeds=seeds, batch_size=batch), Execution(), jax.devices()[:devices]
    )
    assert mesh.axis_names == ("seed", "batch", "model")
    assert mesh.devices.shape == shape


@pytest.mark.parametrize("how", ["unroll", "map"])
def test_seeds_that_are_not_vmapped_are_not_sharded(how):
    mesh = mesh_of(FOUR, Execution(seed_loop=how), jax.devices()[:4])
    assert mesh.devices.shape == (1, 4, 1)


def test_a_requested_mesh_is_made():
    mesh = mesh_of(FOUR, Execution(), jax.devices()[:4], DeviceMesh(seed=2, model=2))
    assert dict(mesh.shape) == {"seed": 2, "batch": 1, "model": 2}


@pytest.mark.parametrize(
    ("mesh", "changes", "loop", "message"),
    [
        (DeviceMesh(batch=3), {}, "vmap", r"'hard': DeviceMesh\.batch must divide .* 8, not 3"),
        (DeviceMesh(seed=3), {}, "vmap", r"'hard': DeviceMesh\.seed must divide .* 4, not 3"),
        (DeviceMesh(seed=2), {}, "map", r"DeviceMesh\.seed must be 1 where .* \"map\", not 2"),
        (DeviceMesh(batch=2), {}, "vmap", r"batch=2, model=1\): .* as there are, 4, not 2"),
        (DeviceMesh(batch=8), {}, "vmap", r"batch=8, model=1\): .* as there are, 4, not 8"),
    ],
)
def test_a_mesh_that_does_not_suit_is_refused(mesh, changes, loop, message):
    with pytest.raises(BadInput, match=message):
        mesh_of(FOUR.replace(**changes), Execution(seed_loop=loop), jax.devices()[:4], mesh)


def test_bad_settings_are_named():
    with pytest.raises(BadInput, match=r"DeviceMesh\.model must be at least 1, not 0"):
        DeviceMesh(model=0)
    with pytest.raises(BadInput, match=r"PartitionRule\.pattern must be a regular expression"):
        PartitionRule("(", 0)
    with pytest.raises(BadInput, match=r"PartitionRule\.dimension must be at least 0, not -1"):
        PartitionRule("shared/.*", -1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed=2", "error: --mesh sed: is no axis; did you mean seed?"),
        ("seed=2,seed=1", "error: --mesh seed: must have one value"),
        ("batch=0", "error: --mesh batch: must be an integer of at least 1, not '0'"),
        ("batch", "error: --mesh batch: must have one value"),
        ("batch=2,model", "error: --mesh batch: must be an integer of at least 1, not '2,model'"),
        ("batch=2", "error: run 'hard': DeviceMesh(seed=1, batch=2, model=1): must have as many"),
        ("seed=4", "error: run 'hard': DeviceMesh.seed must divide the number of seeds, 2, not 4"),
        ("seed=2,model=2", "error: run 'cnn': DeviceMesh.seed must be 1 where seeds are not"),
        (
            "batch=2,model=2",
            "error: run 'vmapped': DeviceMesh.model must be 1 for a step with group",
        ),
    ],
)
def test_one_line_before_anything_is_trained(text, message, tmp_path_factory, tmp_path):
    file = experiment_file(tmp_path_factory, TEXT)
    code, _, err = launched(file, "--mesh", text, "--out", tmp_path / "out")
    assert code == 2 and err.startswith(message) and err.count("\n") == 1
    assert not list((tmp_path / "out").glob("*/metrics.jsonl"))


def test_axes_of_the_command_line_take_the_place_of_those_of_the_file():
    rules = (PartitionRule("shared/.*", None),)
    mesh = DeviceMesh(seed=2, batch=4, min_size=7, rules=rules).with_axes("model=2")
    assert mesh == DeviceMesh(model=2, min_size=7, rules=rules)


def test_convolutions_may_be_sharded_where_they_are_not_grouped():
    mesh = DeviceMesh(batch=2, model=2)
    cnn = RUN.replace(trunk=nets.CNN((4,)))
    for run in (cnn, cnn.replace(num_seeds=1, execution=Execution())):
        trace_run(run, 1, requested=mesh)
    with pytest.raises(BadInput, match=r"DeviceMesh\.model must be 1 for a step with grouped"):
        trace_run(cnn.replace(execution=Execution()), 1, requested=mesh)
    trace_run(cnn.replace(execution=Execution()), 1, requested=DeviceMesh(seed=2, batch=2))
