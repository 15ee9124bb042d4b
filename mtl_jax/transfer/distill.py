"""Distillation of logits: say what the teacher says, softened."""

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import wide
from mtl_jax.core.validation import require


def distillation(logits: jax.Array, teacher: jax.Array, temperature: float = 4.0) -> jax.Array:
    """Knowledge distillation, `T^2 KL(softmax(t / T) || softmax(z / T))`.

    Per example, natural logarithm. The factor keeps the length of the gradient about the same
    for any T. Nothing flows into `teacher`. RepDistiller takes T = 4 and 0.1 of the labels' loss
    with 0.9 of this.

    Args:
      logits: z, finite floats `[..., C]`.
      teacher: t, logits of the teacher, the same shape.
      temperature: T.

    Returns:
      The loss `[...]`, exactly 0 for equal logits.

    Raises:
      ValueError: if the shapes differ, when traced.
      BadInput: if T is not above 0.

    Reference: Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015,
      Section 2, with a divergence for its cross-entropy: equal gradients
      (https://arxiv.org/abs/1503.02531).
    """
    return temperature**2 * softened("distillation", logits, teacher, temperature)


def lwf(logits: jax.Array, recorded: jax.Array, temperature: float = 2.0) -> jax.Array:
    """Learning without forgetting, `KL(softmax(t / T) || softmax(z / T))`: without `T^2`.

    Per example, natural logarithm. Nothing flows into `recorded`. The logits of the old head on
    the new images are recorded once, before training (the images as they are then augmented).

    Args:
      logits: z, of the old task's head now, finite floats `[..., C]`.
      recorded: t, what it said before training, the same shape.
      temperature: T, 2 in the paper.

    Returns:
      The loss `[...]`, exactly 0 for equal logits.

    Raises:
      ValueError: if the shapes differ, when traced.
      BadInput: if T is not above 0.

    Reference: Li and Hoiem, Learning without Forgetting, ECCV 2016, the loss of the old tasks,
      with a divergence for its cross-entropy: equal gradients
      (https://arxiv.org/abs/1606.09282).
    """
    return softened("lwf", logits, recorded, temperature)


def softened(name: str, logits: jax.Array, teacher: jax.Array, temperature: float) -> jax.Array:
    """Divergence `[...]` of softmaxes at a temperature from the teacher's."""
    require(temperature > 0, name, "temperature", "must be above 0", temperature)
    if logits.shape != teacher.shape or logits.ndim == 0:
        raise ValueError(
            f"{name} needs logits [..., C] of both nets, not {logits.shape} and {teacher.shape}"
        )
    said = jax.nn.log_softmax(wide(logits) / temperature)
    wanted = jax.nn.log_softmax(teacher.astype(said.dtype) / temperature)
    wanted = jax.lax.stop_gradient(wanted)
    return (jnp.exp(wanted) * (wanted - said)).sum(-1).astype(logits.dtype)
