"""Deep adaptation: both methods are their functions of what a net sees."""

import jax
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from tests.domain_adaptation.sights import FEATURES, heads_of, loss_of


@pytest.mark.slow
def test_it_is_its_function():
    source, target = FEATURES["labelled"], FEATURES["weak"]
    found = loss_of(domain_adaptation.DAN(), FEATURES, heads_of(domain_adaptation.DAN()))
    np.testing.assert_allclose(found, domain_adaptation.multi_kernel_mmd(source, target), rtol=1e-6)


def test_the_joint_one_is_its_function():
    heads = heads_of(domain_adaptation.JAN())
    pairs = [(FEATURES[v], jax.nn.softmax(FEATURES[v] @ heads[""])) for v in ("labelled", "weak")]
    found = loss_of(domain_adaptation.JAN(), FEATURES, heads)
    np.testing.assert_allclose(found, domain_adaptation.joint_mmd(*pairs), rtol=1e-6)
