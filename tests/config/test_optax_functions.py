"""Optimizers of optax as settings: printed, hashed, and refused before anything is trained."""

import copy
import dataclasses
import functools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax import optimizers, sharing
from mtl_jax.aggregation import AutoLambda
from mtl_jax.config.meta_pseudo_labels import MetaPseudoLabels
from mtl_jax.config.optimizers import CosineSchedule, Optax
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.overrides import apply_overrides
from tests.small import ROW, RUN, UNLABELLED

PARAMS = {"shared": {"Dense_0": {"kernel": jnp.array([[1.0, -2.0]]), "bias": jnp.array([3.0])}}}
GRADS = [
    jax.tree.map(lambda leaf, s=scale: s * jnp.cos(leaf), PARAMS) for scale in (1.0, -0.5, 2.0)
]
LION = Optax(optax.lion, learning_rate=1e-4, b1=0.95)


def kernels(params):
    """A mask of what decays."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "kernel", params)


def clipped_lion(learning_rate, norm=1.0):
    """A user's own optimizer."""
    return optax.chain(optax.clip_by_global_norm(norm), optax.lion(learning_rate))


SETTINGS = [
    LION,
    Optax(optax.sgd, learning_rate=CosineSchedule(0.1, warmup=2)),
    Optax(optax.contrib.muon, learning_rate=0.02, ns_coeffs=(3.4445, -4.775, 2.0315)),
    Optax(optax.adafactor),
    Optax(optax.adamw, learning_rate=1, mu_dtype="bfloat16", mask=kernels),
    Optax(optax.contrib.mechanize, base_optimizer=LION, weight_decay=0.1),
    Optax(optax.apply_if_finite, inner=optimizers.Adam(0.1), max_consecutive_errors=3),
    Optax(clipped_lion, learning_rate=0.1),
]


@pytest.mark.parametrize("one", SETTINGS, ids=lambda one: one.function.__name__)
def test_its_text_makes_it_again(one):
    names = {**vars(optimizers), "optax": optax, "tests": __import__(__name__.split(".")[0])}
    again = eval(repr(one), names)
    assert again == one and hash(again) == hash(one) and again is not one
    assert fingerprint(again) == fingerprint(one)
    assert copy.deepcopy(one) == one and pickle.loads(pickle.dumps(one)) == one


def test_texts():
    assert repr(LION) == "Optax(optax.lion, b1=0.95, learning_rate=0.0001)"
    assert to_source(LION) == "Optax(optax.lion, b1=0.95, learning_rate=0.0001)"
    nested = Optax(optax.contrib.mechanize, base_optimizer=LION, weight_decay=np.float64(0.5))
    assert (
        repr(nested) == f"Optax(optax.contrib.mechanize, base_optimizer={LION}, weight_decay=0.5)"
    )
    assert to_source(nested) == repr(nested).replace(".contrib", "")
    own = to_source(Optax(clipped_lion, learning_rate=0.1))
    assert own.startswith("Optax(tests.clipped_lion#") and own.endswith(", learning_rate=0.1)")
    assert to_source(RUN.replace(optimizer=LION)).count(to_source(LION)) == 1


def test_what_differs_has_another_fingerprint():
    others = [*SETTINGS, LION.replace(b1=0.9), LION.replace(weight_decay=0.1)]
    others += [Optax(optax.adamw, learning_rate=1e-4, b1=0.95)]
    assert len(set(map(fingerprint, others))) == len(set(others)) == len(others)


