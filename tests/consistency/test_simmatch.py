"""SimMatch: its loss from the formula, the bank over several steps, and where gradients flow."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import ProjectionHead, SimMatch
from mtl_jax.consistency.scatter import rows_of
from mtl_jax.consistency.simmatch import TEACHER
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.views import view_key
from tests.consistency.seen import B, C, N, U, seen

METHOD = SimMatch(threshold=0.6, smoothing=0.7, instance=2.0, projection=ProjectionHead(5))
SIZES = DatasetSizes(C, N, N)

update = jax.jit(SimMatch.update, static_argnums=0)


def after(steps, method=METHOD):
    """The state after some batches."""
    state = method.init(SIZES)
    for seed in range(steps):
        state = update(method, seen(method, seed), state)[1]
    return state


def softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sphere(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def followed(seeds):
    """By hand: losses of each batch, and the bank `{index: (embedding, class)}`."""
    means, bank, losses = [], {}, []
    for seed in seeds:
        views = seen(METHOD, seed)
        z = {name: sphere(v) for name, v in views.heads["projection"].items()}
        p = softmax(views.logits["weak"])
        means.append(p.mean(0))
        p = p / (np.mean(means, 0) + 1e-6)
        p = p / p.sum(1, keepdims=True)
        q, second = p, 0.0
        if bank:
            rows, classes = (np.array(part) for part in zip(*bank.values(), strict=True))
            s = softmax(z["weak"] @ rows.T / 0.1)
            q = 0.7 * p + 0.3 * s @ np.eye(C)[classes]
            r = s * p[:, classes]
            r = r / r.sum(1, keepdims=True)
            second = -(r * np.log(softmax(z["strong"] @ rows.T / 0.1))).sum(1)
        first = (q.max(1) >= 0.6) * -(q * np.log(softmax(views.logits["strong"]))).sum(1)
        losses.append(first + 2.0 * second)
        for place, new, label in zip(
            views.labelled_index, z["labelled"], views.labels, strict=True
        ):
            old = bank[place][0] if place in bank else new
            bank[place] = (sphere(0.7 * old + 0.3 * new), label)
    return losses, bank


def test_five_steps_by_hand():
    state = METHOD.init(SIZES)
    losses, bank = followed(range(5))
    assert len(bank) < 5 * B  # Some came twice.
    for seed, wanted in enumerate(losses):
        loss, state, metrics = update(METHOD, seen(METHOD, seed), state)
        np.testing.assert_allclose(loss, wanted, rtol=5e-4)
        assert 0.0 < metrics["mask_rate"] < 1.0
    for place in range(N):
        embedding, label = bank.get(place, (np.zeros(5), -1))
        np.testing.assert_allclose(state.bank.embeddings[place], embedding, atol=1e-5)
        assert state.bank.label[place] == label


def test_the_temperature_changes_the_loss():
    state = after(2)
    warm = dataclasses.replace(METHOD, temperature=1.0)
    losses = [update(method, seen(METHOD, 9), state)[0] for method in (METHOD, warm)]
    assert not np.allclose(*losses)


def test_a_missing_label_does_not_enter_the_bank():
    views = seen(METHOD, 0)
    views = views._replace(mask=np.arange(B) < 1, labels=np.where(np.arange(B) < 1, 2, -1))
    bank = update(METHOD, views, METHOD.init(SIZES))[1].bank
    np.testing.assert_array_equal(np.flatnonzero(bank.label >= 0), views.labelled_index[:1])


def test_of_an_example_twice_in_a_batch_the_later_counts():
    views = seen(METHOD, 0)._replace(labelled_index=np.array([3, 7, 3, 3]))
    views = views._replace(mask=np.array([True, True, True, False]))
    bank = update(METHOD, views, METHOD.init(SIZES))[1].bank
    wanted = sphere(views.heads["projection"]["labelled"])[2]
    np.testing.assert_allclose(bank.embeddings[3], wanted, atol=1e-6)
    np.testing.assert_array_equal(
        rows_of(views.labelled_index, jnp.asarray(views.mask), N), [N, 7, 3, N]
    )  # by hand


def test_a_class_that_is_impossible_leaves_no_nan():
    """Every product of similarity and probability is 0 in float32."""
    views = seen(METHOD, 0)
    state = after(1)
    state = state._replace(bank=state.bank._replace(label=jnp.where(state.bank.label < 0, -1, 2)))
    sure = np.full((U, C), -500.0, np.float32)
    sure[:, 0] = 500.0
    views = views._replace(logits={**views.logits, "weak": sure})

    def total(heads):
        return METHOD.update(views._replace(heads=heads), state)[0].sum()

    value, grad = jax.jit(jax.value_and_grad(total))(views.heads)
    assert np.isfinite(value) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad))


@pytest.mark.parametrize("model", ["student", "teacher"])
def test_gradients_flow_into_the_strong_view_only(model):
    method = dataclasses.replace(METHOD, target_model=model)
    views, state = seen(method, 5, sure=True), after(2, method)

    def total(logits, heads):
        return method.update(views._replace(logits=logits, heads=heads), state)[0].sum()

    logits, heads = jax.jit(jax.grad(total, (0, 1)))(views.logits, views.heads)
    for grads in (logits, heads["projection"]):
        assert {name for name, grad in grads.items() if np.abs(grad).sum() > 0} == {"strong"}


def test_the_teacher_says_the_same_of_the_same_outputs():
    plain = seen(METHOD, 0)

    def joined(outputs):
        both = np.concatenate([outputs["labelled"], outputs["weak"]])
        return {view_key(TEACHER): both, "strong": outputs["strong"]}

    heads = {"projection": joined(plain.heads["projection"])}
    other = plain._replace(logits=joined(plain.logits), heads=heads)
    taught = dataclasses.replace(METHOD, target_model="teacher")
    one, two = (update(m, v, after(1)) for m, v in ((METHOD, plain), (taught, other)))
    jax.tree.map(np.testing.assert_array_equal, one, two)
