"""CRMatch: its three terms from the formula, what it asks for, and where gradients flow."""

import dataclasses

import jax
import numpy as np

from mtl_jax.consistency import CRMatch, FixMatch, FreeMatch, Match
from mtl_jax.consistency.crmatch import ROTATED
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.views import view_key
from tests.consistency.seen import C, N, U, seen

METHOD = CRMatch(FixMatch(threshold=0.7), distance=2.0, rotation=0.5, size=6)
SIZES = DatasetSizes(C, N, N)

update = jax.jit(CRMatch.update, static_argnums=0)


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_the_three_terms_by_hand():
    views = seen(METHOD, 0)
    loss, _, metrics = update(METHOD, views, METHOD.init(SIZES))
    q, p = softmax(views.logits["weak"]), softmax(views.logits["strong"])
    mask = q.max(1) >= 0.7
    one, two = (views.heads["distance"][name] for name in ("weak", "strong"))
    cosine = (one * two).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(two, axis=1)
    assert 0 < mask.sum() < U and (cosine < 0).any() and (mask & (cosine > 0)).any()
    turned = softmax(views.heads["rotation"][view_key(ROTATED)])
    turned = -np.log(turned[np.arange(U), views.view_params[view_key(ROTATED)]])
    label = -np.log(p[np.arange(U), q.argmax(1)])
    wanted = mask * (label + 2.0 * np.maximum(cosine, 0.0)) + 0.5 * turned
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)
    np.testing.assert_allclose(metrics["cosine"], cosine.mean(), rtol=1e-4)
    np.testing.assert_allclose(metrics["rotation"], turned.mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["mask_rate"], mask.mean(), rtol=1e-6)


def test_no_rotation_asks_for_none():
    method = CRMatch(rotation=0.0)
    assert method.views == ("weak", "strong") and set(method.aux_heads(C)) == {"distance"}
    assert set(CRMatch().aux_heads(C)) == {"distance", "rotation"}
    loss, _, metrics = update(method, seen(method, 0), method.init(SIZES))
    assert np.isfinite(loss).all() and "rotation" not in metrics


def test_without_its_terms_it_is_the_match():
    method = CRMatch(FreeMatch(fairness=0.1), distance=0.0, rotation=0.0)
    views, state = seen(method, 0), method.init(SIZES)
    one, two = update(method, views, state), jax.jit(Match.update, static_argnums=0)(
        method.match, views, state
    )  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, one[:2], two[:2])


def test_gradients_flow_into_both_features_and_the_learner():
    views = seen(METHOD, 0)

    def total(logits, heads):
        now = views._replace(logits=logits, heads=heads)
        return METHOD.update(now, METHOD.init(SIZES))[0].sum()

    def reached(grads):
        return {name for name, grad in grads.items() if np.abs(grad).sum() > 0}

    logits, heads = jax.jit(jax.grad(total, (0, 1)))(views.logits, views.heads)
    assert reached(logits) == {"strong"}
    assert reached(heads["distance"]) == {"weak", "strong"}
    assert reached(heads["rotation"]) == {view_key(ROTATED)}


def test_a_step_moves_the_features_apart():
    views = seen(dataclasses.replace(METHOD, rotation=0.0), 0, sure=True)
    method = dataclasses.replace(METHOD, rotation=0.0)

    def total(strong):
        heads = {"distance": {**views.heads["distance"], "strong": strong}}
        loss, _, metrics = method.update(views._replace(heads=heads), method.init(SIZES))
        return loss.sum(), metrics["cosine"]

    one = views.heads["distance"]["weak"] + 0.5
    (_, before), grad = jax.jit(jax.value_and_grad(total, has_aux=True))(one)
    _, after = total(one - 0.1 * grad)
    assert after < before
