"""Loss weightings: from losses to weights of the tasks, at one backward pass a step."""

from mtl_jax.weighting.equal import Equal as Equal
from mtl_jax.weighting.uncertainty import Uncertainty as Uncertainty
from mtl_jax.weighting.uncertainty import uncertainty_value as uncertainty_value
