"""Sharpness-aware, schedule-free and plateau: by hand, against optax, nested, and refused."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import aggregation, sharing
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.optimizers import (
    SAM,
    SGD,
    Adam,
    CosineSchedule,
    Lion,
    Muon,
    Optax,
    ReduceOnPlateau,
    ScheduleFree,
)
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput
from tests.small import RUN, UNLABELLED

HESSIAN = {"shared": np.diag([3.0, 0.5]), "tasks": np.diag([1.0, 2.0, 0.1])}
START = {"shared": np.array([1.0, -2.0]), "tasks": np.array([0.5, 0.0, 4.0])}
PLAIN = SGD(0.1, momentum=0.0)


def quadratic(params):
    """The gradient of `1/2 w H w`, and where it was taken."""
    return {name: jnp.asarray(HESSIAN[name], jnp.float32) @ w for name, w in params.items()}, params


def walked(optimizer, steps, gradient_fn=quadratic):
    """Parameters after each step, and the points that the passes reported."""
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
    transform = optimizer.build(steps)
    state, found, points = transform.init(params), [], []
    for _ in range(steps):
        gradient, point = optimizer.gradient(gradient_fn, params, state)
        updates, state = transform.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        found.append(params)
        points.append(point)
    return found, points


def same(one, other, rtol=1e-5):
    for a, b in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6)


def test_sam_on_a_quadratic_by_hand():
    """Foret et al., Algorithm 1, in numpy: one norm of all parameters."""
    found, points = walked(SAM(PLAIN, rho=0.3), 4)
    w = START
    for after, point in zip(found, points, strict=True):
        same(point, w)  # What the first pass gives, not the second.
        g = {name: HESSIAN[name] @ w[name] for name in w}
        norm = np.sqrt(sum(np.sum(leaf**2) for leaf in g.values()))
        worst = {name: w[name] + 0.3 * g[name] / norm for name in w}
        w = {name: w[name] - 0.1 * HESSIAN[name] @ worst[name] for name in w}
        same(after, w)


def test_sam_is_that_of_optax():
    """Its opaque mode, which takes the gradient function of one loss."""
    sam = optax.contrib.sam(
        optax.sgd(0.1),
        optax.chain(optax.contrib.normalize(), optax.sgd(0.3)),
        sync_period=2,
        opaque_mode=True,
    )
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
    with jax.numpy_dtype_promotion("standard"):
        state = sam.init(params)
        for after in walked(SAM(PLAIN, rho=0.3), 4)[0]:
            grads, _ = quadratic(params)
            updates, state = sam.update(grads, state, params, grad_fn=lambda p, _: quadratic(p)[0])
            params = optax.apply_updates(params, updates)
            same(after, params)


def test_sam_without_a_gradient_or_a_radius_is_the_wrapped_optimizer():
    still = lambda params: (jax.tree.map(jnp.zeros_like, params), None)
    same(walked(SAM(PLAIN), 2, still)[0][-1], START)
    same(walked(SAM(Adam(0.1), rho=0.0), 3)[0], walked(Adam(0.1), 3)[0])


def test_schedule_free_by_hand():
    """Defazio et al.: gradients at y, the average x with equal weights at a constant rate."""
    found, points = walked(ScheduleFree(PLAIN, b1=0.8), 4)
    x = z = START
    for count, (after, point) in enumerate(zip(found, points, strict=True), 1):
        y = {name: 0.2 * z[name] + 0.8 * x[name] for name in x}
        same(point, y)
        z = {name: z[name] - 0.1 * HESSIAN[name] @ y[name] for name in x}
        x = {name: (1 - 1 / count) * x[name] + z[name] / count for name in x}
        same(after, x)


@pytest.mark.parametrize("power", [0.0, 2.0])
def test_schedule_free_evaluates_what_optax_evaluates(power):
    rate = CosineSchedule(0.1, cycles=0.0, warmup=3)
    inner = Optax(optax.adamw, learning_rate=rate, b1=0.0, weight_decay=0.1)
    found, _ = walked(ScheduleFree(inner, weight_lr_power=power), 5)
    with jax.numpy_dtype_promotion("standard"):
        adam = optax.adamw(rate.schedule(5), b1=0.0, weight_decay=0.1)
        free = optax.contrib.schedule_free(adam, rate.schedule(5), weight_lr_power=power)
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), START)
        state = free.init(params)
        for after in found:
            updates, state = free.update(quadratic(params)[0], state, params)
            params = optax.apply_updates(params, updates)
            same(after, optax.contrib.schedule_free_eval_params(state, params), 1e-4)


def test_a_sharpness_aware_step_at_the_point_of_schedule_free():
    """In either order the gradient is at y + rho g(y) / ||g(y)||."""
    first, points = walked(SAM(ScheduleFree(PLAIN), rho=0.3), 4)
    second, others = walked(ScheduleFree(SAM(PLAIN, rho=0.3)), 4)
    same((first, points), (second, others))
    plain, _ = walked(ScheduleFree(PLAIN), 4)
    assert not np.allclose(first[-1]["tasks"], plain[-1]["tasks"])


def test_plateaus_are_those_of_optax():
    values = [5.0, 4.0, 4.0, 4.5, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 2.0]
    ours = ReduceOnPlateau(PLAIN, factor=0.5, patience=2, min_scale=0.2)
    theirs = optax.contrib.reduce_on_plateau(0.5, 2, rtol=1e-9, min_scale=0.2)
    params = {"w": jnp.ones(1)}
    transform = ours.build(1)
    state, wanted, best, scales = transform.init(params), theirs.init(params), np.inf, []
    for value in values:
        state = jax.jit(ours.observe)(state, jnp.asarray(value < best))
        best = min(best, value)
        with jax.numpy_dtype_promotion("standard"):
            scaled, wanted = theirs.update(params, wanted, value=value)
        updates, state = transform.update(params, state, params)
        np.testing.assert_allclose(updates["w"], -0.1 * scaled["w"], rtol=1e-6)
        scales.append(float(state.scale))
    wanted = [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2, 0.2]
    np.testing.assert_allclose(scales, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [SAM(ReduceOnPlateau(PLAIN, patience=1)), ReduceOnPlateau(SAM(PLAIN), patience=1)],
    ids=["outside", "inside"],
)
def test_a_plateau_reaches_through_other_wrappers(optimizer):
    transform, params = optimizer.build(1), {"w": jnp.ones(1)}
    state = optimizer.observe(transform.init(params), jnp.asarray(False))
    updates, _ = transform.update(params, state, params)
    np.testing.assert_allclose(updates["w"], -0.01, rtol=1e-6)
    assert optimizer.observes_validation and optimizer.learning_rate is None


def test_texts():
    nested = SAM(ScheduleFree(Optax(optax.rmsprop, learning_rate=0.1)), rho=0.1)
    assert to_source(nested) == (
        "SAM(optimizer=ScheduleFree(optimizer=Optax(optax.rmsprop, learning_rate=0.1), b1=0.9, "
        "weight_lr_power=2.0), rho=0.1)"
    )
    assert (nested.learning_rate, nested.momentum, SAM(Adam(0.1)).momentum) == (0.1, 0.0, 0.9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SAM(PLAIN, rho=-0.1), "SAM.rho must be at least 0.0, not -0.1"),
        (lambda: SAM(0.1), "SAM.optimizer must be an Optimizer, not 0.1"),
        (lambda: ScheduleFree(PLAIN, b1=0.0), "ScheduleFree.b1 must be above 0, not 0.0"),
        *(
            (
                lambda inner=inner: ScheduleFree(inner),
                "ScheduleFree.optimizer must have no momentum, such as SGD(rate, momentum=0.0)",
            )
            for inner in (SGD(0.1), Adam(0.1), Lion(0.1), Muon(0.1))
        ),
        (lambda: ScheduleFree(Optax(optax.adamw, learning_rate=0.1)), "must have no momentum"),
        (
            lambda: ScheduleFree(
                Optax(optax.apply_if_finite, inner=PLAIN, max_consecutive_errors=2)
            ),
            "ScheduleFree.optimizer must have a learning_rate",
        ),
        (lambda: ScheduleFree(ReduceOnPlateau(PLAIN)), "must have a learning_rate"),
        (lambda: ReduceOnPlateau(PLAIN, factor=1.5), "ReduceOnPlateau.factor must lie between"),
        (lambda: ReduceOnPlateau(PLAIN, patience=0), "ReduceOnPlateau.patience must be at least 1"),
        (
            lambda: RUN.replace(
                optimizer=ScheduleFree(PLAIN),
                regularization={"proximal": (sharing.TraceNorm(0.1),)},
            ),
            "Run.regularization.proximal must be empty with ScheduleFree",
        ),
        (
            lambda: RUN.replace(
                optimizer=SAM(ReduceOnPlateau(PLAIN)), evaluation={"selection": "last"}
            ),
            "Run.evaluation.selection must be by validation with ReduceOnPlateau, not 'last'",
        ),
        (
            lambda: UNLABELLED.replace(
                optimizer=ReduceOnPlateau(PLAIN), extensions=(MetaPseudoLabels(),)
            ),
            "Run.extensions with ReduceOnPlateau must have no model of their own",
        ),
        (
            lambda: RUN.replace(optimizer=ReduceOnPlateau(PLAIN), balance=aggregation.AutoLambda()),
            "Run.optimizer with balance must have a learning_rate",
        ),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(BadInput) as wrong:
        make()
    assert said in str(wrong.value) and "\n" not in str(wrong.value)
