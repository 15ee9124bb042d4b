"""Mixup and CutMix of labelled examples: the loss is that of the mixed labels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import losses
from mtl_jax.consistency import SupervisedMix
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import MixedView, view_key
from tests.consistency.seen import seen

B, C, SHAPE = 4, 3, (4, 6)
PARTNER = np.array([2, 0, 1, 3], np.int32)
RATIO = np.array([0.25, 0.5, 1.0, 0.75], np.float32)
RANDOM = np.random.default_rng(0)
CLASSES = np.array([0, 2, 1, 1], np.int32)
LOGITS = RANDOM.normal(size=(B, C)).astype(np.float32)
MAPS = RANDOM.normal(size=(B, *SHAPE, C)).astype(np.float32)
PIXELS = RANDOM.integers(-1, C, (B, *SHAPE)).astype(np.int32)
RECTANGLE = np.zeros((B, 8, 12), np.float32)
RECTANGLE[:, 2:6, 4:] = 1.0  # Pixels 1 to 2 of 4 and 2 to 5 of 6.
CUT = MixParams(PARTNER, 1 - RECTANGLE.mean((1, 2)), 1 - RECTANGLE)


def labelled(method, loss, outputs, labels, mask=None, params=None):
    """The labelled loss, and its gradient."""
    view = view_key(method.mixed_view)
    params = MixParams(PARTNER, RATIO) if params is None else params
    views = seen(method, 0)._replace(
        labels=jnp.array(labels),
        mask=jnp.ones(B, bool) if mask is None else jnp.array(mask),
        view_params={view: params},
    )

    @jax.jit
    def total(outputs):
        return method.labelled_loss(views._replace(logits={view: outputs}), loss, ())

    return jax.value_and_grad(total)(outputs)


def test_cross_entropy_is_that_of_mixed_labels():
    one_hot = np.eye(C, dtype=np.float32)[CLASSES]
    share = RATIO[:, None]
    mixed = share * one_hot + (1 - share) * one_hot[PARTNER]
    wanted = losses.soft_cross_entropy(LOGITS, mixed).mean()
    found, _ = labelled(SupervisedMix(), losses.cross_entropy, LOGITS, CLASSES)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_squared_error_has_the_gradient_of_mixed_numbers():
    labels = RANDOM.normal(size=(B, C)).astype(np.float32)
    share = RATIO[:, None]
    mixed = share * labels + (1 - share) * labels[PARTNER]
    found, grad = labelled(SupervisedMix(), losses.squared_error, LOGITS, labels)
    np.testing.assert_allclose(grad, 2 * (LOGITS - mixed) / LOGITS.size, rtol=1e-4, atol=1e-6)
    parts = share * (LOGITS - labels) ** 2 + (1 - share) * (LOGITS - labels[PARTNER]) ** 2
    np.testing.assert_allclose(found, parts.mean(), rtol=1e-5)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_missing_label_leaves_the_other_part(kind):
    mask = np.array([True, False, True, True])
    found, _ = labelled(SupervisedMix(kind), losses.cross_entropy, LOGITS, CLASSES, mask)
    own = losses.cross_entropy(LOGITS, jnp.array(CLASSES))
    other = losses.cross_entropy(LOGITS, jnp.array(CLASSES[PARTNER]))
    # By hand: example 1 has no label, and is the partner of example 2.
    weights = np.array([[0.25, 0.0, 1.0, 0.75], [0.75, 0.5, 0.0, 0.25]])
    wanted = (weights * np.stack([own, other])).sum() / weights.sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_no_label_at_all_is_no_loss():
    found, grad = labelled(
        SupervisedMix(), losses.cross_entropy, LOGITS, CLASSES, np.zeros(B, bool)
    )
    assert found == 0.0 and not np.abs(grad).any()


@pytest.mark.parametrize("loss", [losses.cross_entropy, losses.dice_loss])
def test_a_map_of_labels_is_cut_as_the_image(loss):
    # Dice is of the whole map, and here has a label at every pixel.
    labels = PIXELS if loss is losses.cross_entropy else np.abs(PIXELS)
    pasted = labels.copy()
    pasted[:, 1:3, 2:] = labels[PARTNER, 1:3, 2:]
    wanted = np.asarray(loss(jnp.array(MAPS), jnp.array(np.maximum(pasted, 0))))
    wanted = wanted[pasted >= 0].mean() if wanted.ndim > 1 else wanted.mean()
    found, _ = labelled(SupervisedMix("cutmix"), loss, MAPS, labels, params=CUT)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_a_label_of_the_image_is_mixed_by_what_is_visible():
    found, _ = labelled(SupervisedMix("cutmix"), losses.cross_entropy, LOGITS, CLASSES, params=CUT)
    # By hand: 4 x 8 of 8 x 12 pixels are the partner's.
    own, other = (
        losses.cross_entropy(LOGITS, jnp.array(labels)).mean()
        for labels in (CLASSES, CLASSES[PARTNER])
    )
    np.testing.assert_allclose(found, own * 2 / 3 + other / 3, rtol=1e-6)


def test_every_pixel_is_mixed_by_mixup():
    found, _ = labelled(SupervisedMix(), losses.cross_entropy, MAPS, PIXELS)
    parts, weights = [], []
    for labels, share in ((PIXELS, RATIO), (PIXELS[PARTNER], 1 - RATIO)):
        known = labels >= 0
        loss = losses.cross_entropy(jnp.array(MAPS), jnp.array(np.maximum(labels, 0)))
        parts.append((share[:, None, None] * np.where(known, loss, 0)).sum())
        weights.append((share[:, None, None] * known).sum())
    np.testing.assert_allclose(found, sum(parts) / sum(weights), rtol=1e-5)


def test_a_loss_with_settings():
    loss = functools.partial(losses.cross_entropy, label_smoothing=0.1)
    found, _ = labelled(SupervisedMix(), loss, LOGITS, CLASSES)
    plain, _ = labelled(SupervisedMix(), losses.cross_entropy, LOGITS, CLASSES)
    assert found != plain


def test_it_asks_for_labelled_images_alone():
    assert SupervisedMix("cutmix", 0.4).views == (
        MixedView(("labelled",), 0.4, "cutmix", keep_dominant=False),
    )
    assert SupervisedMix().update(seen(SupervisedMix(), 0), ()).loss.tolist() == [0.0]


@pytest.mark.parametrize("wrong", [{"kind": "cut"}, {"alpha": 0.0}])
def test_bad_settings(wrong):
    with pytest.raises(BadInput, match=f"SupervisedMix.{next(iter(wrong))} must"):
        SupervisedMix(**wrong)
