"""Losses of transfer: seeds side by side, and the precision that they were given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax.transfer import (
    attention_transfer,
    behavioral_loss,
    bss,
    ccl,
    delta,
    distillation,
    empty_queues,
    enqueue,
    fitnet,
    pkt,
    rkd_angle,
    rkd_distance,
    similarity_preserving,
)


def shrunk(student, teacher):
    return bss(student)


def kept(student, teacher):
    return delta(student, teacher, jnp.full(4, 0.25))


def looked(student, teacher):
    return attention_transfer(student[..., None], teacher[..., None])


def queued(student, teacher):
    labels = jnp.array([0, 1, 0])
    queues = enqueue(empty_queues(2, 3, 4), teacher, labels)
    return ccl(student, teacher, labels, queues)


LOSSES = [
    shrunk,
    kept,
    looked,
    queued,
    behavioral_loss,
    distillation,
    fitnet,
    pkt,
    rkd_angle,
    rkd_distance,
    similarity_preserving,
]
STUDENTS, TEACHERS = np.random.default_rng(0).normal(size=(2, 2, 3, 4))


@pytest.mark.parametrize("loss", LOSSES)
def test_seeds_side_by_side(loss):
    students, teachers = jnp.float32(STUDENTS), jnp.float32(TEACHERS)
    found = jax.jit(jax.vmap(loss))(students, teachers)
    np.testing.assert_allclose(found[1], loss(students[1], teachers[1]), rtol=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_precision_stays_and_the_teacher_may_have_another(loss, dtype):
    with jax.enable_x64(True):
        student = jnp.array(STUDENTS[0], dtype)
        found = jax.jit(loss)(student, jnp.array(TEACHERS[0], jnp.float32))
        assert found.dtype == dtype
        wanted = loss(jnp.array(STUDENTS[0]), jnp.array(TEACHERS[0]))
        np.testing.assert_allclose(found.astype(float), wanted, rtol=0.1)
