"""Adversarial discriminative adaptation: no labels are learnt, the start is what is imitated."""

import numpy as np

from mtl_jax import domain_adaptation
from mtl_jax.core.views import view_key
from mtl_jax.domain_adaptation.adda import SOURCE_VIEW
from tests.domain_adaptation.sights import FEATURES, heads_of, loss_of, slopes


def test_adda_learns_no_labels_and_shows_the_discriminator_the_start():
    method = domain_adaptation.ADDA()
    heads = heads_of(method)
    found = loss_of(method, FEATURES, heads)
    said = [FEATURES[v] @ heads["domain"] for v in (view_key(SOURCE_VIEW), "weak")]
    np.testing.assert_allclose(found, domain_adaptation.domain_adversarial(*said), rtol=1e-5)
    features, slope = slopes(method)
    assert not np.abs(features["labelled"]).any() and not np.abs(slope[""]).any()
