"""CoMatch: its loss from the formula, what the memory holds, and where gradients flow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.consistency import CoMatch, ProjectionHead
from mtl_jax.consistency.comatch import similarity_graph
from mtl_jax.consistency.memory_bank import enqueue, init_memory
from mtl_jax.core.aux_inputs import DatasetSizes
from tests.consistency.seen import B, C, N, U, seen

METHOD = CoMatch(threshold=0.6, memory=2 * (B + U), edge=0.3, projection=ProjectionHead(5))
SIZES = DatasetSizes(C, N, N)

update = jax.jit(CoMatch.update, static_argnums=0)


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
    """By hand: losses of each batch, and the rows of the memory in their order."""
    means, embeddings, guesses, losses = [], [], [], []
    for seed in seeds:
        views = seen(METHOD, seed)
        z = {name: sphere(v) for name, v in views.heads["projection"].items()}
        own = softmax(views.logits["weak"])
        means.append(own.mean(0))
        own = own / (np.mean(means, 0) + 1e-6)
        own = own / own.sum(1, keepdims=True)
        q = own
        if len(guesses) == 2:
            near = softmax(z["weak"] @ np.concatenate(embeddings).T / 0.2)
            q = 0.9 * own + 0.1 * near @ np.concatenate(guesses)
        w = q @ q.T
        np.fill_diagonal(w, 1.0)
        w = np.where(w >= 0.3, w, 0.0)
        w = w / w.sum(1, keepdims=True)
        follow = (q.max(1) >= 0.6) * -(q * np.log(softmax(views.logits["strong"]))).sum(1)
        graph = np.log(softmax(z["strong"] @ z["strong2"].T / 0.2))
        losses.append(follow - (w * graph).sum(1))
        embeddings = [*embeddings, np.concatenate([z["weak"], z["labelled"]])][-2:]
        guesses = [*guesses, np.concatenate([own, np.eye(C)[views.labels]])][-2:]
    return losses, embeddings, guesses


def test_four_steps_by_hand():
    state = METHOD.init(SIZES)
    losses, embeddings, guesses = followed(range(4))
    for seed, wanted in enumerate(losses):
        loss, state, metrics = update(METHOD, seen(METHOD, seed), state)
        np.testing.assert_allclose(loss, wanted, rtol=2e-4)
        assert 0.0 < metrics["mask_rate"] < 1.0
    np.testing.assert_allclose(state.memory.embeddings, np.concatenate(embeddings), atol=1e-5)
    np.testing.assert_allclose(state.memory.probs, np.concatenate(guesses), atol=1e-5)
    assert state.memory.next_row == 0 and state.memory.full


def test_smoothing_waits_until_the_memory_is_full():
    bare = CoMatch(**{**vars(METHOD), "smoothing": 1.0})
    for steps, same in ((0, True), (1, True), (2, False)):
        state = after(steps)
        smooth, plain = (update(m, seen(METHOD, 9), state)[0] for m in (METHOD, bare))
        assert np.array_equal(smooth, plain) == same


def test_a_missing_label_takes_no_row():
    views = seen(METHOD, 0)._replace(mask=np.array([True, False, True, False]))
    views = views._replace(labels=np.where(views.mask, views.labels, -1).astype(np.int32))
    memory = update(METHOD, views, METHOD.init(SIZES))[1].memory
    assert memory.next_row == memory.num_filled == U + 2
    rows = sphere(views.heads["projection"]["labelled"])[[0, 2]]
    np.testing.assert_allclose(memory.embeddings[U : U + 2], rows, atol=1e-6)
    assert not memory.embeddings[U + 2 :].any()


@pytest.mark.slow
def test_the_ring_begins_anew_and_keeps_the_last_of_too_many():
    def numbered(first, count):
        return jnp.arange(first, first + count, dtype=float)[:, None]

    ring = init_memory(5, 1, 1)
    for first, count in ((1, 3), (4, 4)):
        rows = numbered(first, count)
        ring = enqueue(ring, rows, rows, jnp.ones(count, bool))
    np.testing.assert_array_equal(ring.probs[:, 0], [6, 7, 3, 4, 5])  # by hand
    rows = numbered(8, 7)
    ring = jax.jit(enqueue)(ring, rows, rows, rows[:, 0] != 13.0)
    # Six come from place 2 on, so the last is in the place of the first, 8.
    np.testing.assert_array_equal(ring.probs[:, 0], [11, 12, 14, 9, 10])  # by hand
    assert ring.next_row == 3 and ring.num_filled == 5


def test_graph_by_hand():
    graph = similarity_graph(jnp.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), 0.8)
    wanted = [[1 / 1.9, 0.9 / 1.9, 0.0], [0.9 / 1.9, 1 / 1.9, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_allclose(graph, wanted, rtol=1e-6)  # by hand


def test_gradients_flow_into_both_strong_views_only():
    views, state = seen(METHOD, 5, sure=True), after(2)

    def total(logits, heads):
        return METHOD.update(views._replace(logits=logits, heads=heads), state)[0].sum()

    logits, heads = jax.jit(jax.grad(total, (0, 1)))(views.logits, views.heads)
    reached = {name for name, grad in logits.items() if np.abs(grad).sum() > 0}
    assert reached == {"strong"}
    reached = {n for n, grad in heads["projection"].items() if np.abs(grad).sum() > 0}
    assert reached == {"strong", "strong2"}


def test_several_projectors_are_one_mean():
    method = CoMatch(projection=ProjectionHead(5, count=3))
    assert list(method.aux_heads(C)) == ["projection", "projection2", "projection3"]
    views = seen(method, 0)
    wanted = sphere(sum(views.heads[name]["weak"] for name in method.aux_heads(C)) / 3)
    np.testing.assert_allclose(method.projection(views, "weak"), wanted, rtol=1e-4, atol=1e-6)


def test_an_embedding_of_zero_is_no_trouble():
    views = seen(METHOD, 0)
    zeros = {"projection": {name: 0.0 * v for name, v in views.heads["projection"].items()}}

    def total(heads):
        return METHOD.update(views._replace(heads=heads), METHOD.init(SIZES))[0].sum()

    value, grad = jax.jit(jax.value_and_grad(total))(zeros)
    assert np.isfinite(value) and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad))
