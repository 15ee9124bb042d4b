"""Muon: its iterations in numpy, which parameters it takes, and Adam for the rest."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import nets, train
from mtl_jax.config.muon import Muon, matrix_axes
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.tree import leaves_by_path
from tests.small import RUN

RNG = np.random.default_rng(0)
SHAPES = {
    "shared": {"Dense_0": {"kernel": (3, 5), "bias": (5,)}, "embed": {"embedding": (7, 3)}},
    "tasks": {
        "heads": {"a": {"kernel": (5, 2)}},
        "trunk": {"Conv_0": {"kernel": (2, 3, 3, 1, 4)}},
    },
}


def tree():
    """Random parameters or gradients."""
    return jax.tree.map(
        lambda shape: jnp.array(RNG.normal(size=shape), jnp.float32),
        SHAPES,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )


PARAMS, GRADS = tree(), [tree() for _ in range(3)]


def walked(transform):
    """Parameters after each step on the gradients, as a list of leaves by path."""
    params, state, found = PARAMS, transform.init(PARAMS), []
    for grads in GRADS:
        updates, state = transform.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        found.append({path: np.asarray(leaf) for path, leaf in leaves_by_path(params).items()})
    return found


def orthogonalized(matrix):
    """Five iterations of the quintic polynomial, of the wide side (Jordan et al.)."""
    x = matrix / (np.linalg.norm(matrix) + 1e-8)
    x = x.T if (tall := x.shape[0] > x.shape[1]) else x
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if tall else x


def test_a_kernel_takes_the_steps_of_the_paper():
    """`m = u m + (1 - u) g` and Nesterov's look ahead, bias-corrected as in optax."""
    found = walked(Muon(0.1, momentum=0.9, weight_decay=0.3).build(3))
    path = "shared/Dense_0/kernel"
    w, m = np.asarray(leaves_by_path(PARAMS)[path], np.float64), 0.0
    for count, (grads, after) in enumerate(zip(GRADS, found, strict=True), 1):
        g = np.asarray(leaves_by_path(grads)[path], np.float64)
        m = 0.9 * m + 0.1 * g
        ahead = 0.9 * m / (1 - 0.9 ** (count + 1)) + 0.1 * g / (1 - 0.9**count)
        w = w - 0.1 * (0.2 * np.sqrt(5) * orthogonalized(ahead) + 0.3 * w)
        np.testing.assert_allclose(after[path], w, atol=2e-3)


def test_other_parameters_take_the_steps_of_nesterov_adam_with_decay_of_kernels():
    found, wanted = walked(Muon(0.1).build(3)), None
    with jax.numpy_dtype_promotion("standard"):
        wanted = walked(optax.nadam(0.1))
    for path in ("shared/Dense_0/bias", "shared/embed/embedding", "tasks/heads/a/kernel"):
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one[path], other[path], rtol=1e-5)
    decayed = walked(Muon(0.1, weight_decay=0.5).build(3))[0]
    assert np.array_equal(decayed["shared/Dense_0/bias"], found[0]["shared/Dense_0/bias"])
    head = decayed["tasks/heads/a/kernel"] - found[0]["tasks/heads/a/kernel"]
    np.testing.assert_allclose(head, -0.05 * PARAMS["tasks"]["heads"]["a"]["kernel"], atol=1e-6)


def test_the_trunks_of_tasks_are_made_orthogonal_each_by_itself():
    path = "tasks/trunk/Conv_0/kernel"
    step = walked(Muon(1.0).build(3))[0][path] - np.asarray(leaves_by_path(PARAMS)[path])
    grads = np.asarray(leaves_by_path(GRADS[0])[path], np.float64)
    for own, gradient in zip(step, grads, strict=True):
        wanted = -0.2 * np.sqrt(9) * orthogonalized(gradient.reshape(9, 4))
        np.testing.assert_allclose(own.reshape(9, 4), wanted, atol=2e-3)


def test_rules_scale_and_freeze():
    rules = (
        ParamRule("shared/embed/.*", frozen=True),
        ParamRule("shared/.*", lr_scale=0.5, weight_decay_scale=0.0),
        ParamRule(".*"),
    )
    transform, plain = Muon(0.1, weight_decay=0.5).build(3, rules), Muon(0.1).build(3)
    some = {**PARAMS, "shared": {**PARAMS["shared"], "embed": {"embedding": None}}}
    grads = {**GRADS[0], "shared": {**GRADS[0]["shared"], "embed": {"embedding": None}}}
    updates, _ = transform.update(grads, transform.init(some), some)
    wanted, _ = plain.update(GRADS[0], plain.init(PARAMS), PARAMS)
    assert updates["shared"]["embed"] == {"embedding": None}
    kernel, half = updates["shared"]["Dense_0"], wanted["shared"]["Dense_0"]
    np.testing.assert_allclose(kernel["kernel"], 0.5 * half["kernel"], rtol=1e-5)


@pytest.mark.parametrize(
    ("trunk", "matrices"),
    [
        (
            nets.ViT(patch=3, width=4, depth=1, heads=2),
            {
                "patches/kernel": ((-4, -3, -2), (-1,)),
                "block0/attention/query/kernel": ((-3,), (-2, -1)),
                "block0/attention/key/kernel": ((-3,), (-2, -1)),
                "block0/attention/value/kernel": ((-3,), (-2, -1)),
                "block0/attention/out/kernel": ((-3, -2), (-1,)),
                "block0/mlp_in/kernel": ((-2,), (-1,)),
                "block0/mlp_out/kernel": ((-2,), (-1,)),
            },
        ),
        (nets.PerTaskTrunk(nets.MLP((4,))), {"Dense_0/kernel": ((-2,), (-1,))}),
    ],
    ids=["ViT", "PerTaskTrunk"],
)
def test_which_parameters_are_matrices(trunk, matrices):
    model = train.build_model(RUN.replace(trunk=trunk))
    params, _ = jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((2, 6, 6, 1))))
    axes = matrix_axes(params)
    is_axes = lambda leaf: isinstance(leaf, optax.contrib.MuonDimensionNumbers)
    found = {
        "/".join(key.key for key in path): tuple(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(axes, is_leaf=is_axes)
    }
    top = "tasks/trunk" if isinstance(trunk, nets.PerTaskTrunk) else "shared"
    assert found == {f"{top}/{name}": axes for name, axes in matrices.items()}
