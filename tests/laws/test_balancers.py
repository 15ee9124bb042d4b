"""What every weighting and aggregator keeps; a new one is tested by being exported."""

import dataclasses
import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import aggregation, weighting
from mtl_jax.core.balancing import GramWeighting, LossWeighting
from mtl_jax.core.fingerprint import fingerprint


def fields_of(make):
    return inspect.signature(make).parameters.values()


FACES = {**vars(weighting), **vars(aggregation)}
# Methods on two batches and on the Jacobian have laws of their own.
VERBS = ("weigh_losses", "weigh_gram")
CLASSES = [make for name, make in FACES.items() if name[0].isupper()]
MADE = [make() for make in CLASSES if all(p.default is not p.empty for p in fields_of(make))]
DEFAULTS = [method for method in MADE if any(hasattr(method, verb) for verb in VERBS)]
# Settings that change what is computed; numbers for each task are those of the first K.
FIVE = (1.0, 2.0, 0.5, 1.0, 3.0)
SETTINGS = [
    aggregation.AlignedMTL(preference=FIVE),
    aggregation.CRMOGM(initial=FIVE),
    aggregation.ConFIG(preference=FIVE),
    aggregation.FairGrad(alpha=0.0),
    aggregation.FairGrad(alpha=0.01),
    aggregation.FairGrad(alpha=100.0),
    aggregation.NashMTL(max_norm=1.0),
    aggregation.NashMTL(every=2),
    aggregation.UPGrad(preference=FIVE),
]
PER_TASK = ("preference", "initial")
METHODS = DEFAULTS + SETTINGS
GRAM = [method for method in METHODS if method.access == "gramian"]

# What the docstrings promise, by the names of the classes.
SAME_WEIGHTS_AT_ANY_SCALE = {
    "AlignedMTL",
    "CRMOGM",
    "ConFIG",
    "DualProj",
    "GeometricMedian",
    "GradNorm",
    "GradVac",
    "IMTLG",
    "Krum",
    "MGDA",
    "NTKMTL",
    "PCD",
    "PCGrad",
    "UPGrad",
}
# Power of the scale of all losses with which the weights go.
POWER_OF_LOSSES = {
    "CoV": 0,
    "Constant": 0,
    "DWA": 0,
    "Equal": 0,
    "FAMO": 0,
    "Geometric": 0,
    "LogSum": -1,
    "Mean": 0,
    "PBI": 0,
    "Random": 0,
    "TaskSampling": 0,
}
# The first task is not like the others.
ORDERED = {"PCD"}
# Of independent gradients.
SAME_DIRECTION = [{"ConFIG", "IMTLG"}, {"FairGrad", "PIVRG"}]
CONFLICTS = [aggregation.FairGrad(alpha=0.0)]
NEVER_CONFLICTS = {
    "DualProj": 1e-4,
    "FairGrad": 1e-5,
    "MGDA": 0.0,
    "NashMTL": 1e-5,
    "PIVRG": 1e-5,
    "UPGrad": 1e-4,
}  # up to a ridge, relative to the trace.

every = pytest.mark.parametrize("method", METHODS, ids=str)
every_gram = pytest.mark.parametrize("method", GRAM, ids=str)
DRAWS = 400
KEY = jax.random.key(7)
KEYS = jax.random.split(KEY, DRAWS)


@functools.cache
def compiled(method):
    """The method's verb, jitted once for all tests."""
    return jax.jit(verb(method))


@functools.cache
def vmapped(method):
    """The method's verb over many inputs and keys at once."""
    return jax.jit(jax.vmap(verb(method), (0, None, 0)))


def of_tasks(method, tasks):
    """The method with the numbers of these tasks, where it has one for each."""
    own = {
        name: tuple(getattr(method, name)[task] for task in tasks)
        for name in PER_TASK
        if isinstance(getattr(method, name, None), tuple)
    }
    return dataclasses.replace(method, **own) if own else method


def verb(method):
    return method.weigh_gram if method.access == "gramian" else method.weigh_losses


