"""Plans: the first rule that matches counts, and nothing is left without one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.config.optimizers import SGD, Adam
from mtl_jax.config.param_rules import (
    ParamRule,
    assign_rules,
    check,
    find_rule,
    l2_sp_penalty,
    rule_of,
)
from mtl_jax.config.schedules import CosineSchedule
from mtl_jax.core.validation import BadInput

PARAMS = {
    "shared": {"a": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([3.0])}},
    "tasks": {"heads": {"row": {"kernel": jnp.array([0.5])}}},
}
GRADS = jax.tree.map(lambda leaf: 0.1 * leaf + 1.0, PARAMS)


def test_the_first_rule_counts():
    plan = (
        ParamRule("shared/.*bias", lr_scale=2.0),
        ParamRule("shared/.*", frozen=True),
        ParamRule(".*"),
    )
    assert rule_of(plan, "shared/a/bias").lr_scale == 2.0
    assert rule_of(plan, "shared/a/kernel").frozen
    assert rule_of(plan, "tasks/heads/row/kernel") is plan[2]
    assert find_rule(plan[:1], "shared/a/kernel") is None
    assert rule_of((), "anything") == ParamRule(".*")


def test_parameters_without_a_rule_are_all_named():
    with pytest.raises(BadInput, match="2 have none: shared/a/bias, shared/a/kernel; end it"):
        assign_rules(PARAMS, (ParamRule("tasks/.*"),))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (
            (ParamRule("shred/.*"), ParamRule(".*")),
            "'shred/.*' matches no parameter: did you mean shared",
        ),
        ((ParamRule(".*"), ParamRule("shared/.*")), "'shared/.*' never counts"),
        ((ParamRule("shared/a"), ParamRule(".*")), "matches no parameter"),
    ],
)
def test_a_rule_that_does_nothing_is_refused(plan, said):
    with pytest.raises(BadInput, match=said):
        check(PARAMS, plan)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pattern": "("}, "regular expression"),
        ({"pattern": 3}, "regular expression"),
    ],
)
def test_bad_rules_are_refused(change, said):
    with pytest.raises(BadInput, match=said):
        ParamRule(**{"pattern": ".*", **change})


def test_held_is_half_the_weighted_squared_distance():
    plan = (
        ParamRule("shared/.*bias", l2_sp=2.0),
        ParamRule("shared/.*", l2_sp=0.5),
        ParamRule(".*"),
    )
    start = jax.tree.map(jnp.zeros_like, PARAMS)
    # 2/2 * 9 + 0.5/2 * (1 + 4), by hand
    np.testing.assert_allclose(l2_sp_penalty(plan, PARAMS, start), 10.25)
    push = jax.grad(lambda params: l2_sp_penalty(plan, params, start))(PARAMS)
    np.testing.assert_allclose(push["shared"]["a"]["kernel"], [0.5, -1.0])
    np.testing.assert_allclose(push["shared"]["a"]["bias"], [6.0])
    np.testing.assert_array_equal(push["tasks"]["heads"]["row"]["kernel"], [0.0])
    kept = {"shared": {"a": {"kernel": PARAMS["shared"]["a"]["kernel"], "bias": None}}}
    np.testing.assert_allclose(l2_sp_penalty(plan, kept, start), 1.25)
    with pytest.raises(BadInput, match="init_from"):
        l2_sp_penalty(plan, PARAMS, None)


def after(optimizer, plan, steps=3):
    """Parameters after some steps on the same gradients."""
    transform = optimizer.build(10, plan)
    params, state = PARAMS, transform.init(PARAMS)
    for _ in range(steps):
        updates, state = transform.update(GRADS, state, params)
        params = jax.tree.map(jnp.add, params, updates)
    return params


@pytest.mark.parametrize("make", [SGD, Adam])
def test_a_rate_is_that_of_an_optimizer_with_this_rate(make):
    plan = (ParamRule("shared/.*", lr_scale=0.1), ParamRule("tasks/.*"))
    got = after(make(CosineSchedule(0.2), weight_decay=0.3), plan)
    slow, fast = (
        after(make(CosineSchedule(0.02), weight_decay=0.3), ()),
        after(make(CosineSchedule(0.2), weight_decay=0.3), ()),
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), got["shared"], slow["shared"]
    )
    jax.tree.map(np.testing.assert_array_equal, got["tasks"], fast["tasks"])


@pytest.mark.parametrize("make", [SGD, Adam])
def test_decay_is_that_of_an_optimizer_with_this_decay(make):
    plan = (
        ParamRule("shared/.*", weight_decay_scale=0.0),
        ParamRule("tasks/.*", weight_decay_scale=2.0),
    )
    got = after(make(0.2, weight_decay=0.3), plan)
    none, twice = after(make(0.2), ()), after(make(0.2, weight_decay=0.6), ())
    jax.tree.map(np.testing.assert_array_equal, got["shared"], none["shared"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got["tasks"], twice["tasks"]
    )


def test_a_plan_that_trains_nothing_is_refused():
    with pytest.raises(BadInput, match="must leave something to be trained"):
        check(PARAMS, (ParamRule(".*", frozen=True),))
    with pytest.raises(BadInput, match="frozen must be True or False"):
        ParamRule(".*", 0.1)
