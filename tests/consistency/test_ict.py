"""ICT: targets are mixed as the images were, by the teacher, and the weight grows."""

import jax
import numpy as np
import pytest

from mtl_jax.consistency import ICT
from mtl_jax.consistency.ict import TEACHER
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.views import MixedView, SeparatePass, view_key
from tests.consistency.seen import seen

METHOD = ICT(ramp=0.0)
TAUGHT = np.array([[0.8, 0.2], [0.4, 0.6], [0.5, 0.5]], np.float32)
SAID = np.array([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5]], np.float32)
DRAWN = MixParams(np.array([1, 2, 0], np.int32), np.full(3, 0.25, np.float32))

update = jax.jit(ICT.update, static_argnums=0)


def run(method=METHOD, taught=None, said=None, progress=0.5):
    logits = {
        view_key(TEACHER): np.log(TAUGHT) if taught is None else taught,
        view_key(method.mixed_view): np.log(SAID) if said is None else said,
    }
    views = seen(method, 0)._replace(logits=logits, progress=np.float32(progress))
    return update(method, views._replace(view_params={view_key(method.mixed_view): DRAWN}), ())


def test_values_by_hand():
    loss, _, metrics = run()
    # By hand: targets .25 * .8 + .75 * .4 = .5, then .475 and .725 of the first class.
    np.testing.assert_allclose(loss, [0.0, 0.375**2, 0.225**2], rtol=1e-5, atol=1e-8)
    assert metrics["mask_rate"] == 1.0


def test_no_gradient_reaches_the_teacher():
    def total(taught, said):
        return run(METHOD, taught, said)[0].sum()

    grads = jax.grad(total, (0, 1))(np.log(TAUGHT), np.log(SAID))
    np.testing.assert_array_equal(grads[0], np.zeros_like(TAUGHT))
    np.testing.assert_array_equal(np.abs(grads[1]).sum(1) > 1e-6, [False, True, True])


@pytest.mark.parametrize(("progress", "share"), [(0.0, np.exp(-5.0)), (0.125, np.exp(-1.25)),
                                                 (0.25, 1.0), (0.9, 1.0)])  # fmt: skip
def test_the_weight_grows_along_a_gaussian(progress, share):
    np.testing.assert_allclose(
        run(ICT(), progress=progress)[0], share * run()[0], rtol=1e-4, atol=1e-8
    )


def test_it_asks_for_one_ratio_a_batch_of_either_side():
    assert ICT(0.1).views == (
        SeparatePass(("weak",), "teacher"),
        MixedView(("weak",), 0.1, keep_dominant=False, per_example=False),
    )
