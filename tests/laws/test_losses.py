"""Every loss of an example or pixel takes any leading shape, never reduces, has finite gradients."""

import inspect

import chex
import jax
import numpy as np
import pytest

from mtl_jax import losses

# Of whole maps, sequences and batches, whose values are compared elsewhere.
OF_WHOLES = (losses.center_loss, losses.dice_loss, losses.ctc_loss, losses.nt_xent)
LOSSES = [
    loss for loss in vars(losses).values() if inspect.isfunction(loss) and loss not in OF_WHOLES
]


def example(loss, shape):
    """Outputs of the shape and what they are compared with, by the name of the argument."""
    random = np.random.default_rng(0)
    outputs = random.normal(size=shape).astype(np.float32)
    kind = list(inspect.signature(loss).parameters)[1]
    if kind == "labels":
        return outputs, random.integers(0, shape[-1], shape[:-1], np.int32)
    assert kind == "targets", f"say here what the argument {kind!r} of {loss.__name__} is"
    targets = random.random(shape, np.float32)  # They may have to be probabilities.
    return outputs, targets / targets.sum(-1, keepdims=True)


def test_there_are_losses():
    assert len(LOSSES) >= 2


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5, 5, 3)], ids=str)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_any_leading_shape_without_reduction(loss, shape):
    outputs, labels = example(loss, shape)
    each = jax.jit(loss)(outputs, labels)
    chex.assert_shape(each, shape[:-1])
    assert each.dtype == outputs.dtype
    flat = outputs.reshape(-1, shape[-1]), labels.reshape(-1, *labels.shape[len(shape) - 1 :])
    alone = jax.jit(jax.vmap(loss))(*flat)
    np.testing.assert_allclose(np.ravel(each), alone, rtol=1e-6)
    assert (np.asarray(each) >= 0).all()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_gradient_stays_with_its_example(loss):
    outputs, labels = example(loss, (4, 3))
    grad = jax.jit(jax.grad(lambda o: loss(o, labels)[1]))(outputs)
    np.testing.assert_array_equal(np.abs(grad).sum(1) > 0, [False, True, False, False])
    assert np.isfinite(grad).all()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_a_number_without_an_axis_is_no_outputs(loss):
    with pytest.raises(ValueError, match=r"needs .*\(\) and .* \(\)"):
        loss(np.float32(0.5), np.float32(0.5))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_one_example_is_not_compared_with_all(loss):
    outputs, labels = example(loss, (4, 3))
    for own, other in ((outputs, labels[:1]), (outputs[:1], labels)):
        with pytest.raises(ValueError, match="needs"):
            loss(own, other)
