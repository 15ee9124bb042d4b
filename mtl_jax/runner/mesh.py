"""The mesh of a run's devices, and the checks that a mesh suits a run."""

import math

import jax
from jax.sharding import AxisType, Mesh

from mtl_jax.config.device_mesh import AXES, DeviceMesh
from mtl_jax.config.execution import Execution
from mtl_jax.config.run import Run
from mtl_jax.core.validation import BadInput, require


def mesh_of(
    run: Run, execution: Execution, devices: list, requested: DeviceMesh | None = None
) -> Mesh:
    """The mesh ("seed", "batch", "model") that a run is trained on.

    Axes are Auto: JAX's default, Explicit, rejects ordinary losses.

    Args:
      run: the run.
      execution: how its seeds are looped.
      devices: the devices.
      requested: the mesh that was asked for, which must use all devices; None uses as many as
        divide the seeds and the batch evenly, and replicates the parameters.

    Raises:
      BadInput: if the requested mesh does not suit the run or the devices.
    """
    if requested is None:
        shape = default_shape(run, execution, len(devices))
    else:
        require_divisible(requested, run)
        rule = f'must be 1 where seeds are not vmapped but in a loop "{execution.seed_loop}"'
        vmapped = requested.seed == 1 or execution.seed_loop == "vmap"
        require(vmapped, f"run {run.name!r}: DeviceMesh", "seed", rule, requested.seed)
        shape, count = requested.shape, math.prod(requested.shape)
        if count != len(devices):
            sizes = ", ".join(f"{axis}={size}" for axis, size in zip(AXES, shape, strict=True))
            rule = f"must have as many devices as there are, {len(devices)}, not {count}"
            raise BadInput(f"DeviceMesh({sizes}): {rule}")
    axis_types = (AxisType.Auto,) * len(AXES)
    return jax.make_mesh(shape, AXES, axis_types=axis_types, devices=devices[: math.prod(shape)])


def default_shape(run: Run, execution: Execution, count: int) -> tuple[int, int, int]:
    """The largest mesh of at most `count` devices that divides first the seeds, then the batch."""
    seeds = math.gcd(run.num_seeds, count) if execution.seed_loop == "vmap" else 1
    return seeds, math.gcd(run.batch_size, count // seeds), 1


def require_divisible(mesh: DeviceMesh, run: Run) -> None:
    """Requires axes that divide the seeds and the batch of a run, whatever the devices.

    Raises:
      BadInput: naming the axis, the rule and the size.
    """
    where = f"run {run.name!r}: DeviceMesh"
    rule = f"must divide the batch size, {run.batch_size}"
    require(run.batch_size % mesh.batch == 0, where, "batch", rule, mesh.batch)
    rule = f"must divide the number of seeds, {run.num_seeds}"
    require(run.num_seeds % mesh.seed == 0, where, "seed", rule, mesh.seed)
