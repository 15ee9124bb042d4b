"""FixBi in a run: one net nearer the source and one nearer the target, that teach each other."""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Free
from mtl_jax.core.validation import require, require_number
from mtl_jax.core.views import Mixed, View, name_of
from mtl_jax.domain_adaptation.compared import BOTH, SOURCE, TARGET
from mtl_jax.domain_adaptation.fixbi import (
    bidirectional_matching,
    confidence_threshold,
    fixed_mix,
    self_penalty,
    space_consistency,
)
from mtl_jax.losses.masked import masked_mean
from mtl_jax.losses.target_type import MULTICLASS

HALF = Mixed(BOTH, ratio=0.5)


@dataclasses.dataclass(frozen=True)
class FixBi:
    """Bridges two domains by two nets, each trained on images mixed of both by a fixed ratio.

    The trunk is `nets.Twins`. Net i learns `fixed_mix` of images that are r_i of the source and
    `1 - r_i` of the target, with its own guesses as the target's classes; r is `ratio` for the
    first net and `1 - ratio` for the second. Each unlearns its unsure guesses (`self_penalty`,
    under a temperature that is learnt from 5 on, `5 exp(b)`). From `matching` on, each learns the
    sure guesses of the other (`bidirectional_matching`), and both agree on images half way
    (`space_consistency`). What is judged is the sum of their logits; the paper's code adds
    probabilities.

    Means are over the whole batch, what does not count being 0; the authors' code divides by what
    counts, and trains the penalty only until nets teach each other. Both mixed views are of all
    images of both domains, of which each net learns half.

    The paper begins with nets that another method has trained. Here both learn the labelled
    images alone for the share `warm_up` of the training. Which guesses are sure is decided by the
    batch (`confidence_threshold`), so that nothing is kept. No gradient flows through guesses.

    Attributes:
      ratio: r of the first net.
      warm_up: share of the training after which images are mixed.
      matching: share of it after which the nets teach each other.
      deviations: how many standard deviations below the mean confidence is unsure.
      weight: of all but the labelled and the mixed images.

    Raises:
      BadInput: for a setting out of range; in a run whose trunk is not two nets.

    Reference: Na et al., FixBi: Bridging Domain Spaces for Unsupervised Domain Adaptation, CVPR
      2021 (https://arxiv.org/abs/2011.09230).
    """

    ratio: float = 0.7
    warm_up: float = 0.25
    matching: float = 0.5
    deviations: float = 2.0
    weight: float = 1.0

    target_types = MULTICLASS
    twins = True

    def __post_init__(self):
        share = (0.0, 1.0)
        require_number(self, ratio=share, warm_up=share, matching=share)
        require_number(self, deviations=(0.0, math.inf), weight=(0.0, math.inf))
        rule = f"must not be below warm_up, {self.warm_up}"
        require(self.matching >= self.warm_up, self, "matching", rule, self.matching)

    @property
    def mixed(self) -> Mixed:
        """Labelled images that are mostly themselves, and unlabelled ones that are."""
        return Mixed(BOTH, ratio=self.ratio)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return (*BOTH, self.mixed, HALF)

    def heads(self, num_classes: int) -> dict[str, Free]:
        """The logarithm of both temperatures, over 5, as a bias."""
        return {"temperature": Free(2, size=1)}

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def supervised(self, views: Views, loss: Callable[..., jax.Array], state: tuple) -> jax.Array:
        """The loss `[]` of labelled images, or of those mixed with them, of both nets."""
        plain = [half(views, SOURCE, net) for net in (0, 1)]
        alone = sum(masked_mean(loss, said, views.labels, views.mask) for said in plain)
        return jnp.where(views.progress < self.warm_up, alone, self.bridged(views))

    def bridged(self, views: Views) -> jax.Array:
        """The loss `[]` of both nets on mixed images, each on those nearer its domain."""
        partner = views.drawn[name_of(self.mixed)].partner
        size, total = len(views.labels), 0.0
        guesses = [half(views, TARGET, net).argmax(-1) for net in (0, 1)]
        # Rows of the source come first: the mixed view's first part, the partners of its second.
        nearer = (
            (slice(None, size), self.ratio, jnp.arange(size), partner[:size] - size),
            (slice(size, None), 1 - self.ratio, partner[size:], jnp.arange(len(partner) - size)),
        )
        for net, (rows, ratio, source, target) in enumerate(nearer):
            said = half(views, self.mixed, net)[rows]
            loss = functools.partial(fixed_mix, guesses=guesses[net][target], ratio=ratio)
            total = total + masked_mean(loss, said, views.labels[source], views.mask[source])
        return total

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to the loss of guesses `[]`, no state, and metrics."""
        target = [half(views, TARGET, net) for net in (0, 1)]
        sure = [confidence_threshold(said, deviations=self.deviations) for said in target]
        raised = views.call("temperature", jnp.zeros((1, 1), target[0].dtype))[0]
        temperatures = 5.0 * jnp.exp(raised)
        unlearnt = [self_penalty(target[i], temperatures[i], sure[i])[0].mean() for i in (0, 1)]
        taught = [
            bidirectional_matching(target[i], target[1 - i], sure[1 - i]) for i in (0, 1)
        ]  # fmt: skip
        agreed = space_consistency(*(half(views, HALF, net) for net in (0, 1))).mean()
        matched = sum(loss.mean() for loss, _ in taught) + agreed
        begun, matching = views.progress >= self.warm_up, views.progress >= self.matching
        total = jnp.where(begun, sum(unlearnt), 0.0) + jnp.where(matching, matched, 0.0)
        rate = sum(mask.mean(dtype=total.dtype) for _, mask in taught) / 2
        return total, state, {"mask_rate": rate, "temperature": temperatures.mean()}


def half(views: Views, view: View, net: int) -> jax.Array:
    """Logits `[n, C]` of one of the two nets for a view: the task's head on its features alone."""
    features = views.features[name_of(view)]
    own = jnp.arange(features.shape[-1]) // (features.shape[-1] // 2) == net
    # Each has half of the bias, so that both add up to what the task's head says.
    bias = views.call("", jnp.zeros_like(features[:1]))
    return views.call("", jnp.where(own[None], features, 0.0)) - 0.5 * bias
