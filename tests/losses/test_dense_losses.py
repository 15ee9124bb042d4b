"""Losses of maps, sequences and pairs: degenerate cases, settings, and values by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import losses
from mtl_jax.core.validation import BadInput
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import target_type

LOGITS = jnp.array([[[2.0, -1.0, 0.5], [0.0, 1.0, -2.0]], [[1.0, 1.0, 1.0], [9.0, -9.0, 0.0]]])
LABELS = jnp.array([[0, -1], [2, 1]])


def test_smoothing_is_optax_s():
    labels = optax.smooth_labels(jax.nn.one_hot(jnp.abs(LABELS), 3), 0.1)
    expected = optax.softmax_cross_entropy(LOGITS, labels)
    found = losses.cross_entropy(LOGITS, jnp.abs(LABELS), label_smoothing=0.1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weights_of_classes_scale_each_loss():
    labels = jnp.abs(LABELS)
    found = losses.cross_entropy(LOGITS, labels, class_weights=(1, 2, 3))
    expected = losses.cross_entropy(LOGITS, labels) * (labels + 1).astype(jnp.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.softmax_focal_loss])
def test_a_missing_pixel_has_no_loss_and_no_gradient(loss):
    mask = jnp.ones(2, bool)
    value, grad = jax.value_and_grad(lambda z: masked_mean(loss, z, LABELS, mask))(LOGITS)
    pixels = jnp.stack([loss(LOGITS[i, j], LABELS[i, j]) for i, j in ((0, 0), (1, 0), (1, 1))])
    np.testing.assert_allclose(value, pixels.mean(), rtol=1e-6)
    assert (grad[0, 1] == 0).all() and (grad[1] != 0).any() and jnp.isfinite(grad).all()


def test_without_a_label_a_map_has_loss_0():
    for loss in (losses.cross_entropy, losses.softmax_focal_loss):
        assert masked_mean(loss, LOGITS, jnp.full((2, 2), -1), jnp.ones(2, bool)) == 0
    value, grad = jax.value_and_grad(lambda z: losses.dice_loss(z, LABELS * 0 - 1).sum())(LOGITS)
    np.testing.assert_allclose(value, 0.0, atol=1e-6)
    assert (grad == 0).all()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_loss_of_a_sure_example_has_a_finite_gradient(gamma):
    logits = jnp.array([[200.0, -200.0], [-200.0, 200.0]])
    loss = functools.partial(losses.softmax_focal_loss, gamma=gamma)
    value, grad = jax.value_and_grad(lambda z: loss(z, jnp.array([0, 0])).sum())(logits)
    assert value == 400.0 and jnp.isfinite(grad).all()
    if gamma == 0:
        labels = jnp.abs(LABELS)
        np.testing.assert_array_equal(loss(LOGITS, labels), losses.cross_entropy(LOGITS, labels))


def test_a_normal_of_no_length_has_distance_1_without_gradient():
    value, grad = jax.value_and_grad(lambda f: losses.cosine_distance(f, jnp.ones((1, 3))).sum())(
        jnp.zeros((1, 3))
    )
    assert value == 1.0 and (grad == 0).all()
    scaled = losses.cosine_distance(jnp.full((1, 3), 1e30), jnp.full((1, 3), 1e-30))
    np.testing.assert_allclose(scaled, 0.0, atol=1e-6)


def test_pairs_of_views_by_hand():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 4))
    views = np.concatenate([first, second])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    expected = np.zeros(3)
    for i in range(6):
        others = [k for k in range(6) if k != i]
        total = np.log(sum(np.exp(views[i] @ views[k] / 0.2) for k in others))
        expected[i % 3] += (total - views[i] @ views[(i + 3) % 6] / 0.2) / 2
    found = losses.nt_xent(jnp.float32(first), jnp.float32(second), temperature=0.2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    grad = jax.grad(lambda z: losses.nt_xent(z, jnp.float32(second)).sum())(jnp.float32(first))
    assert jnp.isfinite(grad).all()


def test_log_cosh_is_finite_for_large_errors():
    found = losses.log_cosh(jnp.array([1e4]), jnp.zeros(1))
    np.testing.assert_allclose(found, 1e4 - np.log(2), rtol=1e-6)


def test_types_of_targets():
    types = {
        losses.sigmoid_focal_loss: "multilabel",
        losses.softmax_focal_loss: "multiclass",
        losses.absolute_error: "continuous",
        losses.huber_loss: "continuous",
        losses.log_cosh: "continuous",
        functools.partial(losses.cross_entropy, label_smoothing=0.1): "multiclass",
        losses.cosine_distance: None,
    }
    assert {loss: target_type(loss, 3) for loss in types} == types


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: losses.huber_loss(LOGITS, LOGITS, delta=0.0), "huber_loss.delta must be a positive"),
        (lambda: losses.sigmoid_focal_loss(LOGITS, LOGITS, alpha=2.0), "alpha must be between 0 and 1"),
        (lambda: losses.sigmoid_focal_loss(LOGITS, LOGITS, gamma=-1.0), "gamma must be at least 0"),
        (lambda: losses.softmax_focal_loss(LOGITS, LABELS, gamma=-1.0), "gamma must be at least 0"),
        (lambda: losses.cross_entropy(LOGITS, LABELS, label_smoothing=2.0), "label_smoothing must be"),
        (lambda: losses.cross_entropy(LOGITS, LABELS, class_weights=(1, 2)), "must be 3 numbers"),
        (lambda: losses.nt_xent(LOGITS[0], LOGITS[0], temperature=0.0), "temperature must be positive"),
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(call, text):
    with pytest.raises(BadInput, match=text):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: losses.absolute_error(LOGITS, LOGITS[0]),
        lambda: losses.cosine_distance(LOGITS, LABELS),
        lambda: losses.dice_loss(LOGITS, LABELS[0]),
        lambda: losses.ctc_loss(LOGITS, LABELS[0]),
        lambda: losses.nt_xent(LOGITS[0], LOGITS),
        lambda: losses.sigmoid_focal_loss(LOGITS, LABELS),
    ],
)
def test_other_shapes_are_refused(call):
    with pytest.raises(ValueError, match="needs"):
        call()
