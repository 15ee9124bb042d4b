"""How a run lies on the machine: seeds side by side, steps in blocks, devices in a mesh."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mtl_jax import train
from mtl_jax.run import Dispatch, Run
from mtl_jax.train.state import SEED_AXES

# XLA's default level spends up to 2 s on each random draw of a new shape on a CPU; level 2
# draws the same bits in a tenth of the time. Only the initialisation is compiled so: a
# training step would lose 7 % of its speed.
QUICK = {"xla_backend_optimization_level": 2}


class Program(NamedTuple):
    """The compiled functions of a run; every leaf of a state has a leading axis S."""

    init: Callable[..., Any]  # (source | None) -> state
    advance: Callable[..., Any]  # (state, given, steps) -> (state, {metric: [S]})
    judge: Callable[..., Any]  # (state, splits) -> {...: [S]}
    given: Callable[..., Any]  # puts a `Given` of host arrays on the devices


def dispatch_of(run: Run, backend: str) -> Dispatch:
    """The run's dispatch, or the measured choice for its trunk on this backend."""
    if run.dispatch is not None:
        return run.dispatch
    if backend == "cpu" and run.trunk.convolutional:
        return Dispatch(block=4, steps="unroll", seeds="unroll", pullbacks="unroll")
    return Dispatch()


def mesh_of(run: Run, dispatch: Dispatch, devices: list) -> Mesh:
    """A mesh ("seed", "batch") over as many devices as divide the run evenly.

    Axes are Auto: JAX's own default, Explicit, refuses ordinary losses.
    """
    seeds = math.gcd(run.seeds, len(devices)) if dispatch.seeds == "vmap" else 1
    batch = math.gcd(run.batch, len(devices) // seeds)
    auto = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh(
        (seeds, batch), ("seed", "batch"), axis_types=auto, devices=devices[: seeds * batch]
    )


def program(run: Run, image: jax.ShapeDtypeStruct, devices: list | None = None) -> Program:
    """Compiles what a run needs.

    Args:
      run: what is trained.
      image: shape of the training images `[N, ...]`.
      devices: where it runs; all local devices if None.

    Returns:
      The program. Its functions compile at their first call.
    """
    devices = devices or jax.local_devices()
    dispatch = dispatch_of(run, devices[0].platform)
    mesh = mesh_of(run, dispatch, devices)
    by_seed = NamedSharding(mesh, PartitionSpec("seed"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    by_example = NamedSharding(mesh, PartitionSpec("batch"))
    net = train.net_of(run)

    def place(batch):
        if mesh.size == 1:
            return batch
        return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, by_example), batch)

    step = train.build(run, net, dispatch, place)
    several = functools.partial(beside, dispatch.seeds)

    @functools.partial(jax.jit, compiler_options=QUICK, out_shardings=by_seed)
    def init(source):
        seeds = jnp.arange(run.first_seed, run.first_seed + run.seeds, dtype=jnp.uint32)
        create = functools.partial(train.create, run, image=image)
        return jax.vmap(lambda seed, loaded: create(seed, source=loaded))(seeds, source)

    @functools.partial(jax.jit, static_argnums=2, donate_argnums=0, out_shardings=by_seed)
    def advance(state, given, steps):
        many = functools.partial(repeat, step, dispatch.steps, steps)
        return several(many, (0, SEED_AXES))(state, given)

    @jax.jit
    def judge(state, splits):
        return several(functools.partial(train.judge, run, net), (0, None))(state, splits)

    def given(arrays):
        here = train.Given(everywhere, everywhere, by_seed, by_seed, by_seed)
        return train.Given(*[jax.device_put(a, h) for a, h in zip(arrays, here, strict=True)])

    return Program(init, advance, judge, given)


def repeat(step, how: str, steps: int, state, given):
    """Takes several steps; metrics are their means."""

    def body(state, _):
        return step(state, given)

    state, metrics = jax.lax.scan(body, state, length=steps, unroll=steps if how == "unroll" else 1)
    return state, jax.tree.map(lambda metric: metric.mean(0), metrics)


def beside(how: str, function: Callable, axes: tuple) -> Callable:
    """Puts seeds side by side: `function` of one seed becomes one of S seeds."""
    if how == "vmap":
        return jax.vmap(function, axes, spmd_axis_name="seed")

    def seed_of(args, seed):
        return [
            jax.tree.map(lambda axis, arg: take(arg, axis, seed), ax, arg, is_leaf=is_axis)
            for ax, arg in zip(axes, args, strict=True)
        ]

    def unrolled(*args):
        count = jax.tree.leaves(args[0])[0].shape[0]
        results = [function(*seed_of(args, seed)) for seed in range(count)]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

    def mapped(*args):
        count = jax.tree.leaves(args[0])[0].shape[0]
        return jax.lax.map(lambda seed: function(*seed_of(args, seed)), jnp.arange(count))

    return unrolled if how == "unroll" else mapped


def is_axis(axis: Any) -> bool:
    """Whether this is a leaf of `vmap`'s axes: a number or None."""
    return axis is None or isinstance(axis, int)


def take(arg: Any, axis: int | None, seed: Any) -> Any:
    """One seed's part of an argument, which has a leading axis S unless `axis` is None."""
    return arg if axis is None else jax.tree.map(lambda leaf: leaf[seed], arg)