def weights_of(method, given, key=KEY):
    """Weights of the first step."""
    given = jnp.array(given, jnp.float32)
    return np.asarray(compiled(method)(given, method.init(len(given)), key)[0])


def inputs(method, num_tasks, seed=0):
    """What the method weighs: losses `[K]`, or the Gram matrix `[K, K]` of mixed gradients."""
    random = np.random.default_rng(seed)
    if method.access == "losses":
        return random.uniform(0.1, 3.0, size=num_tasks).astype(np.float32)
    rows = random.normal(size=(num_tasks, 12)) * random.uniform(0.5, 2.0, size=(num_tasks, 1))
    rows -= 0.9 * rows.mean(0)  # Nearly a zero sum, so most of them conflict with others.
    return (rows @ rows.T).astype(np.float32)


def test_there_are_methods():
    assert {type(method).__name__ for method in METHODS} >= {"Equal", "Uncertainty", "PCGrad"}


@every
def test_fits_one_joint_and_repr_makes_it_again(method):
    # CRMOGM is of the family of its method.
    one = method.method if isinstance(method, aggregation.CRMOGM) else method
    assert isinstance(one, LossWeighting) != isinstance(one, GramWeighting)
    assert method.access == ("losses" if isinstance(one, LossWeighting) else "gramian")
    again = eval(repr(method), dict(FACES))
    assert again == method and hash(again) == hash(method)
    assert fingerprint(again) == fingerprint(method)
    assert hash(method) == hash(dataclasses.replace(method))


# Other settings of a class are compiled for fewer tasks only among the slow tests.
COUNTS = [(method, n) for method in DEFAULTS for n in (1, 2, 5)] + [(m, 5) for m in SETTINGS]
SLOW = [pytest.param(m, n, marks=pytest.mark.slow) for m in SETTINGS for n in (1, 2)]


@pytest.mark.parametrize(("method", "num_tasks"), COUNTS + SLOW, ids=str)
def test_weights_and_state(method, num_tasks):
    method = of_tasks(method, range(num_tasks))
    state = method.init(num_tasks)
    shapes = jax.eval_shape(lambda: state)
    for seed in range(3):
        given = inputs(method, num_tasks, seed)
        weights, state = compiled(method)(given, state, KEY)
        assert weights.shape == (num_tasks,) and weights.dtype == given.dtype
        assert np.isfinite(weights).all() and np.abs(weights).sum() > 0.0
        assert jax.eval_shape(lambda state=state: state) == shapes
    if num_tasks == 1:
        assert weights[0] > 0.0


@every
def test_vmap_is_the_loop(method):
    given = jnp.stack([inputs(method, 5, seed % 3) for seed in range(DRAWS)])
    together = vmapped(method)(given, method.init(5), KEYS)
    for i in range(3):
        alone = compiled(method)(given[i], method.init(5), KEYS[i])
        for leaf, wanted in zip(*map(jax.tree.leaves, (together, alone)), strict=True):
            np.testing.assert_allclose(leaf[i], wanted, rtol=1e-4)


@every
def test_double_floats_stay_what_they_are(method):
    method = of_tasks(method, range(2))
    with jax.enable_x64(True):
        given = jnp.array(inputs(method, 2), "float64")
        weights, _ = jax.eval_shape(verb(method), given, method.init(2), KEY)
    assert weights.dtype == "float64"


@every
def test_permuting_tasks_permutes_weights(method):
    """On the mean over keys, for methods that draw: within five standard errors."""
    if type(method).__name__ in ORDERED:
        pytest.skip(f"{method} tells the first task from the others")
    given, order = inputs(method, 5), np.array([3, 0, 4, 2, 1])
    weights, others = (
        np.asarray(vmapped(made)(jnp.stack([item] * DRAWS), made.init(5), KEYS)[0])
        for made, item in (
            (method, given),
            (of_tasks(method, order), given[np.ix_(*[order] * given.ndim)]),
        )
    )
    error = 5.0 * np.sqrt(weights.var(0)[order] + others.var(0)) / np.sqrt(DRAWS)
    difference = np.abs(weights.mean(0)[order] - others.mean(0))
    assert (difference <= error + 1e-4 * np.abs(others.mean(0)).max()).all()