def test_a_partial_is_its_function():
    assert Optax(optax.nadam, learning_rate=0.1) == Optax(
        optax.adam, learning_rate=0.1, nesterov=True
    )
    half = functools.partial(functools.partial(optax.lion, b1=0.5, b2=0.5), b1=0.95)
    assert Optax(half, learning_rate=1e-4, b2=0.99) == LION.replace(b2=0.99)


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LION.function = optax.sgd
    assert LION.replace(b1=0.9) == Optax(optax.lion, learning_rate=1e-4, b1=0.9)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Optax(optax.lion(1e-4)), "Optax.function must be a function at module level"),
        (lambda: Optax("lion"), "must be a function at module level, not 'lion'"),
        (lambda: Optax(lambda: optax.lion(1e-4)), "Optax.function must be a function at module"),
        (lambda: Optax(optax.inject_hyperparams(optax.sgd)), "Optax.function must be a function"),
        (
            lambda: Optax(optax.lion, learning_rat=1e-4),
            "Optax.learning_rat is no argument of optax.lion (did you mean learning_rate?)",
        ),
        (lambda: Optax(optax.lion), "Optax.learning_rate must be given: optax.lion requires it"),
        (
            lambda: Optax(optax.sgd, learning_rate=jnp.ones(2)),
            "Optax.learning_rate must be a finite number, a string, None, a schedule, an optimizer",
        ),
        (lambda: Optax(optax.sgd, learning_rate=float("nan")), "must be a finite number"),
        (lambda: Optax(optax.sgd, learning_rate=optax.cosine_decay_schedule(0.1, 9)), "learning_r"),
        (lambda: Optax(optax.lion, learning_rate="fast"), "fails in a step with gradients"),
        (lambda: Optax(optax.scale_by_adam), "not a part of one, not Optax(optax.scale_by_adam)"),
        (lambda: Optax(kernels, params=1), "fails in a step with gradients and parameters only"),
        (lambda: Optax(len, obj="abc"), "Optax.obj is no argument of builtins.len"),
        (lambda: Optax(str), "Optax.function must return an optax.GradientTransformation, not ''"),
        (
            lambda: Optax(optax.lbfgs),
            "Optax(optax.lbfgs) fails in a step with gradients and parameters only: TypeError(",
        ),
        (lambda: Optax(optax.polyak_sgd), "missing 1 required keyword-only argument: 'value'"),
        (lambda: Optax(optax.noisy_sgd, learning_rate=0.1, key=1), "a state without random keys"),
        (
            lambda: Optax(optax.contrib.schedule_free_sgd, learning_rate=0.1),
            "Optax.function must not change the parameters to evaluate; use optimizers.ScheduleFree, not",
        ),
        (
            lambda: Optax(
                optax.contrib.sam,
                optimizer=optimizers.SGD(0.1),
                adv_optimizer=Optax(optax.sgd, learning_rate=0.1),
            ),
            "Optax.function must not change the parameters to evaluate; use optimizers.SAM, not Optax(",
        ),
        (
            lambda: Optax(
                optax.apply_if_finite,
                inner=optimizers.SAM(optimizers.SGD(0.1)),
                max_consecutive_errors=3,
            ),
            "Optax.inner must not be a wrapper, whose own gradient optax does not take",
        ),
        (
            lambda: Optax(optax.lookahead, fast_optimizer=LION, sync_period=5, slow_step_size=0.5),
            "fails in a step with gradients and parameters only",
        ),
    ],
)
def test_bad_settings_are_refused_in_one_line(make, said):
    with pytest.raises(BadInput) as wrong:
        make()
    assert said in str(wrong.value) and "\n" not in str(wrong.value)


def test_it_is_what_optax_makes():
    """Step by step, with a schedule, and the rules' rates at the end."""
    setting = Optax(optax.adamw, learning_rate=CosineSchedule(0.2), weight_decay=0.3)
    rules = (ParamRule(".*/bias", lr_scale=0.5), ParamRule(".*"))
    ours, theirs = setting.build(3, rules), None
    params, state = PARAMS, ours.init(PARAMS)
    with jax.numpy_dtype_promotion("standard"):
        theirs = optax.adamw(CosineSchedule(0.2).schedule(3), weight_decay=0.3)
        wanted, wanted_state = PARAMS, theirs.init(PARAMS)
    for grads in GRADS:
        updates, state = ours.update(grads, state, params)
        with jax.numpy_dtype_promotion("standard"):
            expected, wanted_state = theirs.update(grads, wanted_state, params)
        np.testing.assert_allclose(
            updates["shared"]["Dense_0"]["kernel"], expected["shared"]["Dense_0"]["kernel"]
        )
        np.testing.assert_allclose(
            updates["shared"]["Dense_0"]["bias"], 0.5 * expected["shared"]["Dense_0"]["bias"]
        )
        params = optax.apply_updates(params, updates)
    assert wanted is PARAMS and setting.learning_rate == CosineSchedule(0.2)


