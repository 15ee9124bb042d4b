"""Discrete choices, sampled with a gradient in training and deterministic otherwise."""

import flax.linen as nn
import jax
import jax.numpy as jnp


def step_counter(owner: nn.Module, train: bool) -> jax.Array:
    """Number of training steps of the module `[]`, a float; increments the counter."""
    count = owner.variable("batch_stats", "steps", lambda: jnp.zeros((), jnp.int32))
    step = count.value
    if train:
        count.value = step + 1
    return step.astype(jnp.float32)


def gumbel_softmax(
    owner: nn.Module, logits: jax.Array, temperature: jax.Array | float, train: bool
) -> jax.Array:
    """One-hot rows `[..., C]` of logits `[..., C]`: a Gumbel-max sample, or the argmax.

    In training the gradient is that of `softmax((logits + noise) / temperature)` (straight
    through).

    Reference: Jang et al., Categorical Reparameterization with Gumbel-Softmax, ICLR 2017,
      Section 2.2 (https://arxiv.org/abs/1611.01144).
    """
    if not train:
        return jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=logits.dtype)
    if owner.has_rng("draw"):
        logits = logits + jax.random.gumbel(owner.make_rng("draw"), logits.shape, logits.dtype)
    soft = jax.nn.softmax(logits / temperature)
    hard = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1], dtype=logits.dtype)
    return hard + (soft - jax.lax.stop_gradient(soft))


def gumbel_sigmoid(
    owner: nn.Module, logits: jax.Array, temperature: jax.Array | float, train: bool
) -> jax.Array:
    """Gates `[...]` of logits `[...]`: soft samples in (0, 1) in training, else 0 or 1.

    `sigmoid((logits + noise) / temperature)` with logistic noise, the Gumbel-softmax of two
    classes; outside training `1[logits > 0]`.

    Reference: Maddison et al., The Concrete Distribution, ICLR 2017, Appendix B
      (https://arxiv.org/abs/1611.00712).
    """
    if not train:
        return (logits > 0).astype(logits.dtype)
    if owner.has_rng("draw"):
        noise = jax.random.logistic(owner.make_rng("draw"), logits.shape, logits.dtype)
        logits = logits + noise
    return jax.nn.sigmoid(logits / temperature)
