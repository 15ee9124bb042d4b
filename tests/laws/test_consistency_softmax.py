"""No softmax of probabilities: a guess can be sure, and a sure mistake costs what it should."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.consistency import CrossEntropy, Match, SquaredError
from mtl_jax.core.views import view_key
from tests.consistency.seen import C, seen
from tests.laws.test_consistency import PAPERS, warmed

SURE = 60.0
LONG = 20  # Steps in which running means forget how they began.


def all_of(method, kind, wrong=None):
    """A batch whose outputs are surely of one class, but for one view, of another."""
    sight = seen(method, 0)
    hot = SURE * np.eye(C, dtype=np.float32)

    def sure(name, z):
        same = hot[kind + (name == wrong)]
        return np.tile(same, (len(z), 1)) if z.shape[1] == C else z

    def sure_views(views):
        return {name: sure(name, z) for name, z in views.items()}

    return sight._replace(
        logits=sure_views(sight.logits),
        heads={head: sure_views(views) for head, views in sight.heads.items()},
        labels=np.full_like(sight.labels, kind),
    )


def require_one_softmax(method):
    """Sure views that agree are at rest and, but for heads, without loss; others cost."""

    @jax.jit
    def run(sight, state):
        def total(logits):
            loss, after, _ = method.update(sight._replace(logits=logits), state)
            return loss.sum(), (loss.max(), after)

        grads, (worst, after) = jax.grad(total, has_aux=True)(sight.logits)
        return worst, grads, after

    state = warmed(method)
    for _ in range(LONG):
        rest, grads, state = run(all_of(method, 1), state)
    for name, grad in grads.items():
        np.testing.assert_allclose(grad, np.zeros_like(grad), atol=1e-3, err_msg=name)
    if not method.aux_heads(C):
        assert abs(rest) < 1e-3
    views = {view_key(view) for view in method.views}
    views = [name for name in views if not name.startswith("labelled")]
    if len(views) > 1:
        # 2/C is what the squared error of two sure classes is; cross-entropy has far more.
        costs = [run(all_of(method, 1, name), state)[0] for name in views]
        assert max(costs) - rest > 2.0 / C - 1e-3


def without_terms(method):
    """A method without the terms of the whole batch, which are no divergence."""
    return dataclasses.replace(method, terms=()) if isinstance(method, Match) else method


@pytest.mark.parametrize("method", PAPERS.values(), ids=PAPERS)
def test_no_softmax_of_probabilities(method):
    """SoftMatch, ReFixMatch and SequenceMatch had one: a guess could not be sure."""
    require_one_softmax(without_terms(method))


@dataclasses.dataclass(frozen=True)
class Flattened:
    """Targets by a softmax of probabilities, as it should not be."""

    def __call__(self, guess):
        return jax.nn.softmax(np.e**guess.aligned)


@dataclasses.dataclass(frozen=True)
class FlatDivergence:
    """A divergence of a softmax of probabilities, as it should not be."""

    of: object

    def __call__(self, logits, targets):
        return self.of(jax.nn.softmax(logits), targets)


@pytest.mark.parametrize("divergence", [CrossEntropy(), SquaredError()], ids=repr)
@pytest.mark.parametrize("flat", ["target", "learner", "both"])
def test_a_softmax_of_probabilities_is_found(divergence, flat):
    require_one_softmax(Match(divergence=divergence))
    target = {} if flat == "learner" else {"target": Flattened()}
    learner = {} if flat == "target" else {"divergence": FlatDivergence(divergence)}
    with pytest.raises(AssertionError):
        require_one_softmax(Match(**{"divergence": divergence, **target, **learner}))
