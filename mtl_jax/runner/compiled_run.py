"""How a run lies on the machine: seeds side by side, steps in blocks, devices in a mesh."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from mtl_jax import train
from mtl_jax.config.run import Dispatch, Run, Task
from mtl_jax.core.aux_inputs import Sizes
from mtl_jax.nets import compose
from mtl_jax.storage.loading import seed_axis
from mtl_jax.storage.run_data import single_seed

# XLA's default level spends up to 2 s on each random draw of a new shape on a CPU; level 2
# draws the same bits in a tenth of the time. Only the initialisation is compiled so: a
# training step would lose 7 % of its speed.
QUICK = {"xla_backend_optimization_level": 2}
# A run of a few steps is over before a well optimised step would have been compiled.
ROUGH = {"xla_backend_optimization_level": 0}
FEW = 20


class Program(NamedTuple):
    """The compiled functions of a run; every leaf of a state has a leading axis S."""

    init: Callable[..., Any]  # (source | None) -> state
    begun: Callable[..., Any]  # the same of shapes
    advance: Callable[..., Any]  # (state, given, steps) -> (state, {metric: [S]})
    judge: Callable[..., Any]  # (state, splits) -> {...: [S]}
    affinity: Callable[..., Any]  # (state, given) -> {"cosine", "lookahead": [S, K, K]}
    given: Callable[..., Any]  # puts a `Given` of host arrays on the devices, or of shapes


def dispatch_of(run: Run, backend: str) -> Dispatch:
    """The run's dispatch, or the measured choice for its trunk on this backend."""
    if run.dispatch is not None:
        return run.dispatch
    branches = any(getattr(p, "branches", False) for p in (run.weak, run.medium, run.strong))
    if backend == "cpu" and run.trunk.convolutional:
        unrolled = Dispatch(block=1, steps="unroll", seeds="unroll", pullbacks="unroll")
        return dataclasses.replace(unrolled, policies="map" if branches else "vmap")
    if backend == "cpu" and branches:
        # Vmapped over seeds, all branches would be computed again.
        return Dispatch(seeds="unroll", pullbacks="unroll", policies="map")
    return Dispatch(pullbacks="unroll" if backend == "cpu" else "vmap")


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


def program(run: Run, shapes: train.Given, devices: list | None = None) -> Program:
    """Compiles what a run needs.

    Args:
      run: what is trained.
      shapes: what it trains on; only the shapes of it count.
      devices: where it runs; all local devices if None.

    Returns:
      The program. Its functions compile at their first call.
    """
    devices = devices or jax.local_devices()
    dispatch = dispatch_of(run, devices[0].platform)
    mesh = mesh_of(run, dispatch, devices)
    by_seed = NamedSharding(mesh, PartitionSpec("seed"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    place = functools.partial(spread, mesh, dispatch.policies == "map")
    net = train.net_of(run)
    step = train.build(run, net, dispatch, place)
    seeds = jnp.arange(run.first_seed, run.first_seed + run.seeds, dtype=jnp.uint32)
    outputs = tuple(train.outputs_of(run).items())
    streams, axis = single_seed(run, shapes).streams.values(), seed_axis(run)
    sizes = {
        task.name: Sizes(task.outputs, train.unlabelled_in(stream), stream.known.index.shape[-1])
        for task in run.tasks
        for stream in streams
        if task.name in stream.labels
    }
    fresh = (run.trunk, outputs, train.example(next(iter(streams)).image), seeds)
    # How they learn does not matter to how tasks are judged.
    judged = tuple(task.but(consistency=None) for task in run.tasks)

    @functools.partial(jax.jit, compiler_options=QUICK, out_shardings=by_seed)
    def begin(drawn, source, coach):
        create = functools.partial(train.create, run, sizes)
        return jax.vmap(create)(seeds, drawn=drawn, source=source, coach=coach)

    def init(source):
        coach = None if run.coach is None else draw(*fresh, "coach")
        return begin(draw(*fresh), source, coach)

    def begun(source):
        coach = None if run.coach is None else draw.eval_shape(*fresh, "coach")
        return begin.eval_shape(draw.eval_shape(*fresh), source, coach)

    @functools.partial(
        jax.jit,
        compiler_options=ROUGH if run.steps <= FEW else None,
        static_argnums=2,
        donate_argnums=0,
        out_shardings=by_seed,
    )
    def advance(state, given, steps):
        block = functools.partial(repeat, step, dispatch.steps, steps)
        return beside(dispatch.seeds, block, (0, given.each(axis, 0)))(state, given)

    def judge(state, splits):
        models = {"raw": state.params, "ema": state.ema}
        return judge_all(dispatch.seeds, axis, run.trunk, judged, models, state.stats, splits)

    @functools.partial(jax.jit, out_shardings=by_seed)
    def affinity(state, given):
        measure = train.measure_affinity(run, net, dispatch, place)
        return beside(dispatch.seeds, measure, (0, given.each(axis, 0)))(state, given)

    def given(parts):
        here = parts.each(everywhere if axis is None else by_seed, by_seed)
        return jax.tree.map(lambda where, part: laid(part, where), here, parts)

    return Program(init, begun, advance, judge, affinity, given)


# These three stand alone, so that runs of one net share what is traced and compiled for it.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 4), compiler_options=QUICK)
def draw(
    trunk: Any, outputs: tuple, image: jax.ShapeDtypeStruct, seeds: jax.Array, name: str = "init"
) -> Any:
    """Parameters and statistics `[S, ...]` of a fresh net for images of a kind."""
    net = compose(trunk, dict(outputs))
    return jax.vmap(lambda seed: train.draw(net, seed, image, name))(seeds)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def judge_all(
    how: str,
    axis: int | None,
    trunk: Any,
    tasks: tuple[Task, ...],
    models: dict,
    stats: Any,
    splits: Any,
):
    """Judges models `[S, ...]` on every split, which has an axis of seeds or not."""
    net = compose(trunk, {task.name: task.outputs for task in tasks})
    alone = functools.partial(train.judge, net, tasks)
    return beside(how, alone, (0, 0, axis))(models, stats, splits)


@functools.partial(jax.jit, static_argnums=(0, 1))
def open_all(how: str, run: Run, anchor: train.Start, given: train.Given) -> dict[str, Any]:
    """What methods say before the first step `{task: [S, ...]}`, seeds side by side."""
    alone = functools.partial(train.opening, run, train.net_of(run))
    return beside(how, alone, (0, given.each(seed_axis(run), 0)))(anchor, given)


def spread(mesh: Mesh, looped: bool, batch: Any) -> Any:
    """A batch inside a step, its examples over the devices of a mesh.

    One that a loop has made is made by every device as a whole: its parts would be gathered
    anew at every turn.
    """
    if mesh.size == 1:
        return batch
    if looped:
        batch = jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec()))
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("batch")))


