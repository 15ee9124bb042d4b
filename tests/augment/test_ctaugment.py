"""CTAugment: weights move as by hand, bins below the threshold are never drawn, it learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.augment import CTAugment
from mtl_jax.augment.image.cta_operations import (
    OPERATIONS,
    Operation,
    identity_op,
    posterize_op,
)
from mtl_jax.augment.image.ctaugment import BinWeights, Choice, sample_bins
from mtl_jax.core.validation import BadInput

KEYS = jax.random.split(jax.random.key(0), 400)
IMAGE = np.random.default_rng(0).uniform(size=(8, 10, 3)).astype(np.float32)


def spread(place, grey, levels, fill):
    """Writes the level into all pixels."""
    return jnp.broadcast_to(100.0 * levels[0] + levels[1], grey.shape)


SMALL = CTAugment(operations=(Operation(identity_op, ()), Operation(spread, (4, 3))), depth=1)


def taken(operation, *bins):
    """Choices of several examples of depth 1."""
    return Choice(jnp.array(operation)[:, None], jnp.array(bins).reshape(-1, 1, 2))


def test_the_state_has_a_weight_for_each_bin():
    weights = CTAugment().init().weights
    # By hand: 16 operations of 17 bins, posterize of 8, rescale of 17 and 6, identity of none.
    assert weights.shape == (19, 2, 17) and float(weights.sum()) == 16 * 17 + 8 + 17 + 6
    np.testing.assert_array_equal(SMALL.init().weights, [[[0] * 4] * 2, [[1] * 4, [1, 1, 1, 0]]])


def test_weights_move_by_hand(variant):
    choices = taken([1, 0, 1, 1], [2, 0], [0, 0], [2, 1], [3, 0])
    scores = jnp.array([0.5, 0.0, 0.2, 1.0])
    state = variant(SMALL.update)(SMALL.init(), choices, scores)
    first = 0.99 * (0.99 * 1.0 + 0.01 * 0.5) + 0.01 * 0.2  # by hand, one after the other
    np.testing.assert_allclose(state.weights[1, 0], [1.0, 1.0, first, 1.0], rtol=1e-6)
    other = 0.99 * (0.99 * 1.0 + 0.01 * 0.5) + 0.01 * 1.0
    np.testing.assert_allclose(state.weights[1, 1], [other, 0.99 + 0.01 * 0.2, 1.0, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(state.weights[0], np.zeros((2, 4)))


def test_learning_at_once_is_learning_one_by_one():
    policy = CTAugment(decay=0.7)
    rng = np.random.default_rng(0)
    operation = rng.integers(0, 19, (30, 2)).astype(np.int32)
    counts = policy.bin_counts()[operation]
    choices = Choice(operation, (rng.uniform(size=counts.shape) * counts).astype(np.int32))
    scores, mask = rng.uniform(size=30).astype(np.float32), rng.uniform(size=30) < 0.8
    wanted = np.array(policy.init().weights)
    for which, bins, score in zip(operation[mask], choices.bins[mask], scores[mask], strict=True):
        for each, both in zip(which, bins, strict=True):
            for place in range(len(OPERATIONS[each].bins)):
                old = wanted[each, place, both[place]]
                wanted[each, place, both[place]] = 0.7 * old + 0.3 * score
    scores[~mask] = np.nan
    found = jax.jit(policy.update)(policy.init(), jax.tree.map(jnp.asarray, choices), scores, mask)
    np.testing.assert_allclose(found.weights, wanted, rtol=1e-5)


def test_bins_below_the_threshold_of_the_best_have_no_chance():
    weights = jnp.array([[[0.0] * 4] * 2, [[0.5, 0.4, 0.39, 0.1], [0.9, 0.0, 0.8, 0.0]]])
    found = SMALL.bin_probabilities(weights, SMALL.valid_bins())
    # By hand: raised by 0.01, over 0.51 and 0.91; 0.41 / 0.51 = 0.804, 0.40 / 0.51 = 0.784.
    np.testing.assert_allclose(found[1, 0], [1.0, 0.41 / 0.51, 0.0, 0.0], rtol=1e-5)
    np.testing.assert_allclose(found[1, 1], [1.0, 0.0, 0.81 / 0.91, 0.0], rtol=1e-5)
    np.testing.assert_array_equal(found[0], np.zeros((2, 4)))


def test_only_allowed_bins_are_drawn_by_their_chances():
    weights = jnp.array([[[0.0] * 4] * 2, [[0.0, 1.0, 0.2, 0.9], [0.0, 1.0, 0.0, 0.0]]])
    draws = jax.random.uniform(KEYS[0], (400, 5))
    choice, levels = jax.jit(jax.vmap(SMALL.choose, (0, None)))(draws, BinWeights(weights))
    second = np.asarray(choice.operation) == 1
    assert abs(second.mean() - 0.5) < 0.1
    bins = np.asarray(choice.bins)
    assert (bins[~second] == 0).all() and (bins[second, 1] == 1).all()
    assert set(bins[second, 0]) == {1, 3}
    assert abs((bins[second, 0] == 1).mean() - 1.01 / 1.92) < 0.1  # by hand
    inside = np.asarray(levels)[second] * [4, 3] - bins[second]
    assert (inside >= -1e-5).all() and (inside <= 1 + 1e-5).all() and inside.std() > 0.25


@pytest.mark.parametrize(("draw", "place"), [(0.0, 1), (0.24, 1), (0.26, 3), (1.0, 3)])
def test_bins_share_the_draws(draw, place):
    chances = jnp.array([[0.0, 0.25, 0.0, 0.75, 0.0], [0.0] * 5])
    found = sample_bins(chances, jnp.array([draw, draw]))
    np.testing.assert_array_equal(found, [place, 0])  # by hand


def test_the_view_is_what_was_drawn_and_a_probe_says_what():
    image, choice = jax.jit(jax.vmap(SMALL.probe, (0, None)))(KEYS, IMAGE)
    assert choice.operation.shape == (400, 1) and choice.bins.shape == (400, 1, 2)
    which, bins = np.asarray(choice.operation)[:, 0], np.asarray(choice.bins)[:, 0]
    # The view of a level l is plain, 100 l + a rest below 1; the bin is l's quarter.
    plain = 255 * np.asarray(image)[which == 1][:, 0, 0, 0]
    low, high = 25.0 * bins[which == 1, 0], 25.0 * bins[which == 1, 0] + 26.0
    assert (plain >= low - 1e-3).all() and (plain <= high + 1e-3).all()
    np.testing.assert_allclose(image[which == 0][0], IMAGE, atol=0.5 / 255 + 1e-6)
    counts = np.bincount(bins[which == 1, 0], minlength=4)
    assert counts.min() > 0.15 * counts.sum(), "uniform over the bins"


@pytest.mark.slow
def test_all_operations_give_images_in_the_range():
    policy = CTAugment()
    state = policy.init()
    run = jax.jit(lambda keys, image: jax.lax.map(lambda key: policy(key, image, state), keys))
    for image in (IMAGE, (255 * IMAGE).astype(np.uint8), IMAGE[..., :1].astype(np.float16)):
        found = run(KEYS[:64], image)
        assert found.shape == (64, *image.shape) and found.dtype == image.dtype
        assert np.asarray(found).min() >= 0 and (found.dtype == np.uint8 or found.max() <= 1)
        assert len(np.unique(np.asarray(found).reshape(64, -1), axis=0)) > 40
    # Mapped and vmapped agree.
    many = jax.jit(jax.vmap(policy, (0, None, None)))(KEYS[:8], IMAGE, state)
    np.testing.assert_allclose(many, run(KEYS[:8], IMAGE), atol=1e-6)


def test_a_bad_operation_loses_its_bins():
    policy = CTAugment(
        operations=(Operation(posterize_op, (8,)), Operation(identity_op, ())), depth=1, decay=0.8
    )

    @jax.jit
    def step(state, keys):
        _, choices = jax.vmap(policy.probe, (0, None))(keys, IMAGE)
        # What keeps fewer than five bits is not recognised any more.
        bad = (choices.operation[:, 0] == 0) & (choices.bins[:, 0, 0] < 4)
        return policy.update(state, choices, jnp.where(bad, 0.1, 0.9)), None

    state, _ = jax.lax.scan(step, policy.init(), KEYS.reshape(20, 20))
    assert (state.weights[0, 0, :4] < 0.3).all() and (state.weights[0, 0, 4:8] > 0.8).all()
    chances = np.asarray(policy.bin_probabilities(state.weights, policy.valid_bins()))[0, 0]
    assert (chances[:4] == 0).all() and (chances[4:] > 0.8).all()


@pytest.mark.slow
def test_it_works_where_numbers_have_64_bits():
    with jax.enable_x64(True):
        policy = CTAugment()
        one = jax.ShapeDtypeStruct(IMAGE.shape, "float64")
        assert jax.eval_shape(policy, KEYS[0], one, policy.init()) == one
        _, choices = jax.vmap(SMALL.probe, (0, None))(KEYS[:3], IMAGE)
        state = SMALL.update(SMALL.init(), choices, jnp.ones(3, jnp.float64))
        assert state.weights.dtype == jnp.float32


def test_no_gradient_flows_into_scores():
    def total(score):
        return SMALL.update(SMALL.init(), taken([1], [2, 0]), score).weights.sum()

    np.testing.assert_array_equal(jax.grad(total)(jnp.array([0.5])), [0.0])


def test_no_depth_is_the_identity_and_it_says_that_it_branches():
    policy = CTAugment(depth=0)
    np.testing.assert_array_equal(policy(KEYS[0], IMAGE, policy.init()), IMAGE)
    assert policy.has_branches and hash(policy) == hash(CTAugment(depth=0))


@pytest.mark.parametrize(
    "setting",
    [
        {"depth": -1},
        {"threshold": 1.5},
        {"decay": -0.1},
        {"fill": 2.0},
        {"operations": ()},
        {"operations": (identity_op,)},
        {"operations": (Operation(identity_op, (2, 2, 2)),)},
    ],
    ids=["depth", "threshold", "decay", "fill", "nothing", "no operation", "three parameters"],
)
def test_settings_are_checked(setting):
    with pytest.raises(BadInput, match=rf"CTAugment\.{next(iter(setting))} must"):
        CTAugment(**setting)
    with pytest.raises(BadInput, match=r"Operation\.bins must"):
        Operation(identity_op, (0,))
