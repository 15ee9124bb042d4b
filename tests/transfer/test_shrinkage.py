"""BSS as a method: the function of the features, and in a run."""

import jax
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.transfer import BSS, bss
from tests.transfer.sights import apart, begun, felt, learning, trained


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_it_is_the_function_of_the_features(view):
    method = BSS(k=2, view=view)
    sight = felt(method, 0)

    def own(features):
        return method.update(sight._replace(features=features), ())[0].mean()

    loss, slopes = jax.jit(jax.value_and_grad(own))(sight.features)
    wanted, slope = jax.value_and_grad(lambda f: bss(f, 2))(sight.features[view])
    np.testing.assert_allclose(loss, wanted, rtol=1e-4)
    np.testing.assert_allclose(slopes[view], slope, rtol=1e-3, atol=1e-5)
    assert wanted > 0


@pytest.mark.parametrize(("field", "value"), [("weight", -1.0), ("k", 0), ("view", "strong")])
def test_what_is_refused(field, value):
    with pytest.raises(BadInput, match=rf"BSS\.{field} must"):
        BSS(**{field: value})


def test_in_a_run_small_singular_values_shrink():
    source = begun()
    free, held = (learning(BSS(weight, k=3)) for weight in (0.0, 1.0))
    (one, said), (other, _), (_, told) = (
        trained(run, source, 6) for run in (free, learning(None), held)
    )
    assert apart(one, other) < 1e-6
    assert told["unlabelled_loss/row"] < 0.9 * said["unlabelled_loss/row"]
