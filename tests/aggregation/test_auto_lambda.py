"""Auto-lambda: its first step, and which tasks it listens to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.aggregation import AutoLambda
from mtl_jax.core.validation import BadInput

KEY = jax.random.key(0)


def bowls(weights):
    """Two held-out losses after a step that moves by the weights' difference."""
    point = weights[0] - weights[1]
    return jnp.stack([(point - 1.0) ** 2, (point + 3.0) ** 2])


def test_the_first_step_of_adam_is_its_rate():
    method = AutoLambda(learning_rate=0.01)
    weights, _ = method.weigh_outer(bowls, method.init(2), KEY)
    # At 0 the slopes are -2 + 6 along the difference, so w_0 falls and w_1 rises. by hand
    np.testing.assert_allclose(weights, [0.09, 0.11], rtol=1e-5)


def test_only_primary_tasks_are_asked():
    method = AutoLambda(primary=(True, False), learning_rate=0.01)
    weights, _ = method.weigh_outer(bowls, method.init(2), KEY)
    np.testing.assert_allclose(weights, [0.11, 0.09], rtol=1e-5)  # slope -2. by hand


def test_bad_settings_are_named():
    with pytest.raises(BadInput, match=r"AutoLambda\.primary must have a task that counts"):
        AutoLambda(primary=(False, False))
    with pytest.raises(BadInput, match=r"AutoLambda\.primary must be for 3 tasks"):
        AutoLambda(primary=(True, False)).init(3)
