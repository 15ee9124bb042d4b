"""SAMO: gradients at perturbed points in numpy, its directions, and other methods around it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, weighting
from mtl_jax.aggregation import MGDA, SAMO, PCGrad, UPGrad, balance
from mtl_jax.aggregation.balance import TaskPullback
from mtl_jax.aggregation.pullback import pullback_only
from mtl_jax.aggregation.samo import estimate_gradient
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.validation import BadInput

HESSIANS = np.array([[[3.0, 1.0], [1.0, 2.0]], [[0.5, -0.4], [-0.4, 4.0]]])
WEIGHTS, BIASES = np.array([1.0, -2.0]), np.array([0.5])
HEADS = {"a": np.array([1.0, 2.0]), "b": np.array([-1.0, 3.0])}
KEY = jax.random.key(3)


def losses(params):
    """`1/2 w H_k w + k b + w (head_k)^2 + b head_k`, two layers shared and a head for each."""
    w, b = params["shared"]["w"], params["shared"]["b"]
    heads = params["tasks"].values()
    found = [
        0.5 * w @ h @ w + (k + 1.0) * b[0] ** 2 + w @ own**2 + b[0] * own.sum()
        for k, (h, own) in enumerate(zip(jnp.array(HESSIANS, jnp.float32), heads, strict=True))
    ]
    return jnp.stack(found)


def gradient(task, w, b, head):
    """The same by hand."""
    shared = HESSIANS[task] @ w + head**2, 2.0 * (task + 1.0) * b + head.sum()
    return *shared, 2.0 * w * head + b[0]


PARAMS = jax.tree.map(
    lambda leaf: jnp.array(leaf, jnp.float32),
    {"shared": {"w": WEIGHTS, "b": BIASES}, "tasks": HEADS},
)


def pullback():
    """The pullbacks at `PARAMS`, and the losses there."""
    values, vjp = jax.vjp(losses, PARAMS)
    own = pullback_only(lambda cotangents: vjp(cotangents)[0], values)
    return values, own._replace(losses_fn=losses, params=PARAMS)


def norm(*arrays):
    return np.sqrt(sum(np.square(array).sum() for array in arrays))


def directions(key):
    """The normal directions of each task, as the method draws them."""
    keys = jax.random.split(fold_in_name(key, "perturbation"), 2)
    return [
        {
            name: np.asarray(jax.random.normal(k, PARAMS["shared"][name].shape))
            for name, k in zip(("b", "w"), jax.random.split(own, 2), strict=True)
        }
        for own in keys
    ]


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_gradients_at_the_points_of_the_paper(beta):
    values, own = pullback()
    rows = jax.jit(lambda: SAMO(beta=beta, rho=0.2).perturb(own, KEY).jacobian())()
    single = [gradient(k, WEIGHTS, BIASES, head) for k, head in enumerate(HEADS.values())]
    mean_w, mean_b = (np.mean([g[place] for g in single], 0) for place in (0, 1))
    for k, (name, head) in enumerate(HEADS.items()):
        u = directions(KEY)[k]
        # A central difference of a quadratic is exact.
        slope = np.sign(single[k][0] @ u["w"] + single[k][1] @ u["b"])
        p_w = (1 - beta) * mean_w + beta * norm(mean_w) * slope * u["w"] / norm(u["w"])
        p_b = (1 - beta) * mean_b + beta * norm(mean_b) * slope * u["b"] / norm(u["b"])
        h = single[k][2]
        wanted = gradient(
            k,
            WEIGHTS + 0.2 * p_w / norm(p_w, p_b),
            BIASES + 0.2 * p_b / norm(p_w, p_b),
            head + 0.2 * h / norm(h),
        )
        np.testing.assert_allclose(rows["shared"]["w"][k], wanted[0], rtol=1e-4)
        np.testing.assert_allclose(rows["shared"]["b"][k], wanted[1], rtol=1e-4)
        np.testing.assert_allclose(rows["tasks"][name], wanted[2], rtol=1e-4)
    assert values.shape == (2,)


def test_the_estimate_is_the_slope_along_its_direction():
    found = estimate_gradient(lambda params: losses(params)[1], PARAMS, 0.01, KEY)
    first, second = jax.random.split(KEY, 2)
    normal = [jax.random.normal(first, (1,)), jax.random.normal(second, (2,))]
    w, b, _ = gradient(1, WEIGHTS, BIASES, HEADS["b"])
    slope = float(b @ normal[0] + w @ normal[1])
    np.testing.assert_allclose(found["b"], slope * normal[0], rtol=1e-3)
    np.testing.assert_allclose(found["w"], slope * normal[1], rtol=1e-3)


@pytest.mark.parametrize(
    "method",
    [weighting.Equal(), weighting.DWA(), UPGrad(), PCGrad(), aggregation.PerLayer(MGDA())],
    ids=str,
)
def test_without_a_radius_it_is_the_wrapped_method(method):
    values, own = pullback()
    wrapped, found = SAMO(method, rho=0.0), []
    for one in (method, wrapped):
        args = (2, PARAMS["shared"]) if one.access == "jacobian" else (2,)
        found.append(balance(one, values, own, one.init(*args), KEY))
    for a, b in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert (wrapped.access, wrapped.uses_post_step) == (method.access, method.uses_post_step)


def test_what_the_wrapped_method_weighs_are_the_perturbed_gradients():
    values, own = pullback()
    method = SAMO(PCGrad(), rho=0.5)
    rows = method.perturb(own, KEY).jacobian()
    wanted, weights = aggregation.aggregate(PCGrad(), rows["shared"], KEY)
    found = balance(method, values, own, (), KEY)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-5)
    np.testing.assert_allclose(found.gradient["shared"]["w"], wanted["w"], rtol=1e-5)
    equal = balance(SAMO(weighting.Equal(), rho=0.5), values, own, (), KEY)
    np.testing.assert_allclose(equal.gradient["shared"]["w"], rows["shared"]["w"].sum(0), rtol=1e-5)


def test_tasks_that_do_not_train_have_no_gradient():
    _, own = pullback()
    masked = own._replace(active_tasks=jnp.array([True, False]))
    found = SAMO().perturb(masked, KEY).vjp(jnp.ones(2))
    assert (np.asarray(found["tasks"]["b"]) == 0).all() and found["tasks"]["a"].any()


def test_what_it_cannot_perturb_is_refused():
    values, own = pullback()
    bare = TaskPullback(own.vjp, own.jacobian)
    with pytest.raises(ValueError, match="needs a TaskPullback with losses_fn and params"):
        balance(SAMO(), values, bare, (), KEY)
    with pytest.raises(BadInput, match="perturbs trained shared parameters, there are none"):
        SAMO().perturb(own._replace(params={**PARAMS, "shared": {}}), KEY)
    with pytest.raises(TypeError, match="aggregate needs an aggregator of gradients, not SAMO"):
        aggregation.aggregate(SAMO(), {"w": jnp.ones((2, 3))}, KEY)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SAMO(rho=-1.0), "SAMO.rho must be at least 0.0"),
        (lambda: SAMO(beta=1.5), "SAMO.beta must lie between 0.0 and 1.0"),
        (lambda: SAMO(epsilon=0.0), "SAMO.epsilon must be above 0, not 0.0"),
        *(
            (lambda one=one: SAMO(one), "SAMO.method must weigh losses or combine the gradients")
            for one in (aggregation.MoDo(), aggregation.AutoLambda(), SAMO())
        ),
        (lambda: aggregation.CRMOGM(SAMO()), "CRMOGM.method must be a weighting of losses or"),
        (lambda: aggregation.PerLayer(SAMO()), "PerLayer.method"),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(BadInput) as wrong:
        make()
    assert said in str(wrong.value)
