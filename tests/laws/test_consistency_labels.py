"""What `MultiLabel` keeps for every method of classes: labels side by side are as labels alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import consistency
from mtl_jax.consistency import MultiLabel
from mtl_jax.core import views
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import AdversarialView
from tests.consistency.seen import B, C, N, seen
from tests.consistency.warm import warm
from tests.laws.test_consistency import PAPERS

LABELS, PAIR = DatasetSizes(C, N, N), DatasetSizes(2, N, N)


def fits(method) -> bool:
    """Whether a method may be used for each label."""
    own = method.has_labelled_loss or method.aux_heads(2)
    return not own and not any(isinstance(view, AdversarialView) for view in method.views)


INNER = {name: method for name, method in PAPERS.items() if fits(method)}
every = pytest.mark.parametrize("inner", INNER.values(), ids=INNER)


def labelled(method, seed):
    """A random batch with C labels of yes or no, of which some are missing."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (B, C)).astype(np.float32)
    labels[0, 1] = np.nan
    return seen(method, seed)._replace(labels=labels)


def alone(sight, place):
    """What the inner method sees of one label."""
    pairs = {
        name: jnp.stack([jnp.zeros(len(z)), z[:, place]], -1) for name, z in sight.logits.items()
    }
    own = sight.labels[:, place]
    return sight._replace(
        logits=pairs,
        labels=np.where(np.isnan(own), -1, own).astype(np.int32),
        mask=~np.isnan(own),
        key=jax.random.fold_in(sight.key, place),
    )


def test_there_are_methods():
    assert len(INNER) >= 8


@every
def test_each_label_is_as_one_alone(inner):
    method, update = MultiLabel(inner), jax.jit(inner.update)
    state = warm(method, method.init(LABELS))
    start = warm(inner, inner.init(PAIR))
    own, step = [start] * C, jax.jit(method.update)
    for seed in range(2):
        sight = labelled(method, seed)
        loss, state, metrics = step(sight, state)
        found = [update(alone(sight, place), own[place]) for place in range(C)]
        own = [after for _, after, _ in found]
        np.testing.assert_allclose(loss, np.mean([f[0] for f in found], 0), rtol=1e-4, atol=1e-6)
        for name, value in metrics.items():
            np.testing.assert_allclose(value, np.mean([f[2][name] for f in found]), rtol=1e-4)
    many = jax.tree.map(lambda *leaves: jnp.stack(leaves), *own)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), state, many)


@every
def test_state_keeps_its_shapes(inner):
    method = MultiLabel(inner)
    first = method.init(LABELS)
    last = jax.eval_shape(method.update, labelled(method, 0), first)[1]
    assert last == jax.eval_shape(lambda: first)
    assert all(leaf.shape[0] == C for leaf in jax.tree.leaves(first))


@every
def test_repr_makes_it_again(inner):
    method = MultiLabel(inner)
    assert eval(repr(method), {**vars(views), **vars(consistency)}) == method


@pytest.mark.parametrize("name", sorted(PAPERS.keys() - INNER.keys()))
def test_a_method_with_a_labelled_loss_or_heads_is_refused(name):
    with pytest.raises(BadInput, match=r"MultiLabel\.method must"):
        MultiLabel(PAPERS[name])
