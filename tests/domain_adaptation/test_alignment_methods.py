"""Every method of a run: printed so that it can be made again, and the target is moved."""

import dataclasses

import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.core.views import view_key
from mtl_jax.domain_adaptation.adda import SOURCE_VIEW
from tests.domain_adaptation.sights import slopes

METHODS = {
    name: make() for name, make in vars(domain_adaptation).items() if name.isupper() and hasattr(make, "update")
}  # fmt: skip
every = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def test_all_are_there():
    assert set(METHODS) == {
        "ADDA",
        "AFN",
        "CDAN",
        "CORAL",
        "DAN",
        "DANN",
        "JAN",
        "MCC",
        "MCD",
        "MDD",
    }


@every
def test_repr_makes_it_again(method):
    scope = vars(domain_adaptation)
    assert eval(repr(method), dict(scope)) == method
    assert hash(method) == hash(dataclasses.replace(method))


@pytest.mark.slow
@every
def test_the_target_is_moved(method):
    features, _ = slopes(method)
    assert np.abs(features["weak"]).max() > 0
    if SOURCE_VIEW not in method.views:
        assert not np.abs(features[view_key(SOURCE_VIEW)]).any()
