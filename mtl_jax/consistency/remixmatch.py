"""ReMixMatch: MixMatch whose guesses are aligned, and which strongly changed views follow."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from mtl_jax.consistency.distribution_alignment import Alignment
from mtl_jax.consistency.mixed import labelled_part, labels_or, mixed_targets
from mtl_jax.consistency.parts import Align
from mtl_jax.consistency.prediction import Guess
from mtl_jax.consistency.ramp_up import ramped
from mtl_jax.consistency.target import Soft
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Head
from mtl_jax.core.validation import require_number
from mtl_jax.core.views import Apart, Mixed, Rotated, View, name_of
from mtl_jax.losses import cross_entropy, soft_cross_entropy
from mtl_jax.losses.target_type import MULTICLASS

ALIGN = Alignment("labels")
GUESS = Apart(("labelled", "weak"), "frozen_student")
PARTS = ("labelled_strong", "strong", "strong2", "weak")
TURNED = Rotated("strong")


class Targets(NamedTuple):
    """What is learnt."""

    guess: jax.Array  # [U, C], about unlabelled images
    mixed: jax.Array  # [B + 3U, C], of the mixed view


@dataclasses.dataclass(frozen=True)
class ReMixMatch:
    """MixMatch with distribution alignment and augmentation anchoring.

    The guess q about an unlabelled image is that on its weak view, aligned and then sharpened,
    `q_c^(1/T) / sum_j q_j^(1/T)`; two strong views and the weak one follow it. The loss is

        H(mixed labelled) + mixed * H(mixed unlabelled) + unmixed * H(q, strong)
            + rotation * H(turns, strong turned by so many quarters),

    where labelled (strongly changed), strong and weak images are mixed with each other, each at
    least half its own, with targets mixed alike, and the turns are told by a head of their own.
    The second and third term grow with the ramp. No gradient flows into guesses. Logits are
    `[n, C]`.

    A labelled image without this task's label counts with weight 0; where it is a partner, its
    target is its own sharpened guess, not aligned.

    The paper has 8 strong views and aligns to the last 128 batches, here to a running mean. All
    that learns goes through the net in one pass, so BatchNorm sees mixed and other images
    together; USB lets its statistics follow some parts only. Guesses leave them alone.

    Attributes:
      align: `Alignment`, `QueueAlignment` or `Unaligned`.
      temperature: T.
      alpha: of the Beta distribution.
      mixed: weight of the mixed unlabelled images.
      unmixed: weight of the strong view as it is.
      rotation: weight of the turns; 0 leaves them and their head out, as for what has no up.
      ramp: share of the training over which the first two weights grow linearly.
      weight: of all three unlabelled terms.

    Raises:
      BadInput: for a temperature or alpha that is not above 0, a negative weight, or a ramp
        outside [0, 1].

    Reference: Berthelot et al., ReMixMatch, ICLR 2020, Algorithm 1 and Section 3
      (https://arxiv.org/abs/1911.09785).
    """

    align: Align = ALIGN
    temperature: float = 0.5
    alpha: float = 0.75
    mixed: float = 1.5
    unmixed: float = 0.5
    rotation: float = 0.5
    ramp: float = 1 / 64
    weight: float = 1.0

    target_types = MULTICLASS

    def __post_init__(self):
        require_number(self, temperature=(1e-6, math.inf), alpha=(1e-6, math.inf))
        require_number(self, mixed=(0.0, math.inf), unmixed=(0.0, math.inf))
        require_number(self, weight=(0.0, math.inf))
        require_number(self, rotation=(0.0, math.inf), ramp=(0.0, 1.0))

    @property
    def mixture(self) -> Mixed:
        """The mixed view."""
        return Mixed(PARTS, self.alpha)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        turned = (TURNED,) if self.rotation > 0 else ()
        return (GUESS, self.mixture, "strong", *turned)

    def heads(self, num_classes: int) -> dict[str, Head]:
        """A head that tells by how many quarters an image is turned."""
        return {"rotation": Head(4)} if self.rotation > 0 else {}

    def init(self, sizes: Sizes) -> Any:
        """State before the first step: the alignment's."""
        return self.align.init(sizes)

    def targets(self, views: Views, state: Any) -> tuple[Targets, Any]:
        """What is learnt from a batch, and the next state of the alignment."""
        plain = jax.nn.log_softmax(jax.lax.stop_gradient(views.of(GUESS)))
        own, weak = jnp.split(plain, (views.mask.shape[0],))
        aligned, state = self.align.update(weak, views, jax.lax.stop_gradient(state))
        sharp = Soft(self.temperature)
        guess = sharp(Guess(weak, aligned))
        labelled = labels_or(views, sharp(Guess(own, own)))
        every = jnp.concatenate([labelled, guess, guess, guess])
        return Targets(guess, mixed_targets(every, views, self.mixture)), state

    def update(self, views: Views, state: Any) -> tuple[jax.Array, Any, dict]:
        """Maps views to a loss for each example `[U]`, the next state, and metrics."""
        targets, state = self.targets(views, state)
        logits = views.of(self.mixture)
        each = soft_cross_entropy(logits, targets.mixed)[views.mask.shape[0] :]
        mixed = each.reshape(3, -1).mean(0)
        unmixed = soft_cross_entropy(views.of("strong"), targets.guess)
        loss = ramped(self.mixed * mixed + self.unmixed * unmixed, views, self.ramp)
        metrics = {"mask_rate": jnp.ones((), loss.dtype)}
        if self.rotation > 0:
            told = cross_entropy(views.of(TURNED, "rotation"), views.drawn[name_of(TURNED)])
            loss += self.rotation * told
            metrics["rotation_loss"] = told.mean()
        return loss, state, metrics

    def supervised(self, views: Views, loss: Callable, state: Any) -> jax.Array:
        """Mean `[]` cross-entropy of the mixed labelled images; the task's own loss has no say."""
        targets, _ = self.targets(views, state)
        return labelled_part(views, views.of(self.mixture), targets.mixed)
