"""Optimizers: schedules and steps against plain formulas, and what decays."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax.config.optimizers import SGD, Adam, Lion, Muon, Optax, add_decayed_weights
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.config.schedules import CosineSchedule, PolynomialSchedule, StepSchedule
from mtl_jax.core.fingerprint import to_source
from mtl_jax.core.validation import BadInput

PARAMS = {"shared": {"Dense_0": {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([3.0])}}}
GRADS = [
    jax.tree.map(lambda leaf, s=scale: s * jnp.cos(leaf), PARAMS) for scale in (1.0, -0.5, 2.0)
]
BIAS, KERNEL = (lambda tree, name=name: np.asarray(tree["shared"]["Dense_0"][name], np.float64)
                for name in ("bias", "kernel"))  # fmt: skip


def walked(optimizer, steps, grads=GRADS):
    """The parameters after each step on some gradients."""
    transform = optimizer.build(steps)

    @jax.jit
    def step(params, state, grads):
        updates, state = transform.update(grads, state, params)
        return jax.tree.map(jnp.add, params, updates), state

    params, state, found = PARAMS, transform.init(PARAMS), []
    for one in grads[:steps]:
        params, state = step(params, state, one)
        found.append(params)
    return found


def test_cosine_follows_fixmatch():
    rate = jax.jit(CosineSchedule(0.03).schedule(80))
    for step in (0, 1, 37, 79, 80, 200):
        expected = 0.03 * math.cos(7 * math.pi * min(step, 80) / (16 * 80))
        np.testing.assert_allclose(rate(step), expected, rtol=1e-5)


def test_cosine_warms_up_and_ends_at_zero():
    rate = CosineSchedule(2.0, cycles=0.5, warmup=3).schedule(11)
    found = [float(rate(step)) for step in range(12)]
    by_hand = [0.5, 1.0, 1.5] + [2.0 * math.cos(math.pi * done / 16) for done in range(9)]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)
    assert abs(found[-1]) < 1e-6


def test_a_warm_up_longer_than_the_run_is_cut():
    rate = CosineSchedule(1.0, warmup=9).schedule(4)
    np.testing.assert_allclose([rate(s) for s in range(4)], [0.1, 0.2, 0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize("power", [0.9, 1.0, 2.0])
def test_polynomial_is_that_of_optax(power):
    with jax.numpy_dtype_promotion("standard"):
        wanted = optax.polynomial_schedule(0.03, 0.0, power, 80)
        wanted = [wanted(step) for step in (0, 1, 37, 79, 80, 200)]
    rate = jax.jit(PolynomialSchedule(0.03, power).schedule(80))
    np.testing.assert_allclose([rate(s) for s in (0, 1, 37, 79, 80, 200)], wanted, rtol=1e-4)


def test_polynomial_warms_up_and_ends_at_zero():
    rate = PolynomialSchedule(2.0, warmup=3).schedule(11)
    found = [float(rate(step)) for step in range(12)]
    by_hand = [0.5, 1.0, 1.5] + [2.0 * (1 - done / 8) ** 0.9 for done in range(9)]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)


def test_heads_have_ten_times_the_rate_at_every_step():
    """As in segmentation: the rate of both falls alike."""
    params = {
        "shared": {"kernel": jnp.zeros(1)},
        "tasks": {"heads": {"a": {"kernel": jnp.zeros(1)}}},
    }
    rules = (ParamRule("tasks/heads/.*", lr_scale=10.0), ParamRule(".*"))
    transform = SGD(PolynomialSchedule(1.0), momentum=0.0).build(4, rules)
    state, found = transform.init(params), []
    for _ in range(4):
        updates, state = transform.update(jax.tree.map(jnp.ones_like, params), state, params)
        found.append([-float(leaf[0]) for leaf in jax.tree.leaves(updates)])
    rates = [(1 - t / 4) ** 0.9 for t in range(4)]
    np.testing.assert_allclose(found, [[r, 10 * r] for r in rates], rtol=1e-5)


def test_steps_halve_the_rate_where_they_say():
    rate = jax.jit(StepSchedule(1e-4).schedule(200))
    found = [float(rate(step)) for step in (0, 99, 100, 199, 300)]
    np.testing.assert_allclose(found, [1e-4, 1e-4, 5e-5, 5e-5, 5e-5], rtol=1e-6)
    several = StepSchedule(0.3, (0.3, 0.75), 0.1).schedule(20)
    optax_rate = optax.piecewise_constant_schedule(0.3, {6: 0.1, 15: 0.1})
    for step in range(20):
        np.testing.assert_allclose(several(step), optax_rate(step), rtol=1e-6)
    np.testing.assert_allclose(StepSchedule(0.2, ()).schedule(5)(4), 0.2, rtol=1e-6)


def test_rates_come_from_the_schedule():
    plain = SGD(CosineSchedule(1.0, cycles=0.5), momentum=0.0)
    found = walked(plain, 3)
    bias = BIAS(PARAMS)
    for step in range(3):
        bias = bias - math.cos(math.pi * 0.5 * step / 3) * BIAS(GRADS[step])
        np.testing.assert_allclose(BIAS(found[step]), bias, rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_sgd_by_its_formula(decay):
    """Nesterov: `m = u m + g; w -= rate (g + u m)`, g with the decay of kernels in it."""
    found = walked(SGD(0.2, momentum=0.9, weight_decay=decay), 3)
    for of, share in ((BIAS, 0.0), (KERNEL, decay)):
        w, m = of(PARAMS), 0.0
        for grads, params in zip(GRADS, found, strict=True):
            g = of(grads) + share * w
            m = 0.9 * m + g
            w = w - 0.2 * (g + 0.9 * m)
            np.testing.assert_allclose(of(params), w, rtol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_by_its_formula(decay):
    found = walked(Adam(0.2, weight_decay=decay), 3)
    for of, share in ((BIAS, 0.0), (KERNEL, decay)):
        w, m, v = of(PARAMS), 0.0, 0.0
        for count, (grads, params) in enumerate(zip(GRADS, found, strict=True), 1):
            g = of(grads)
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            step = (m / (1 - 0.9**count)) / (np.sqrt(v / (1 - 0.999**count)) + 1e-8)
            w = w - 0.2 * (step + share * w)
            np.testing.assert_allclose(of(params), w, rtol=1e-4)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lion_is_that_of_optax_and_decays_kernels(decay):
    found = walked(Lion(0.2, b1=0.8, b2=0.95, weight_decay=decay), 3)
    for of, share in ((BIAS, 0.0), (KERNEL, decay)):
        wanted = walked(
            Optax(optax.lion, learning_rate=0.2, b1=0.8, b2=0.95, weight_decay=share), 3
        )
        np.testing.assert_allclose([of(one) for one in found], [of(one) for one in wanted])


@pytest.mark.parametrize(
    "make",
    [
        lambda **clip: SGD(0.2, **clip),
        lambda **clip: Adam(0.2, **clip),
        lambda **clip: Lion(0.2, **clip),
        lambda **clip: Muon(0.2, **clip),
        lambda **clip: Optax(optax.rmsprop, learning_rate=0.2, **clip),
    ],
    ids=["SGD", "Adam", "Lion", "Muon", "Optax"],
)
def test_a_gradient_that_is_longer_than_the_norm_is_cut_to_it(make):
    """As if the gradients had been cut before; a norm that none exceeds changes nothing."""
    norms = [math.sqrt(sum(np.sum(leaf**2) for leaf in jax.tree.leaves(g))) for g in GRADS]
    assert min(norms) < 1.0 < max(norms)
    cut = [
        jax.tree.map(lambda leaf, n=norm: leaf * min(1.0, 1.0 / n), grads)
        for grads, norm in zip(GRADS, norms, strict=True)
    ]
    for norm, given in ((1.0, cut), (1e3, GRADS)):
        found, wanted = walked(make(clip_norm=norm), 3), walked(make(), 3, given)
        for one, other in zip(*map(jax.tree.leaves, (found, wanted)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4)
    states = [make(**clip).build(3).init(PARAMS) for clip in ({}, {"clip_norm": None})]
    assert jax.tree.structure(states[0]) == jax.tree.structure(states[1])
    assert make(clip_norm=None) == make() != make(clip_norm=1.0)
    assert "clip_norm" not in to_source(make()) and "clip_norm=1.0" in to_source(
        make(clip_norm=1.0)
    )


def test_kernels_are_what_decays():
    leaves = {name: jnp.ones(2) for name in ("kernel", "bias", "scale", "kernels")}
    params = {"tasks": {"heads": {"row": leaves}}}
    none = jax.tree.map(jnp.zeros_like, params)
    moved, _ = add_decayed_weights(0.5, ()).update(none, (), params)
    assert jax.tree.map(lambda leaf: float(leaf[0]), moved)["tasks"]["heads"]["row"] == {
        "kernel": 0.5, "bias": 0.0, "scale": 0.0, "kernels": 0.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: SGD(-0.1), "SGD.learning_rate must be at least 0.0, not -0.1"),
        (lambda: SGD("fast"), "SGD.learning_rate must be a finite number, not 'fast'"),
        (lambda: SGD(0.1, momentum=1.1), "SGD.momentum must lie between 0.0 and 1.0"),
        (lambda: SGD(0.1, weight_decay=-1.0), "SGD.weight_decay must be at least 0.0"),
        (lambda: Adam(math.nan), "Adam.learning_rate must be a finite number, not nan"),
        (lambda: Adam(0.1, weight_decay=-1.0), "Adam.weight_decay must be at least 0.0"),
        (lambda: Adam(0.1, clip_norm=0.0), "Adam.clip_norm must be above 0, not 0.0"),
        (lambda: SGD(0.1, clip_norm=-1.0), "SGD.clip_norm must be at least 0.0, not -1.0"),
        (
            lambda: Optax(optax.sgd, learning_rate=0.1, clip_norm="1"),
            "Optax.clip_norm must be a finite number, not '1'",
        ),
        (lambda: Lion(0.1, b1=1.5), "Lion.b1 must lie between 0.0 and 1.0, not 1.5"),
        (lambda: Muon(0.1, momentum=1.5), "Muon.momentum must lie between 0.0 and 1.0, not 1.5"),
        (lambda: CosineSchedule(-1.0), "CosineSchedule.peak must be at least 0.0"),
        (
            lambda: CosineSchedule(1.0, cycles=0.6),
            "CosineSchedule.cycles must lie between 0.0 and 0.5",
        ),
        (lambda: CosineSchedule(1.0, warmup=-1), "CosineSchedule.warmup must be at least 0"),
        (lambda: PolynomialSchedule(-1.0), "PolynomialSchedule.peak must be at least 0.0"),
        (lambda: PolynomialSchedule(1.0, -1.0), "PolynomialSchedule.power must be at least 0.0"),
        (lambda: StepSchedule(-1.0), "StepSchedule.peak must be at least 0.0"),
        (lambda: StepSchedule(1.0, factor=-0.5), "StepSchedule.factor must be at least 0.0"),
        (
            lambda: StepSchedule(1.0, (0.5, 0.2)),
            "StepSchedule.fractions must ascend between 0 and 1",
        ),
        (lambda: StepSchedule(1.0, (1.0,)), "StepSchedule.fractions must ascend between 0 and 1"),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(BadInput) as wrong:
        make()
    assert said in str(wrong.value)