@every
def test_no_gradient_flows_through_the_weights(method):
    method = of_tasks(method, range(2))

    def second(given):
        _, state = verb(method)(given, method.init(2), KEY)
        weights, _ = verb(method)(given, state, KEY)
        return weights @ jnp.arange(2.0)

    given = jnp.array(inputs(method, 2))
    np.testing.assert_array_equal(jax.jit(jax.grad(second))(given), jnp.zeros_like(given))


@every
def test_huge_and_vanishing_inputs_stay_finite(method):
    given = inputs(method, 5)
    huge = (1e20, 1e30) if method.access == "gramian" else (1e10, 1e15)
    for scale in (0.0, 1e-30, 1e-20, *huge):
        state = method.init(5)
        for _ in range(2):
            weights, state = compiled(method)(jnp.array(scale * given, "float32"), state, KEY)
            assert np.isfinite(weights).all(), scale
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state)), scale


@every_gram
def test_degenerate_gradients_stay_finite(method):
    random = np.random.default_rng(2)
    rows = random.normal(size=(5, 8))
    lengths = 10.0 ** np.arange(-4, 5, 2)[:, None]
    for kind in (
        np.concatenate([np.zeros((1, 8)), rows[1:]]),
        np.concatenate([rows[:1], -rows[:1], rows[2:]]),
        np.concatenate([rows[:2], rows[:2], -rows[:1]]),
        rows[:, :1] * np.ones(8),
        lengths * rows,
        np.diag([1e-18, 1.0, 0.0, 1.0, 1e18]) - 1e-19,
    ):
        assert np.isfinite(weights_of(method, kind @ kind.T)).all()


@every_gram
@pytest.mark.parametrize("scale", [1e-16, 3.0, 1e16])
def test_scaling_all_gradients(method, scale):
    """The direction never changes; nor do the weights, where that is promised."""
    for seed in range(3):
        gram = inputs(method, 5, seed)
        before, after = weights_of(method, gram), weights_of(method, scale * gram)
        if type(method).__name__ not in SAME_WEIGHTS_AT_ANY_SCALE:
            before, after = before / np.abs(before).sum(), after / np.abs(after).sum()
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-6)


@every
@pytest.mark.parametrize("scale", [1e-10, 1e10])
def test_scaling_all_losses(method, scale):
    power = POWER_OF_LOSSES.get(type(method).__name__)
    if power is None:
        pytest.skip(f"{method} promises nothing of it")
    plain = scaled = method.init(5)
    for seed in range(4):
        losses = inputs(method, 5, seed)
        before, plain = compiled(method)(losses, plain, KEY)
        after, scaled = compiled(method)(np.float32(scale) * losses, scaled, KEY)
        np.testing.assert_allclose(after, before * np.float32(scale**power), rtol=1e-3, atol=1e-30)


@every_gram
def test_never_conflicts_where_that_is_promised(method):
    ridge = NEVER_CONFLICTS.get(type(method).__name__)
    if ridge is None or method in CONFLICTS:
        pytest.skip(f"{method} does not promise it")
    for num_tasks, seed in itertools.product((2, 5), range(4)):
        gram = inputs(method, num_tasks, seed)
        weights = weights_of(of_tasks(method, range(num_tasks)), gram)
        inner = gram.astype("float64") @ weights / np.trace(gram)
        assert (inner >= -ridge * weights - 1e-6 * np.abs(weights).max()).all()


@every_gram
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 2)], ids=str)
def test_what_is_not_finite_is_not_hidden(method, value, place):
    gram = inputs(method, 5)
    gram[place] = gram[place[::-1]] = value
    assert np.isnan(weights_of(method, gram)).all()
    assert np.isnan(weights_of(method, np.where(np.isfinite(gram), 0.0, gram))).all()