def laid(tree: Any, sharding: NamedSharding) -> Any:
    """Arrays put where they belong; of shapes, the shapes of such arrays."""
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(tree)):
        return jax.tree.map(lambda leaf: leaf.update(sharding=sharding), tree)
    return jax.device_put(tree, sharding)


def repeat(step, how: str, steps: int, state, given):
    """Takes several steps; metrics are their means."""

    def body(state, _):
        return step(state, given)

    if steps == 1:  # A loop of one step is a loop to XLA too, which a convolution does not want.
        return body(state, None)
    state, metrics = jax.lax.scan(body, state, length=steps, unroll=steps if how == "unroll" else 1)
    return state, jax.tree.map(lambda metric: metric.mean(0), metrics)


def beside(how: str, function: Callable, axes: tuple) -> Callable:
    """Puts seeds side by side: `function` of one seed becomes one of S seeds."""

    def seed_of(args, seed):
        return [
            jax.tree.map(lambda axis, arg: take(arg, axis, seed), ax, arg, is_leaf=is_axis)
            for ax, arg in zip(axes, args, strict=True)
        ]

    def unrolled(*args):
        results = [function(*seed_of(args, seed)) for seed in range(seeds_in(args))]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *results)

    def mapped(*args):
        return jax.lax.map(lambda seed: function(*seed_of(args, seed)), jnp.arange(seeds_in(args)))

    def vmapped(*args):
        # Of one seed XLA would lay the gradients of batched products out anew.
        if seeds_in(args) == 1:
            return unrolled(*args)
        return jax.vmap(function, axes, spmd_axis_name="seed")(*args)

    return {"unroll": unrolled, "map": mapped, "vmap": vmapped}[how]


def seeds_in(args: tuple) -> int:
    """How many seeds the first of some arguments has, S."""
    return jax.tree.leaves(args[0])[0].shape[0]


def is_axis(axis: Any) -> bool:
    """Whether this is a leaf of `vmap`'s axes: a number or None."""
    return axis is None or isinstance(axis, int)


def take(arg: Any, axis: int | None, seed: Any) -> Any:
    """One seed's part of an argument, which has a leading axis S unless `axis` is None."""
    return arg if axis is None else jax.tree.map(lambda leaf: leaf[seed], arg)
