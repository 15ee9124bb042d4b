"""VAT: the divergence from the clean prediction, its entropy term, its views, and numbers."""

import jax
import numpy as np
import pytest

from mtl_jax.consistency import VAT
from mtl_jax.consistency.vat import CLEAN
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import AdversarialView, SeparatePass, view_key
from tests.consistency.seen import seen

P = np.array([[0.5, 0.5], [0.9, 0.1]], np.float32)
Q = np.array([[0.25, 0.75], [0.9, 0.1]], np.float32)

update = jax.jit(VAT.update, static_argnums=0)


def run(method, clean=None, moved=None, progress=0.5):
    clean, moved = (np.log(P) if clean is None else clean), (np.log(Q) if moved is None else moved)
    logits = {view_key(CLEAN): clean, view_key(method.adversarial): moved}
    views = seen(method, 0)._replace(logits=logits, progress=np.float32(progress))
    return update(method, views, ())


def test_the_divergence_by_hand():
    loss, _, metrics = run(VAT())
    np.testing.assert_allclose(loss, [0.5 * np.log(4 / 3), 0.0], rtol=1e-5, atol=1e-7)  # by hand
    assert metrics["mask_rate"] == 1.0


def test_the_entropy_by_hand():
    loss, _, _ = run(VAT(entropy=0.06), moved=np.log(P))
    wanted = 0.06 * -(P * np.log(P)).sum(1)
    np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_gradients_reach_the_clean_view_through_the_entropy_only():
    def total(clean, moved, method):
        return run(method, clean, moved)[0].sum()

    bare, with_entropy = (
        jax.grad(total, (0, 1))(np.log(P), np.log(Q), method) for method in (VAT(), VAT(entropy=1))
    )
    np.testing.assert_array_equal(bare[0], np.zeros_like(P))
    np.testing.assert_allclose(bare[1], Q - P, atol=1e-6)  # by hand
    np.testing.assert_allclose(with_entropy[1], bare[1], atol=1e-6)
    pull = -P * (np.log(P) - (P * np.log(P)).sum(1, keepdims=True))  # by hand
    np.testing.assert_allclose(with_entropy[0], pull, atol=1e-6)


def test_the_ramp_leaves_the_entropy_alone():
    early = run(VAT(entropy=0.5, ramp=0.4), progress=0.1)[0]
    divergence, entropy = (run(VAT(entropy=h), progress=0.1)[0] for h in (0.0, 0.5))
    np.testing.assert_allclose(early, 0.25 * divergence + (entropy - divergence), rtol=1e-5)


def test_statistics_of_its_passes_are_not_kept():
    """Both views are passes of their own; the adversary has the method's settings."""
    method = VAT(radius=2.0, iterations=3)
    assert method.views == (SeparatePass(("weak",), "student"), AdversarialView("weak", 2.0, 3))


def test_numbers_have_the_squared_error():
    method = VAT(target_type="continuous")
    clean, moved = np.zeros((2, 1), np.float32), np.array([[3.0], [-1.0]], np.float32)
    np.testing.assert_allclose(run(method, clean, moved)[0], [9.0, 1.0])  # by hand
    assert method.adversarial.target_type == "continuous"


def test_numbers_have_no_entropy():
    with pytest.raises(BadInput, match=r"VAT\.entropy must be 0 for numbers, not 0\.06"):
        VAT(entropy=0.06, target_type="continuous")
