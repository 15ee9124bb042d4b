"""Domain-adversarial loss: value by hand, its chance level, and what reversal makes of it."""

from math import log

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import domain_adversarial, reverse_gradient
from tests.domain_adaptation.clouds import clouds, gap
from tests.domain_adaptation.sights import FEATURES, heads_of, loss_of, slopes


def test_value(variant):
    loss = variant(domain_adversarial)(jnp.array([0.0, log(3.0)]), jnp.array([0.0]))
    np.testing.assert_allclose(loss, ((log(2) + log(4 / 3)) / 2 + log(2)) / 2, rtol=1e-6)  # by hand


def test_a_domain_has_half_the_weight_whatever_its_size():
    source, target = jnp.array([1.0]), jnp.array([2.0])
    f = jax.jit(domain_adversarial)
    np.testing.assert_allclose(f(jnp.tile(source, 7), target), f(source, target), rtol=1e-6)


def test_nothing_told_apart_costs_log_2():
    np.testing.assert_allclose(domain_adversarial(jnp.zeros((3, 1)), jnp.zeros(5)), log(2.0))


def test_huge_logits_are_no_trouble():
    wrong = jnp.array([-1e30]), jnp.array([1e30])
    loss, grads = jax.jit(jax.value_and_grad(domain_adversarial, (0, 1)))(*wrong)
    np.testing.assert_allclose(loss, 1e30, rtol=1e-6)
    np.testing.assert_allclose(grads, [[-0.5], [0.5]])


def test_one_descent_trains_the_discriminator_and_aligns_features():
    source, target = clouds(shift=2.0)

    def loss(both, direction):
        a, b = (reverse_gradient(x, 1.0) @ direction for x in both)
        return domain_adversarial(a, b)

    def step(_, now):
        both, direction = now
        down, turn = jax.grad(loss, (0, 1))(both, direction)
        return jax.tree.map(lambda x, g: x - 4.0 * g, both, down), direction - 0.5 * turn

    start = (source, target), jnp.zeros(3)
    (near, far), _ = jax.jit(lambda start: jax.lax.fori_loop(0, 40, step, start))(start)
    assert gap(near, far) < 0.5 * gap(source, target)
    first = jax.jit(jax.grad(loss, 1))(start[0], start[1])
    assert (first > 0).all()  # The target lies above: the source is told by a negative direction.


@pytest.mark.parametrize(
    ("source", "text"), [(jnp.zeros(0), r"not source \(0,\)"), (jnp.zeros(2, int), "needs floats")]
)
def test_what_does_not_fit_is_refused(source, text):
    with pytest.raises(ValueError, match=f"domain_adversarial .*{text}"):
        domain_adversarial(source, jnp.zeros(2))


def test_reversal_begins_at_nothing():
    features, heads = slopes(domain_adaptation.DANN(), progress=0.0)
    assert not np.abs(features["weak"]).any() and np.abs(heads["domain"]).max() > 0


def test_bsp_is_added():
    heads = heads_of(domain_adaptation.DANN())
    more = loss_of(domain_adaptation.DANN(spectral=0.1), FEATURES, heads)
    penalty = sum(domain_adaptation.spectral_penalty(FEATURES[v]) for v in ("labelled", "weak"))
    np.testing.assert_allclose(
        more - loss_of(domain_adaptation.DANN(), FEATURES, heads), 0.1 * penalty, rtol=1e-4
    )
