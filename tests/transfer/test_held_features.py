"""Relations held to the source's: the functions' own losses, and in a run."""

import jax
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Apart, name_of
from mtl_jax.transfer import (
    PKT,
    RKD,
    SimilarityPreserving,
    pkt,
    rkd_angle,
    rkd_distance,
    similarity_preserving,
)
from tests.transfer.sights import apart, begun, felt, learning, trained


def relations(now, before):
    """RKD by hand."""
    return 2.0 * rkd_distance(now, before) + 3.0 * rkd_angle(now, before)


def over_pairs(now, before):
    """PKT by hand: 4 labelled or 6 unlabelled images."""
    return pkt(now, before) / {4: 4.0, 6: 6.0}[len(now)]


METHODS = [
    (RKD, {"distance": 2.0, "angle": 3.0}, relations),
    (SimilarityPreserving, {}, similarity_preserving),
    (PKT, {}, over_pairs),
]


@pytest.mark.parametrize(("make", "how", "function"), METHODS)
@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_it_is_the_function_of_the_features(make, how, function, view):
    method = make(**how, view=view)
    sight, source = felt(method, 0), name_of(Apart((view,), by="source"))

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


@pytest.mark.parametrize("make", [RKD, SimilarityPreserving, PKT])
@pytest.mark.parametrize(("field", "value"), [("weight", -1.0), ("view", "strong")])
def test_what_is_refused(make, field, value):
    with pytest.raises(BadInput, match=rf"{make.__name__}\.{field} must"):
        make(**{field: value})


@pytest.mark.parametrize("field", ["distance", "angle"])
def test_negative_parts_are_refused(field):
    with pytest.raises(BadInput, match=rf"RKD\.{field} must be at least 0"):
        RKD(**{field: -1.0})


def test_in_a_run_it_holds_the_relations_near_the_source():
    source = begun()
    free = learning(SimilarityPreserving(0.0))
    plain = free.but(tasks=tuple(task.but(consistency=None) for task in free.tasks))
    runs = (free, plain, learning(SimilarityPreserving(100.0)))
    (one, said), (other, _), (near, told) = (trained(run, source, 6) for run in runs)
    assert apart(one, other) < 1e-6
    assert told["unlabelled_loss/row"] < 0.9 * said["unlabelled_loss/row"]
    assert apart(near, one) > 1e-4
