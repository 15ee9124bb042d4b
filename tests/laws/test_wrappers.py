"""What every wrapper keeps of every method: it works, or is refused in one line where it is made."""

import inspect

import pytest

from mtl_jax import aggregation, consistency, domain_adaptation, transfer, weighting
from mtl_jax.consistency import MultiLabel, RankUp, SignalAnnealing, SumOfLosses
from mtl_jax.core.aux_inputs import DatasetSizes
from mtl_jax.core.auxiliary_loss import AuxiliaryLoss, AuxiliaryWrapper
from mtl_jax.core.balancing import Balancer
from mtl_jax.core.validation import BadInput

NEEDED = {"classes": 3, "features": 4}
FACES = (consistency, transfer, domain_adaptation)


def made(make):
    """A method with its defaults, and small numbers where it has none."""
    required = [
        name
        for name, each in inspect.signature(make).parameters.items()
        if each.default is inspect.Parameter.empty
    ]
    return make(**{name: NEEDED.get(name, 1.0) for name in required})


METHODS = {
    name: made(make)
    for face in FACES
    for name, make in vars(face).items()
    if inspect.isclass(make) and issubclass(make, AuxiliaryLoss)
}
WRAPPERS = {
    "SignalAnnealing": SignalAnnealing,
    "MultiLabel": MultiLabel,
    "RankUp": lambda method: RankUp(regression_method=method),
    "SumOfLosses": lambda method: SumOfLosses((method,)),
}
BALANCERS = {
    name: make()
    for face in (weighting, aggregation)
    for name, make in vars(face).items()
    if inspect.isclass(make) and issubclass(make, Balancer) and name not in ("Constant", "SAMO")
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("name", METHODS)
def test_a_method_in_a_wrapper(name, wrapper):
    method = METHODS[name]
    try:
        outer = WRAPPERS[wrapper](method)
    except BadInput as refused:
        assert "\n" not in str(refused)
        return
    assert isinstance(outer, AuxiliaryLoss)
    heads = {head.rpartition(".")[2] for head in outer.aux_heads(3)}
    assert heads >= {head.rpartition(".")[2] for head in method.aux_heads(3)}
    assert {*outer.views} >= {*method.views}
    for flag in ("needs_feature_maps", "needs_two_branches", "has_precompute", "has_labelled_loss"):
        assert getattr(outer, flag) >= getattr(method, flag), flag
    assert len(outer.source_heads) == len(method.source_heads)
    outer.init(DatasetSizes(3, 8, 8))


@pytest.mark.parametrize("name", METHODS)
def test_flags_are_what_a_method_defines(name):
    method = METHODS[name]
    if isinstance(method, AuxiliaryWrapper | SumOfLosses):
        return  # Theirs are those of other methods.
    for flag, verb in (("has_labelled_loss", "labelled_loss"), ("has_precompute", "precompute")):
        own = [c for c in type(method).__mro__ if c.__module__ != AuxiliaryLoss.__module__]
        assert getattr(method, flag) == any(verb in vars(c) for c in own)


@pytest.mark.parametrize("name", BALANCERS)
def test_a_balancer_in_cr_mogm(name):
    method = BALANCERS[name]
    try:
        outer = aggregation.CRMOGM(method)
    except BadInput as refused:
        assert "\n" not in str(refused) and method.access not in ("losses", "gramian")
        return
    assert (outer.access, outer.uses_post_step) == (method.access, method.uses_post_step)
