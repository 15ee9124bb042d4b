"""DeepLab's head: its published size, its parts, dropout and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32))
SMALL = nets.heads.ASPP(2, rates=(1, 2), width=4)


@pytest.mark.parametrize(
    ("outputs", "count"), [(13, 16_128_781), (21, 16_130_837), (40, 16_135_720)]
)
def test_size_of_deep_lab_head(outputs, count):
    """The counts of torchvision's DeepLabHead(2048, outputs)."""
    head = nets.heads.ASPP(outputs, size=(36, 48))
    x = jax.ShapeDtypeStruct((2, 5, 6, 2048), jnp.float32)
    got, variables = jax.eval_shape(lambda x: head.init_with_output(KEY, x, train=False), x)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == count
    assert got.shape == (2, 36, 48, outputs)
    kernels = variables["params"]
    assert kernels["atrous2"]["kernel"].shape == (3, 3, 2048, 256)
    assert kernels["project"]["kernel"].shape == (1, 1, 5 * 256, 256)


def test_a_rate_reads_pixels_that_far_away():
    """Without the mean over the image, and the last 3x3 convolution at its middle only."""
    head = nets.heads.ASPP(2, rates=(3,), width=4)
    x = jnp.asarray(np.random.default_rng(0).random((1, 9, 9, 3), np.float32))
    variables = head.init(KEY, x, train=False)
    params = variables["params"]
    params["pooled"]["kernel"] *= 0.0
    params["last"]["kernel"] = jnp.zeros((3, 3, 4, 4)).at[1, 1].set(1.0)
    grads = jax.grad(lambda x: head.apply(variables, x, train=False)[0, 4, 4].sum())(x)
    reached = np.argwhere(np.asarray(grads[0]).any(-1))
    assert reached.tolist() == [[i, j] for i in (1, 4, 7) for j in (1, 4, 7)]


def test_dropout_draws_only_in_training():
    variables = SMALL.init(KEY, X, train=False)
    keyed = SMALL.apply(variables, X, train=False, rngs={"draw": KEY})
    np.testing.assert_array_equal(keyed, SMALL.apply(variables, X, train=False))

    def trained(seed):
        rngs = {"draw": jax.random.key(seed)}
        return SMALL.apply(variables, X, train=True, rngs=rngs, mutable=["batch_stats"])

    (one, stats), (other, _) = trained(1), trained(2)
    assert (one != other).any()
    pairs = zip(
        *map(jax.tree.leaves, (stats["batch_stats"], variables["batch_stats"])), strict=True
    )
    assert all((after != before).any() for after, before in pairs)


def test_what_is_no_map_is_refused():
    with pytest.raises(BadInput, match=r"ASPP.features must be of type map \(.*\), not 'sequence'"):
        SMALL.init(KEY, X[:, 0], train=False)
    with pytest.raises(BadInput, match=r"ASPP.rates must be a tuple of integers of at least 1"):
        nets.heads.ASPP(2, rates=(0,))
    with pytest.raises(BadInput, match=r"ASPP.dropout must lie between 0.0 and 1.0, not 1.5"):
        nets.heads.ASPP(2, dropout=1.5)
