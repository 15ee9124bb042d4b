"""Warm-up, stable rate, decay; and schedules of optax as settings."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mtl_jax.config.optimizers import SGD, OptaxSchedule, WSDSchedule
from mtl_jax.core.fingerprint import fingerprint, to_source
from mtl_jax.core.validation import BadInput
from tests.small import RUN

WARM = OptaxSchedule(
    optax.warmup_cosine_decay_schedule,
    init_value=0.0,
    peak_value=0.1,
    warmup_steps=2,
    decay_steps=9,
)


def test_wsd_is_what_optax_joins():
    parts = (optax.constant_schedule(0.3), optax.linear_schedule(0.3, 0.0, 20))
    wanted = optax.join_schedules(parts, (60,))
    rate = jax.jit(WSDSchedule(0.3, decay=0.25).schedule(80))
    found = [rate(step) for step in range(83)]
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(found, [wanted(step) for step in range(83)], atol=1e-7)


def test_wsd_by_hand():
    found = [
        float(WSDSchedule(2.0, warmup=3, decay=0.5, power=0.5).schedule(8)(t)) for t in range(9)
    ]
    by_hand = [0.5, 1.0, 1.5, 2.0] + [2.0 * (1 - np.sqrt(d / 4)) for d in range(5)]
    np.testing.assert_allclose(found, by_hand, atol=1e-6)
    np.testing.assert_allclose(WSDSchedule(2.0, decay=0.0).schedule(8)(jnp.arange(9)), 2.0)


def test_one_of_optax_is_what_optax_makes():
    rate = jax.jit(WARM.schedule(3))
    wanted = optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 9)
    with jax.numpy_dtype_promotion("standard"):
        np.testing.assert_allclose(
            [rate(s) for s in range(12)], [wanted(s) for s in range(12)], rtol=1e-5
        )
    assert rate(0).dtype == jnp.float32
    joined = OptaxSchedule(
        optax.join_schedules, schedules=(WARM, WSDSchedule(0.5, decay=0.5)), boundaries=(3,)
    )
    np.testing.assert_allclose(joined.schedule(4)(6), 0.25, rtol=1e-6)  # Step 3 of 4.


def test_it_prints_and_hashes():
    again = eval(repr(WARM), {"OptaxSchedule": OptaxSchedule, "optax": optax})
    assert again == WARM and hash(again) == hash(WARM) and copy.deepcopy(WARM) == WARM
    assert repr(WARM).startswith(
        "OptaxSchedule(optax.schedules.warmup_cosine_decay_schedule, decay"
    )
    assert to_source(WARM) == repr(WARM).replace(".schedules.", ".")
    runs = [RUN.replace(optimizer=SGD(rate)) for rate in (WARM, WARM.replace(decay_steps=8), 0.1)]
    assert len({fingerprint(run) for run in runs}) == 3


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: OptaxSchedule(optax.linear_schedule, init_value=1.0), "end_value must be given"),
        (
            lambda: OptaxSchedule(optax.linear_schedule(1.0, 0.0, 9)),
            "OptaxSchedule.function must be a function at module level, not <",
        ),
        (
            lambda: OptaxSchedule(optax.constant_schedule, valu=1.0),
            "OptaxSchedule.valu is no argument of optax.schedules.constant_schedule (did you mean",
        ),
        (lambda: OptaxSchedule(optax.sgd, learning_rate=0.1), "fails: TypeError("),
        (lambda: OptaxSchedule(optax.constant_schedule, value=(0.1, 0.2)), "to a number"),
        (lambda: WSDSchedule(0.1, decay=1.5), "WSDSchedule.decay must lie between 0.0 and 1.0"),
        (lambda: WSDSchedule(-0.1), "WSDSchedule.peak must be at least 0.0"),
        (lambda: WSDSchedule(0.1, warmup=-1), "WSDSchedule.warmup must be at least 0"),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(BadInput) as wrong:
        make()
    assert said in str(wrong.value) and "\n" not in str(wrong.value)
