"""What every loss of alignment keeps: dtype, seeds side by side, finite gradients, NaN is seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.domain_adaptation import FixedGaussians

LABELS = jnp.array([0, 1, 2, 0])


def conditional(source, target):
    weights = domain_adaptation.entropy_weights(jnp.concatenate([source, target]))
    return domain_adaptation.conditional_adversarial(
        source[:, 0], target[:, 0], weights[:4], weights[4:]
    )


def penalised(source, target):
    return (
        domain_adaptation.self_penalty(source, jnp.float32(2.0), jnp.float32(2.0))[0].sum()
        + target.sum()
    )


# Each a scalar of two batches [4, 3], features or logits.
LOSSES = {
    "afn": lambda s, t: domain_adaptation.stepwise_feature_norm(jnp.concatenate([s, t])).sum(),
    "bidirectional": lambda s, t: domain_adaptation.bidirectional_matching(s, t, 0.0 * t.sum())[
        0
    ].sum(),
    "bsp": lambda s, t: (
        domain_adaptation.spectral_penalty(s) + domain_adaptation.spectral_penalty(t)
    ),
    "cdan": conditional,
    "class_balance": lambda s, t: domain_adaptation.class_balance(jnp.concatenate([s, t])),
    "coral": domain_adaptation.coral,
    "coral_with_means": domain_adaptation.coral_with_means,
    "dann": domain_adaptation.domain_adversarial,
    "fixed_mix": lambda s, t: domain_adaptation.fixed_ratio_mixup_loss(
        s + t, LABELS, LABELS[::-1], ratio=0.7
    ).sum(),
    "jan": lambda s, t: domain_adaptation.joint_mmd((s,), (t,), kernels=(FixedGaussians(),)),
    "map": lambda s, t: domain_adaptation.conditional_map(s, t).sum(),
    "mcc": lambda s, t: domain_adaptation.class_confusion(jnp.concatenate([s, t])),
    "mcd": lambda s, t: domain_adaptation.classifier_discrepancy(s, t).sum(),
    "mdd": lambda s, t: domain_adaptation.margin_disparity(s, t, s, t),
    "mmd": domain_adaptation.multi_kernel_mmd,
    "mmd_linear": lambda s, t: domain_adaptation.multi_kernel_mmd(s, t, linear=True),
    "self_penalty": penalised,
    "space_consistency": lambda s, t: domain_adaptation.space_consistency(s, t).sum(),
}
# Seeds: a common batch, two of equal points, zeros, and far too long ones.
SOURCE = jax.random.normal(jax.random.key(0), (5, 4, 3))
SOURCE = SOURCE * jnp.array([1.0, 0.0, 0.0, 0.0, 1e4])[:, None, None]
SOURCE = SOURCE + jnp.array([0.0, 1.0, 1.0, 0.0, 0.0])[:, None, None]
TARGET = SOURCE.at[0].add(0.5).at[1].add(1.0).at[4].multiply(-1.0)


def test_everything_cites_its_source():
    for name, member in vars(domain_adaptation).items():
        if callable(member) and name != "random_matrices":
            assert "Reference:" in (member.__doc__ or ""), name


@pytest.mark.parametrize("name", LOSSES)
def test_laws(name):
    both = jax.jit(jax.vmap(jax.value_and_grad(LOSSES[name], (0, 1))))
    values, grads = both(SOURCE, TARGET)
    assert values.shape == (5,)
    assert {x.dtype for x in (values, *grads)} == {jnp.dtype("float32")}
    assert all(np.isfinite(x).all() for x in (values, *grads))
    one = jax.jit(LOSSES[name])(SOURCE[0], TARGET[0])
    np.testing.assert_allclose(values[0], one, rtol=1e-4, atol=1e-6)
    values, _ = both(SOURCE.at[:, 0, 0].set(jnp.nan), TARGET)
    assert np.isnan(values).all()
