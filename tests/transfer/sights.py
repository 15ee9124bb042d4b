"""Views of random features and maps, gradients of methods, and small runs that have a source."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import nets, train
from mtl_jax.config.execution import Execution
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.runner.trace import with_precomputed
from mtl_jax.storage.run_data import load_run_data
from tests.consistency.seen import B, seen
from tests.small import ROW, RUN

D = 5
MASK = np.array([True, True, False, True])
# By layer, the shape of one example's map.
MAPS = {"Conv_0": (2, 3, 2), "Conv_1": (2, 2, 3)}
SOURCE = RUN.replace(
    name="source", tasks=(ROW,), trunk=nets.MLP((6, 5), batch_norm=True), num_seeds=1, first_seed=7,
    execution=Execution(),
)  # fmt: skip
# Runs here are of one seed as the source is, which another seed drew.
RUNS = SOURCE.replace(
    name="target", first_seed=0, initialization={"init_from": SOURCE.replace(first_seed=0)}
)


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
        feature_maps={
            view: {name: drawn(size, *shape) for name, shape in MAPS.items()}
            for view, size in sizes.items()
        },
    )


def begun(run=SOURCE):
    """Parameters and statistics of a net that was only drawn, as a source."""
    made = compile_run(run, jax.eval_shape(lambda: load_run_data(run).train), jax.devices()[:1])
    state = jax.device_get(made.init(None))
    return state.params, state.batch_stats


def trained(run, source, steps=2, taught=None):
    """A state after some steps from a source, and their mean metrics."""
    given = load_run_data(run).train
    if taught is not None:
        stream = given.streams[""]._replace(teacher=taught)
        given = given._replace(streams={"": stream})
    made = compile_run(run, jax.eval_shape(lambda: given), jax.devices()[:1])
    state = made.init(source)
    anchor = jax.tree.map(jnp.copy, train.SourceModel(state.params, state.batch_stats))
    given = with_precomputed(run, made, given._replace(source_model=anchor))
    return made.train_steps(state, given, steps)


def learning(method, **changes):
    """A run of one task that learns by a method."""
    return RUNS.replace(tasks=(ROW.replace(auxiliary=method),), **changes)


def apart(one, other):
    """The largest difference of the trunks and of the task's own head in two states."""
    trees = [
        (s.params["shared"], s.params["tasks"]["heads"]["row"], s.batch_stats) for s in (one, other)
    ]
    gaps = jax.tree.map(lambda a, b: np.abs(a - b).max(), *trees)
    return max(jax.tree.leaves(gaps))


def is_the_function(method, function):
    """Asserts that a method's loss and slopes are those of a function of both nets' features."""
    view = method.view
    sight, source = felt(method, 0), view_key(SeparatePass((view,), model="source"))

    def by_hand(features):
        return function(features[view], features[source])

    def own(features):
        return method.update(sight._replace(features=features), ())[0].mean()

    (wanted, slopes), (found, got) = (
        jax.jit(jax.value_and_grad(f))(sight.features) for f in (by_hand, own)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert wanted > 0 and np.abs(got[view]).max() > 0
    np.testing.assert_allclose(got[view], slopes[view], rtol=1e-5, atol=1e-7)
    assert not np.any(got[source])


assert len(MASK) == B
