"""Twins: two trunks that share nothing, side by side."""

import jax
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput

TRUNK = nets.MLP((7, 5), batch_norm=True)


def test_they_are_two_trunks_side_by_side():
    x = np.random.default_rng(0).random((4, 6), np.float32)
    twins = nets.TwoBranch(TRUNK)
    variables = twins.init(jax.random.key(0), x, train=False)
    both, moved = twins.apply(variables, x, train=True, mutable=["batch_stats"])
    assert both.shape == (4, 10)
    for net in (0, 1):
        own = {kind: tree[f"net_{net}"] for kind, tree in variables.items()}
        alone, after = TRUNK.apply(own, x, train=True, mutable=["batch_stats"])
        np.testing.assert_array_equal(both[:, 5 * net : 5 * net + 5], alone)
        jax.tree.map(
            np.testing.assert_array_equal,
            moved["batch_stats"][f"net_{net}"],
            after["batch_stats"],
        )
    assert np.abs(both[:, :5] - both[:, 5:]).max() > 0.01, "drawn apart"


def test_what_is_refused():
    with pytest.raises(BadInput, match=r"TwoBranch\.trunk must be a trunk"):
        nets.TwoBranch(nets.CrossStitch(TRUNK))
    assert nets.TwoBranch(nets.CNN()).convolutional and not nets.TwoBranch(TRUNK).convolutional
