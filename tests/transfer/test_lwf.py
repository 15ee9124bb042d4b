"""Learning without forgetting: a value by hand, the old head's loss, and in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.core.head_specs import AuxHead
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.transfer import LwF, lwf
from tests.consistency.seen import C
from tests.transfer.sights import apart, begun, felt, learning, trained

Z = 3
# As the docstrings say.
TAKE = ((r"tasks/heads/row/(kernel|bias)", r"tasks/heads/row/old/Dense_0/\1"),)
STUDENT, TEACHER = jnp.array([[0.0, 0.0]]), 2.0 * jnp.log(jnp.array([[0.75, 0.25]]))
DIVERGENCE = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)  # by hand: at T = 2


def test_value(variant):
    found = variant(lambda s, t: lwf(s, t, temperature=2.0))(STUDENT, TEACHER)
    np.testing.assert_allclose(found, [DIVERGENCE], rtol=1e-6)


def slopes_of(method, sight, state=()):
    """The loss of a method, and its gradient by what the heads say."""

    def total(heads):
        return method.update(sight._replace(heads=heads), state)[0].mean()

    return jax.jit(jax.value_and_grad(total))(sight.heads)


@pytest.mark.parametrize("view", ["labelled", "weak"])
def test_lwf_is_the_function_of_the_old_head(view):
    method, source = (
        LwF(Z, temperature=5.0, view=view),
        view_key(SeparatePass((view,), model="source")),
    )
    sight = felt(method, 0)
    old = sight.heads["old"]
    loss, slopes = slopes_of(method, sight)
    wanted, slope = jax.value_and_grad(lambda z: lwf(z, old[source], 5.0).mean())(old[view])
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(slopes["old"][view], slope, rtol=1e-4, atol=1e-7)
    assert np.abs(slope).max() > 0 and not np.any(slopes["old"][source])
    assert method.aux_heads(C) == {"old": AuxHead(Z)}


@pytest.mark.slow
def test_in_a_run_the_old_head_is_the_source_s_and_holds():
    source = begun()
    free, held = (
        learning(LwF(Z, weight), initialization={"param_map": TAKE}) for weight in (0.0, 300.0)
    )
    plain = learning(None, initialization={"param_map": ()})
    (one, said), (other, _), (_, told) = (trained(r, source, 6) for r in (free, plain, held))
    assert apart(one, other) < 1e-6
    old = one.params["tasks"]["heads"]["row/old"]["Dense_0"]
    kernel = source[0]["tasks"]["heads"]["row"]["kernel"]
    np.testing.assert_array_equal(old["kernel"], kernel)
    assert told["unlabelled_loss/row"] < 0.8 * said["unlabelled_loss/row"]
