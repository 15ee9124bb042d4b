"""What subclasses of the base classes may leave out, and how they may override defaults."""

import dataclasses
from typing import Any

import flax.linen as nn
import pytest

from mtl_jax.config.optimizers import SGD
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss
from mtl_jax.core.balancing import (
    BilevelWeighting,
    CrossGramWeighting,
    GramWeighting,
    JacobianAggregator,
    LossWeighting,
)
from mtl_jax.core.step_extension import StepExtension
from mtl_jax.core.trunk import Trunk


@pytest.mark.parametrize(
    "family",
    [
        AuxiliaryLoss,
        BilevelWeighting,
        CrossGramWeighting,
        GramWeighting,
        JacobianAggregator,
        LossWeighting,
    ],
)
def test_a_method_without_its_main_function_cannot_be_made(family):
    with pytest.raises(TypeError, match="abstract"):
        type("Incomplete", (family,), {})()


@dataclasses.dataclass(frozen=True)
class Weighted(AuxiliaryLoss):
    """A method with a required field of a default's name."""

    weight: float
    views = ("weak",)

    def update(self, views, state):
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Optimized(StepExtension):
    """An extension with a required optimizer."""

    optimizer: SGD


class Wrapping(nn.Module, Trunk):
    """A trunk with a required field of a default's name."""

    base_trunk: Any


def test_fields_override_defaults_and_may_be_required():
    assert Weighted(2.0).weight == 2.0 and Weighted(weight=2.0).views == ("weak",)
    assert Weighted(2.0).source_heads == ()
    assert Optimized(SGD(0.1)).optimizer == SGD(0.1) and StepExtension().optimizer is None
    assert Wrapping("trunk").base_trunk == "trunk" and Trunk().base_trunk is None
    for required in (Weighted, Optimized, Wrapping):
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            required()
