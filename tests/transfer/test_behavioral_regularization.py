"""Maps held near the source's, all channels alike: a value by hand, and in a run."""

import jax.numpy as jnp
import pytest

from mtl_jax import nets
from mtl_jax.transfer import BehavioralRegularization, behavioral_loss
from tests.transfer.sights import SOURCE as BEFORE
from tests.transfer.sights import apart, begun, learning, trained

# Two images of 2 x 1 places and 3 channels, which differ by 1, 2 and 3 everywhere.
SOURCE = jnp.ones((2, 2, 1, 3))
MAPS = SOURCE + jnp.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)


def test_value(variant):
    assert variant(behavioral_loss)(MAPS, SOURCE) == 28.0  # by hand: 4 (1 + 4 + 9) / 2


def test_equal_maps_cost_nothing():
    assert behavioral_loss(MAPS, MAPS) == 0.0


@pytest.mark.slow
def test_in_a_run_it_holds_the_maps_near_the_source():
    trunk = nets.CNN((2, 3))
    source = begun(BEFORE.replace(trunk=trunk))
    base = learning(BehavioralRegularization(0.0)).initialization.init_from.replace(trunk=trunk)
    free = learning(BehavioralRegularization(0.0), trunk=trunk, initialization={"init_from": base})
    plain = free.replace(tasks=tuple(task.replace(auxiliary=None) for task in free.tasks))
    held = learning(BehavioralRegularization(0.1), trunk=trunk, initialization={"init_from": base})
    (one, said), (other, _), (near, told) = (trained(run, source, 6) for run in (free, plain, held))
    assert apart(one, other) < 1e-6
    assert told["unlabelled_loss/row"] < 0.7 * said["unlabelled_loss/row"]
    assert jnp.isfinite(told["loss/row"]).all() and apart(near, one) > 1e-4
