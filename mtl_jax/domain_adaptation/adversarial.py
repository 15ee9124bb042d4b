"""Domain-adversarial loss: a discriminator tells source from target, features prevent it."""

import jax

from mtl_jax.domain_adaptation.validation import require_floats


def domain_adversarial(source: jax.Array, target: jax.Array) -> jax.Array:
    """Cross-entropy of a domain discriminator, every domain with half the weight.

    `1/2 (mean softplus(-d_s) + mean softplus(d_t))`: the source is 1, the target 0. The
    discriminator goes down it; features go up it, which `reverse` before the discriminator
    does. At `d = 0` nothing is told apart and the loss is log 2. Gradients flow into both.

    Args:
      source: logits of the discriminator for the source, `[B, ...]`.
      target: those for the target, `[U, ...]`.

    Returns:
      The loss `[]`.

    Raises:
      ValueError: if they are no floats or there are none, when traced.

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      Section 4.2 (https://arxiv.org/abs/1505.07818); halves as TLLib
      (https://github.com/thuml/Transfer-Learning-Library).
    """
    require_floats("domain_adversarial", source, target)
    if not source.size or not target.size:
        raise ValueError(
            f"domain_adversarial needs at least one example of each domain, "
            f"not source {source.shape} and target {target.shape}"
        )
    return 0.5 * (jax.nn.softplus(-source).mean() + jax.nn.softplus(target).mean())
