"""A toy experiment, which is of descents: a stateless balance and one with a state."""

from mtl_jax import weighting
from mtl_jax.config.toy import ToyExperiment
from tests.train.test_toy import BOWLS

EXPERIMENT = ToyExperiment(
    runs=(BOWLS, BOWLS.replace(name="uncertain", balance=weighting.Uncertainty()))
)
