"""Message passing: every formula by hand, and what features do not depend on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from tests.nets.through import QUICK

TRUNK = nets.MPNN(width=4, edge_width=5, steps=2, readout_steps=3)
COUNTS = (5, 3, 1)  # Atoms; the last has no neighbor.


def graphs(size):
    """The same graphs with any padding, whose values are not 0."""
    rng = np.random.default_rng(0)
    batch = {
        "atoms": np.full((3, size, 2), 7.0, np.float32),
        "edges": np.full((3, size, size, 3), -9.0, np.float32),
        "mask": np.zeros((3, size), np.float32),
    }
    for n, count in enumerate(COUNTS):
        batch["atoms"][n, :count] = rng.normal(size=(count, 2))
        batch["edges"][n, :count, :count] = rng.normal(size=(count, count, 3))
        batch["mask"][n, :count] = 1.0
    return batch


@functools.cache
def variables():
    """Random biases too, so that every term counts."""
    params = jax.jit(lambda: TRUNK.init(jax.random.key(0), graphs(5), train=False))()
    leaves, tree = jax.tree.flatten(jax.device_get(params))
    rng = np.random.default_rng(1)
    return tree.unflatten(
        [leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]
    )


@functools.cache
def applied():
    return jax.jit(functools.partial(TRUNK.apply, train=False), compiler_options=QUICK)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def dense(p, x):
    return x @ p["kernel"] + p.get("bias", 0.0)


def gru(p, h, x):
    reset, update = (sigmoid(dense(p[f"i{g}"], x) + dense(p[f"h{g}"], h)) for g in "rz")
    new = np.tanh(dense(p["in"], x) + reset * dense(p["hn"], h))
    return (1.0 - update) * new + update * h


def lstm(p, c, h, x):
    i, f, g, o = (dense(p[f"i{g}"], x) + dense(p[f"h{g}"], h) for g in "ifgo")
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return c, sigmoid(o) * np.tanh(c)


def by_hand(atoms, edges):
    """Features of one graph without padding."""
    p, count = jax.tree.map(np.float64, variables()["params"]), len(atoms)
    h, conv = np.maximum(dense(p["embed"], atoms), 0.0), p["conv"]
    units = np.maximum(dense(conv["hidden"], edges), 0.0)
    matrices = (units @ conv["kernel"] + conv["bias"]).reshape(count, count, 4, 4)
    for _ in range(2):
        m = dense(conv["root"], h)
        for i in range(count):
            sent = [h[j] @ matrices[i, j] for j in range(count) if j != i]
            m[i] += np.mean(sent, 0) if sent else 0.0
        h = gru(p["gru"], h, np.maximum(m, 0.0))
    c, q, readout = np.zeros(4), np.zeros(4), np.zeros(8)
    for _ in range(3):
        c, q = lstm(p["readout"]["lstm"], c, q, readout)
        a = np.exp(h @ q)
        readout = np.concatenate([q, a @ h / a.sum()])
    return np.maximum(dense(p["last"], readout), 0.0)


def test_features_by_hand():
    batch = graphs(5)
    got = applied()(variables(), batch)
    wanted = [
        by_hand(batch["atoms"][n, :count], batch["edges"][n, :count, :count])
        for n, count in enumerate(COUNTS)
    ]
    assert np.std(wanted) > 0
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_neither_order_nor_padding_matters():
    batch = graphs(5)
    wanted = applied()(variables(), batch)
    order = np.array([3, 0, 4, 2, 1])
    permuted = {
        "atoms": batch["atoms"][:, order],
        "edges": batch["edges"][:, order][:, :, order],
        "mask": batch["mask"][:, order],
    }
    for other in (permuted, graphs(7)):
        np.testing.assert_allclose(applied()(variables(), other), wanted, rtol=1e-4, atol=1e-5)
    swapped = {**batch, "edges": batch["edges"].swapaxes(1, 2)}
    assert not np.allclose(applied()(variables(), swapped)[0], wanted[0])


def test_gradients_are_finite_and_none_come_from_padding():
    def total(params, batch):
        return TRUNK.apply(params, batch, train=True).sum()

    grads = jax.jit(jax.grad(total, (0, 1)), compiler_options=QUICK)(variables(), graphs(6))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
    assert (grads[1]["atoms"][1, 3:] == 0).all() and (grads[1]["atoms"][1, :3] != 0).any()
    assert (grads[1]["edges"][1, :, 3:] == 0).all() and (grads[1]["edges"][2] == 0).all()


def test_size_of_the_benchmark():
    """That of nash-mtl's network, 616,960, without second biases of GRU (128) and LSTM (256)."""
    shapes = {"atoms": (1, 9, 11), "edges": (1, 9, 9, 5), "mask": (1, 9)}
    batch = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    params = jax.eval_shape(lambda x: nets.MPNN().init(jax.random.key(0), x, train=False), batch)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 616_960 - 128 - 256


def test_other_inputs_are_refused():
    batch = graphs(5)
    for wrong in (
        batch["atoms"],
        {"atoms": batch["atoms"]},
        {**batch, "mask": batch["mask"][:, 1:]},
    ):
        with pytest.raises(BadInput, match=r"MPNN.x must be a dict of atoms \[N, A, F\], edges"):
            TRUNK.init(jax.random.key(0), wrong, train=False)