def test_all_differ_on_conflicting_gradients():
    """In what they do over some steps; those of one direction are named, and have it."""
    random = np.random.default_rng(1)
    lengths = np.array([[0.5], [1.0], [2.0], [1.0], [3.0]])
    grams = [rows @ rows.T for rows in lengths * random.normal(size=(4, 5, 6))]
    grams = 5 * grams  # Learnt weights move slowly.
    defaults = [method for method in DEFAULTS if method.access == "gramian"]
    found = {method: run_of(method, grams) for method in defaults} | {"the mean": np.ones((20, 5))}
    shares = {name: w / np.abs(w).sum(1, keepdims=True) for name, w in found.items()}
    for (one, a), (two, b) in itertools.combinations(shares.items(), 2):
        same = {type(one).__name__, type(two).__name__} in SAME_DIRECTION
        distance = np.abs(a - b).max()
        assert distance < 1e-4 if same else distance > 0.03, (one, two)


def run_of(method, grams):
    """Weights `[steps, K]` of one step after another."""
    state, found = method.init(len(grams[0])), []
    for gram in grams:
        weights, state = compiled(method)(jnp.array(gram, jnp.float32), state, KEY)
        found.append(np.asarray(weights))
    return np.array(found)


def test_two_tasks_pcgrad_is_upgrad_of_the_sum():
    pcgrad, upgrad = aggregation.PCGrad(), aggregation.UPGrad(preference=(1.0, 1.0))
    for seed in range(5):
        gram = inputs(pcgrad, 2, seed)
        np.testing.assert_allclose(weights_of(pcgrad, gram), weights_of(upgrad, gram), rtol=2e-2)
        exact = dataclasses.replace(upgrad, ridge=0.0)
        np.testing.assert_allclose(weights_of(pcgrad, gram), weights_of(exact, gram), rtol=1e-4)


def direction_of(method, rows):
    """What a step goes along, as a unit vector."""
    total = weights_of(method, rows @ rows.T) @ rows
    return total / np.linalg.norm(total)


def test_two_tasks_imtl_g_and_config_bisect_the_angle():
    for seed in range(5):
        rows = np.random.default_rng(seed).normal(size=(2, 6)) * np.array([[1.0], [30.0]])
        middle = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).sum(0)
        for method in (aggregation.IMTLG(), aggregation.ConFIG()):
            found = direction_of(method, rows)
            np.testing.assert_allclose(found, middle / np.linalg.norm(middle), atol=1e-4)


def test_orthogonal_gradients_of_one_length_are_averaged():
    rows = 3.0 * np.linalg.qr(np.random.default_rng(0).normal(size=(6, 4)))[0].T
    mean = rows.sum(0) / np.linalg.norm(rows.sum(0))
    named = ("AlignedMTL", "ConFIG", "DualProj", "IMTLG", "MGDA", "PCGrad", "UPGrad")
    for name in named:
        np.testing.assert_allclose(direction_of(FACES[name](), rows), mean, atol=1e-5)


def test_one_gradient_projected_alone_is_dual_proj_and_upgrad():
    preference = (0.0, 1.0, 0.0, 0.0)
    one, other = (FACES[name](ridge=0.0, preference=preference) for name in ("DualProj", "UPGrad"))
    for seed in range(5):
        gram = inputs(one, 4, seed)
        np.testing.assert_allclose(weights_of(one, gram), weights_of(other, gram), rtol=1e-4)


def test_fairgrad_of_alpha_one_is_nash_mtl():
    fair, nash = aggregation.FairGrad(alpha=1.0), aggregation.NashMTL()
    for seed in range(5):
        gram = inputs(fair, 4, seed)
        np.testing.assert_allclose(weights_of(fair, gram), weights_of(nash, gram), rtol=1e-6)


def test_cagrad_of_c_zero_is_the_mean():
    method = aggregation.CAGrad(c=0.0)
    np.testing.assert_allclose(weights_of(method, inputs(method, 4)), np.full(4, 0.25), rtol=1e-6)
