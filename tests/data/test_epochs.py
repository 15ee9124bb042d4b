"""steps_per_epoch: steps after which every labelled example was drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import data
from mtl_jax.core.validation import BadInput
from tests.small import DATA  # 96 examples.


@pytest.mark.parametrize(
    ("batch", "labelled", "steps"), [(8, None, 12), (7, None, 14), (100, None, 1), (8, 24, 3)]
)
def test_every_example_is_drawn(batch, labelled, steps):
    assert data.steps_per_epoch(DATA, batch, labelled) == steps
    size = labelled or 96
    drawn = [data.batch_index(jax.random.key(0), jnp.int32(s), size, batch) for s in range(steps)]
    assert set(np.concatenate(drawn).tolist()) == set(range(size))
    assert batch * (steps - 1) < size


@pytest.mark.parametrize(("batch", "labelled"), [(0, None), (8, 0), (8, 97), (2.5, None)])
def test_what_cannot_be(batch, labelled):
    with pytest.raises(BadInput, match="steps_per_epoch"):
        data.steps_per_epoch(DATA, batch, labelled)
