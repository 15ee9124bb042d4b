"""Views of random features and maps, gradients of methods, and small runs that have a source."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import nets, train
from mtl_jax.config.execution import Dispatch
from mtl_jax.runner.compiled_run import program
from mtl_jax.runner.train_loop import opened
from mtl_jax.storage.run_data import prepare
from tests.consistency.seen import B, seen
from tests.small import ROW, RUN

D = 5
MASK = np.array([True, True, False, True])
# By layer, the shape of one example's map.
MAPS = {"Conv_0": (2, 3, 2), "Conv_1": (2, 2, 3)}

SOURCE = RUN.but(
    name="source", tasks=(ROW,), trunk=nets.MLP((6, 5), batch_norm=True), seeds=1, first_seed=7,
    dispatch=Dispatch(),
)  # fmt: skip
# Runs here are of one seed as the source is, which another seed drew.
RUNS = SOURCE.but(name="target", first_seed=0, source=SOURCE.but(first_seed=0))


def felt(method, seed):
    """What a method would see, with features and maps too; the label of one example is missing."""
    sight, random = seen(method, seed), np.random.default_rng(100 + seed)
    sizes = {view: len(logits) for view, logits in sight.logits.items()}

    def drawn(*shape):
        return random.normal(size=shape).astype(np.float32)

    return sight._replace(
        labels=np.where(MASK, sight.labels, -1).astype(np.int32),
        mask=MASK,
        features={view: drawn(size, D) for view, size in sizes.items()},
        maps={
            view: {name: drawn(size, *shape) for name, shape in MAPS.items()}
            for view, size in sizes.items()
        },
    )


def begun(run=SOURCE):
    """Parameters and statistics of a net that was only drawn, as a source."""
    made = program(run, jax.eval_shape(lambda: prepare(run).given), jax.devices()[:1])
    state = jax.device_get(made.init(None))
    return state.params, state.stats


def trained(run, source, steps=2, taught=None):
    """A state after some steps from a source, and their mean metrics."""
    given = prepare(run).given
    if taught is not None:
        stream = given.streams[""]._replace(stored=taught)
        given = given._replace(streams={"": stream})
    made = program(run, jax.eval_shape(lambda: given), jax.devices()[:1])
    state = made.init(source)
    anchor = jax.tree.map(jnp.copy, train.Start(state.params, state.stats))
    given = opened(run, made, given._replace(anchor=anchor))
    return made.advance(state, given, steps)


def learning(method, **changes):
    """A run of one task that learns by a method."""
    return RUNS.but(tasks=(ROW.but(consistency=method),), **changes)


def apart(one, other):
    """The largest difference of the trunks and of the task's own head in two states."""
    trees = [(s.params["shared"], s.params["tasks"]["heads"]["row"], s.stats) for s in (one, other)]
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), *trees)
    return max(jax.tree.leaves(gaps))


assert len(MASK) == B
