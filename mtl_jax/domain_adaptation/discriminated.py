"""Methods with a discriminator of domains: DANN, CDAN, ADDA."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Free
from mtl_jax.core.validation import require, require_count, require_number
from mtl_jax.core.views import Apart, name_of
from mtl_jax.domain_adaptation.adversarial import domain_adversarial
from mtl_jax.domain_adaptation.bsp import spectral_penalty
from mtl_jax.domain_adaptation.compared import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.conditional import (
    conditional_adversarial,
    conditional_map,
    entropy_weights,
    random_conditional_map,
    random_matrices,
)
from mtl_jax.domain_adaptation.reversal import WarmUp, reverse
from mtl_jax.losses.target_type import ALL_TYPES, MULTICLASS

# What the net that the run started from makes of the source.
STARTED = Apart((SOURCE,), by="source")


@dataclasses.dataclass(frozen=True)
class DANN:
    """Domain-adversarial training: features by which a discriminator cannot tell domains apart.

    `domain_adversarial(D(R(f_s)), D(R(f_t)))`, R reverses gradients with a coefficient that grows
    over the training: one descent trains D to tell, and the trunk to prevent it. D has no
    BatchNorm, as the paper's and unlike TLLib's.

    Attributes:
      widths: of the discriminator's hidden layers; TLLib has two of 1024.
      warm_up: the coefficient by the share of the training that is done.
      spectral: weight of BSP's `spectral_penalty` of both batches of features; TLLib has 2e-4
        when it is used. 0 leaves it out.
      weight: of all of it.

    Raises:
      BadInput: for a width below 1, or a negative weight.

    Reference: Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17, 2016,
      Section 4.2 (https://arxiv.org/abs/1505.07818); Chen et al., Transferability vs.
      Discriminability: Batch Spectral Penalization, ICML 2019
      (https://proceedings.mlr.press/v97/chen19i.html).
    """

    widths: tuple[int, ...] = (1024, 1024)
    warm_up: WarmUp = dataclasses.field(default_factory=WarmUp)
    spectral: float = 0.0
    weight: float = 1.0

    target_types = ALL_TYPES
    views = BOTH

    def __post_init__(self):
        check(self)

    def heads(self, num_classes: int) -> dict[str, Free]:
        """The discriminator."""
        return {"domain": Free(1, self.widths)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the loss `[]`, no state, and metrics."""
        shown = (views.features[SOURCE], views.features[TARGET])
        source, target = judged(views, shown, self.warm_up(views.progress))
        loss = domain_adversarial(source, target) + spectral(self, views)
        return loss, state, {"domain_accuracy": told_apart(source, target)}


@dataclasses.dataclass(frozen=True)
class CDAN:
    """Conditional adversarial adaptation: the discriminator sees features times probabilities.

    As `DANN`, with `conditional_map(f, z)` in the place of f, or `random_conditional_map`; with
    `entropy` examples count by their certainty (CDAN+E). No gradient flows into the logits.

    Attributes:
      widths: of the discriminator's hidden layers.
      warm_up: the coefficient by the share of the training that is done.
      entropy: whether certain examples count more.
      randomised: width of the random map; None takes all products.
      spectral: weight of BSP's `spectral_penalty` of both batches of features.
      weight: of all of it.

    Raises:
      BadInput: for a width below 1, or a negative weight.

    Reference: Long et al., Conditional Adversarial Domain Adaptation, NeurIPS 2018
      (https://arxiv.org/abs/1705.10667).
    """

    widths: tuple[int, ...] = (1024, 1024)
    warm_up: WarmUp = dataclasses.field(default_factory=WarmUp)
    entropy: bool = False
    randomised: int | None = None
    spectral: float = 0.0
    weight: float = 1.0

    target_types = MULTICLASS
    views = BOTH

    def __post_init__(self):
        check(self)
        if self.randomised is not None:
            require_count(self, randomised=1)

    def heads(self, num_classes: int) -> dict[str, Free]:
        """The discriminator."""
        return {"domain": Free(1, self.widths, times=num_classes, size=self.randomised)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def shown(self, features: jax.Array, logits: jax.Array) -> jax.Array:
        """What the discriminator sees."""
        if self.randomised is None:
            return conditional_map(features, logits)
        # Drawn alike at every step and in every run: they are no part of what is learnt.
        sizes = features.shape[-1], logits.shape[-1], self.randomised
        matrices = random_matrices(jax.random.key(0), *sizes, dtype=features.dtype)
        return random_conditional_map(features, logits, matrices)

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the loss `[]`, no state, and metrics."""
        shown = tuple(self.shown(views.features[view], views.of(view)) for view in BOTH)
        source, target = judged(views, shown, self.warm_up(views.progress))
        weights = jnp.ones(len(source) + len(target))
        if self.entropy:
            weights = entropy_weights(jnp.concatenate([views.of(view) for view in BOTH]))
        parts = jnp.split(weights, [len(source)])
        loss = conditional_adversarial(source, target, *parts) + spectral(self, views)
        return loss, state, {"domain_accuracy": told_apart(source, target)}


@dataclasses.dataclass(frozen=True)
class ADDA:
    """Adversarial discriminative adaptation: the target's net imitates the source's features.

    The run starts from one that was trained on the source, head and all
    (`take=transfer.HEADS`), and its plan freezes the head
    (`Rule("tasks/heads/digit/(kernel|bias)", frozen=True)`; the discriminator's is below it). `domain_adversarial(D(f0_s), D(R(f_t)))`: f0
    is the net that the run started from, which does not move, f the one that is trained, on the
    target alone. Labels are not used.

    Attributes:
      widths: of the discriminator's hidden layers; the paper has two of 500.
      coefficient: of the reversal.
      weight: of the loss.

    Raises:
      BadInput: for a width below 1, or a negative number.

    Reference: Tzeng et al., Adversarial Discriminative Domain Adaptation, CVPR 2017, Section 4,
      Eq. 9 (https://arxiv.org/abs/1702.05464); there the target's net descends the loss with
      the labels of domains exchanged, here it goes up the discriminator's own, as in TLLib.
    """

    widths: tuple[int, ...] = (1024, 1024)
    coefficient: float = 1.0
    weight: float = 1.0

    target_types = ALL_TYPES
    views = (TARGET, STARTED)

    def __post_init__(self):
        require_number(self, coefficient=(0.0, math.inf), weight=(0.0, math.inf))
        require_layers(self)

    def heads(self, num_classes: int) -> dict[str, Free]:
        """The discriminator."""
        return {"domain": Free(1, self.widths)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def supervised(self, views: Views, loss: Callable[..., jax.Array], state: tuple) -> jax.Array:
        """No loss of labels, `[]`."""
        return jnp.zeros(())

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the loss `[]`, no state, and metrics."""
        source = views.call("domain", views.features[name_of(STARTED)])[:, 0]
        moved = reverse(views.features[TARGET], self.coefficient)
        target = views.call("domain", moved)[:, 0]
        loss = domain_adversarial(source, target)
        return loss, state, {"domain_accuracy": told_apart(source, target)}


def check(method: DANN | CDAN) -> None:
    """Requires settings in their ranges."""
    require_number(method, spectral=(0.0, math.inf), weight=(0.0, math.inf))
    require_layers(method)


def require_layers(method: DANN | CDAN | ADDA) -> None:
    """Requires widths of at least 1; there may be none."""
    fine = isinstance(method.widths, tuple) and all(type(w) is int and w > 0 for w in method.widths)
    require(fine, method, "widths", "must be a tuple of whole numbers above 0", method.widths)


def judged(views: Views, shown: tuple, coefficient: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What the discriminator says of the source `[B]` and the target `[U]`, reversed."""
    said = views.call("domain", reverse(jnp.concatenate(shown), coefficient))[:, 0]
    source, target = jnp.split(said, [len(shown[0])])
    return source, target


def spectral(method: DANN | CDAN, views: Views) -> jax.Array:
    """BSP's penalty of both batches, `[]`."""
    if method.spectral == 0:
        return jnp.zeros(())
    return method.spectral * sum(spectral_penalty(views.features[view]) for view in BOTH)


def told_apart(source: jax.Array, target: jax.Array) -> jax.Array:
    """Mean share of each domain that the discriminator recognises, `[]`."""
    return 0.5 * ((source > 0).astype(float).mean() + (target <= 0).astype(float).mean())
