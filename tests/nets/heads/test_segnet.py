"""MTAN's prediction layers: their size and no activation between them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)


@pytest.mark.parametrize(("outputs", "count"), [(13, 37_773), (1, 36_993), (3, 37_123)])
def test_sizes_of_the_authors_heads(outputs, count):
    x = jax.ShapeDtypeStruct((1, 8, 8, 64), jnp.float32)
    head = nets.heads.SegNetHead(outputs)
    got, variables = jax.eval_shape(lambda x: head.init_with_output(KEY, x, train=False), x)
    assert got.shape == (1, 8, 8, outputs)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == count


def test_it_is_linear():
    head = nets.heads.SegNetHead(2)
    one, other = jax.random.normal(KEY, (2, 1, 4, 5, 3))
    variables = head.init(KEY, one, train=False)
    outputs = [head.apply(variables, x, train=False) for x in (one, other, one - 2.0 * other)]
    wanted = outputs[0] - 2.0 * outputs[1]
    assert wanted.std() > 0
    np.testing.assert_allclose(outputs[2], wanted, rtol=1e-4, atol=1e-5)


def test_what_is_no_map_is_refused():
    with pytest.raises(
        BadInput, match=r"SegNetHead.features must be of type map \(.*\), not 'vector'"
    ):
        nets.heads.SegNetHead(2).init(KEY, jnp.zeros((1, 3)), train=False)