def test_wrapped_optimizers_are_built_for_the_run():
    inner = Optax(optax.sgd, learning_rate=CosineSchedule(0.2, cycles=0.5))
    guarded = Optax(optax.apply_if_finite, inner=inner, max_consecutive_errors=3).build(2)
    state = guarded.init(PARAMS)
    for rate in (0.2, 0.2 * np.cos(np.pi / 4)):
        updates, state = guarded.update(GRADS[0], state, PARAMS)
        bias = updates["shared"]["Dense_0"]["bias"]
        np.testing.assert_allclose(bias, -rate * GRADS[0]["shared"]["Dense_0"]["bias"], rtol=1e-5)
    bad = jax.tree.map(lambda leaf: leaf * jnp.nan, GRADS[0])
    updates, _ = guarded.update(bad, state, PARAMS)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(updates))


NO_RATE = Optax(optax.apply_if_finite, inner=LION, max_consecutive_errors=3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"param_rules": (ParamRule(".*", weight_decay_scale=0.0),)},
            "Run.param_rules must not scale the weight decay of optax.transforms.apply_if_finite",
        ),
        (
            {"regularization": {"proximal": (sharing.TraceNorm(0.1),)}},
            "Run.optimizer with regularization.proximal must have a learning_rate",
        ),
        ({"balance": AutoLambda()}, "Run.optimizer with balance must have a learning_rate"),
        (
            {"evaluation": {"measure_affinity": True}},
            "Run.optimizer with evaluation.measure_affinity must have a learning_rate",
        ),
    ],
)
def test_what_a_run_needs_of_it(changes, said):
    with pytest.raises(BadInput) as wrong:
        RUN.replace(optimizer=NO_RATE, **changes)
    assert said in str(wrong.value)
    if "param_rules" not in changes:
        assert RUN.replace(optimizer=LION, **changes).optimizer.learning_rate == 1e-4


@pytest.mark.parametrize(
    ("change", "optimizer"),
    [
        ("b1=0.5", LION.replace(b1=0.5)),
        ("learning_rate=1", LION.replace(learning_rate=1.0)),
        (
            "b2=0.5",
            "Optax(optax.lion, b1=0.95, learning_rate=0.0001) sets no 'b2': did you mean b1?",
        ),
        ("b1=fast", "b1 must be float, not 'fast'"),
        ("function=optax.sgd", "sets no 'function'"),
    ],
)
def test_the_command_line_changes_a_setting(change, optimizer):
    run = RUN.replace(optimizer=LION)
    if isinstance(optimizer, str):
        with pytest.raises(BadInput) as wrong:
            apply_overrides((run,), [f"optimizer.{change}"])
        assert optimizer in str(wrong.value)
    else:
        assert apply_overrides((run,), [f"optimizer.{change}"])[0].optimizer == optimizer


def test_an_inner_schedule_is_changed_and_a_mapping_changes_settings():
    run = RUN.replace(optimizer=Optax(optax.sgd, learning_rate=CosineSchedule(0.1)))
    changed = run.replace(optimizer={"learning_rate": CosineSchedule(0.3), "momentum": 0.5})
    assert changed.optimizer == Optax(optax.sgd, learning_rate=CosineSchedule(0.3), momentum=0.5)
    (found,) = apply_overrides((run,), ["optimizer.learning_rate.peak=0.3"])
    assert found.optimizer.learning_rate == CosineSchedule(0.3)


def test_frozen_parameters_do_not_decay_at_all():
    rules = (ParamRule("shared/.*", frozen=True, weight_decay_scale=0.0), ParamRule(".*"))
    assert RUN.replace(optimizer=LION, param_rules=rules).param_rules == rules


def test_that_of_an_extension_is_checked_too():
    own = MetaPseudoLabels(optimizer=NO_RATE)
    with pytest.raises(BadInput, match="must not scale the weight decay"):
        UNLABELLED.replace(
            extensions=(own,), param_rules=(ParamRule(".*", weight_decay_scale=2.0),)
        )
    with pytest.raises(BadInput, match=r"MetaPseudoLabels\.optimizer must be an Optimizer or None"):
        MetaPseudoLabels(optimizer=optax.sgd(0.1))


def test_what_optax_makes_is_no_setting():
    with pytest.raises(BadInput, match=r"Run\.optimizer must be an Optimizer, not GradientTransf"):
        RUN.replace(optimizer=optax.sgd(0.1), tasks=(ROW,))
