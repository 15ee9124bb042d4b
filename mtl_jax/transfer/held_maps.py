"""Methods that hold the maps of a trunk's layers to those of the net that the run started from."""

import dataclasses

import jax

from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.views import View
from mtl_jax.losses.target_type import ALL_TYPES
from mtl_jax.transfer.delta import behaviour
from mtl_jax.transfer.hints import attention_transfer, fitnet
from mtl_jax.transfer.source_views import Seen, pairs, require_held, require_layers, views_of

# Maps are what layers give before they are normalised: `Conv_0`, `Dense_1`, `stage2`. The source
# normalises by its running statistics, the trained net by its batch, so that maps behind a
# BatchNorm differ from the first step on. Labels are not read: missing ones do not matter.


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """DELTA without attention: maps of layers stay near those of the source.

    `1/2 sum_layers sum_b ||F_b - F0_b||^2`, see `behaviour`: a sum over the batch and all
    entries, so it grows with both. It wants a run with a source. The weight goes with a weight
    decay of 0, and a penalty of 0.01 on the head (`L2SP(0.0, head_weight=0.01)`). Nothing flows
    into the source.

    Attributes:
      weight: of the sum.
      layers: names of the trunk's layers; None is all.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range; when traced, for a layer that the trunk has not.

    Reference: Li et al., DELTA, ICLR 2019, the section on behavioural regularisation, without
      its weights (https://openreview.net/forum?id=rkgbwsAcYm); the default weight is TLLib's
      (https://github.com/thuml/Transfer-Learning-Library).
    """

    weight: float = 0.01
    layers: tuple[str, ...] | None = None
    view: Seen = "labelled"

    target_types = ALL_TYPES
    maps = True

    def __post_init__(self):
        require_held(self)
        require_layers(self)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to one loss for the batch `[1]`, no state, and no metrics."""
        found = [behaviour(now, before) for now, before in pairs(self, views.maps).values()]
        return sum(found)[None], state, {}


@dataclasses.dataclass(frozen=True)
class AttentionTransfer:
    """Layers look where those of the source look.

    `sum_layers 1/P ||q / ||q|| - q0 / ||q0|| ||^2`, per example, see `attention_transfer`. It
    wants a run with a source, and maps with places `[n, ..., C]`. Nothing flows into the source.

    Attributes:
      weight: of the mean over the images.
      layers: names of the trunk's layers; None is all.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range; when traced, for a layer that the trunk has not.
      ValueError: for a layer without places, when traced.

    Reference: Zagoruyko and Komodakis, Paying More Attention to Attention, ICLR 2017, the section
      on activation-based attention transfer (https://arxiv.org/abs/1612.03928); the default
      weight is RepDistiller's (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 1000.0
    layers: tuple[str, ...] | None = None
    view: Seen = "labelled"

    target_types = ALL_TYPES
    maps = True

    def __post_init__(self):
        require_held(self)
        require_layers(self)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[n]`, no state, and no metrics."""
        found = [
            attention_transfer(now, before) for now, before in pairs(self, views.maps).values()
        ]
        return sum(found), state, {}


@dataclasses.dataclass(frozen=True)
class FitNet:
    """Hints: layers give what those of the source give.

    `sum_layers 1/D ||F - F0||^2`, per example, D numbers of an example's map, see `fitnet`. Both
    nets have the same layers, so there is no regressor between them. It wants a run with a
    source. Nothing flows into the source.

    Attributes:
      weight: of the mean over the images.
      layers: names of the trunk's layers; None is all, the paper and RepDistiller take one.
      view: which images; "weak" are the unlabelled ones.

    Raises:
      BadInput: for a setting out of range; when traced, for a layer that the trunk has not.

    Reference: Romero et al., FitNets, ICLR 2015, the loss of hint-based training
      (https://arxiv.org/abs/1412.6550); the default weight is RepDistiller's
      (https://github.com/HobbitLong/RepDistiller).
    """

    weight: float = 100.0
    layers: tuple[str, ...] | None = None
    view: Seen = "labelled"

    target_types = ALL_TYPES
    maps = True

    def __post_init__(self):
        require_held(self)
        require_layers(self)

    @property
    def views(self) -> tuple[View, ...]:
        """What it asks to see."""
        return views_of(self.view)

    def init(self, sizes: Sizes) -> tuple[()]:
        """State before the first step: none."""
        return ()

    def update(self, views: Views, state: tuple[()]) -> tuple[jax.Array, tuple[()], dict]:
        """Maps views to a loss for each example `[n]`, no state, and no metrics."""
        found = [fitnet(now, before) for now, before in pairs(self, views.maps).values()]
        return sum(found), state, {}
