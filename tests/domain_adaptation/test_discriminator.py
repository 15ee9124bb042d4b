"""Discriminators of domains: they descend what the features ascend."""

import jax
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from tests.domain_adaptation.sights import (
    FEATURES,
    SHARP,
    heads_of,
    loss_of,
    slopes,
)


@pytest.mark.parametrize(
    "method", [domain_adaptation.DANN(warm_up=SHARP), domain_adaptation.CDAN(warm_up=SHARP)]
)
def test_the_discriminator_descends_and_the_features_ascend(method):
    def plain(pair):
        features, heads = pair
        shown = [
            features[v]
            if isinstance(method, domain_adaptation.DANN)
            else domain_adaptation.conditional_map(features[v], FEATURES[v] @ heads_of(method)[""])
            for v in ("labelled", "weak")
        ]
        return domain_adaptation.domain_adversarial(*(each @ heads["domain"] for each in shown))

    value = loss_of(method, FEATURES, heads_of(method))
    np.testing.assert_allclose(value, plain((FEATURES, heads_of(method))), rtol=1e-5)
    want = jax.grad(plain)((FEATURES, heads_of(method)))
    got = slopes(method)
    np.testing.assert_allclose(got[1]["domain"], want[1]["domain"], rtol=1e-4, atol=1e-6)
    for view in ("labelled", "weak"):
        np.testing.assert_allclose(got[0][view], -want[0][view], rtol=1e-4, atol=1e-6)
