"""FixBi as a method: its losses against plain NumPy, its phases, and two nets in a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation, nets
from mtl_jax.consistency import SumOfLosses
from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import MixedView, view_key
from mtl_jax.domain_adaptation.fixbi import HALF, branch_logits
from mtl_jax.losses import cross_entropy
from mtl_jax.nets.pretrained import Preprocessing
from mtl_jax.train.views import mix_views
from tests.small import ROW
from tests.train.test_domains_in_step import DOMAINS, ended

B, U, D, C = 4, 6, 3, 3
METHOD = domain_adaptation.FixBi(num_std=0.5)
RANDOM = np.random.default_rng(0)
SIZES = {"labelled": B, "weak": U, view_key(METHOD.mixed_view): B + U, view_key(HALF): B + U}
FEATURES = {view: RANDOM.normal(size=(n, 2 * D)).astype(np.float32) for view, n in SIZES.items()}
HEAD = RANDOM.normal(size=(2 * D, C)).astype(np.float32), np.array([0.3, -0.2, 0.1], np.float32)
LABELS, MASK = np.array([0, 2, 1, -1], np.int32), np.array([True, True, True, False])
PARTNER = np.array([4, 5, 6, 7, 0, 1, 2, 3, 0, 1])  # of 4 and 6, in order


def seen(features, progress):
    def call(name, x):
        return (
            x @ HEAD[0] + HEAD[1][None] if name == "" else jnp.log(jnp.array([[0.5, 2.0]])) + 0 * x
        )

    return AuxInputs(
        logits={}, labels=jnp.asarray(LABELS), mask=jnp.asarray(MASK), unlabelled_index=np.arange(U), labelled_index=np.arange(B),
        heads={}, view_params={view_key(METHOD.mixed_view): MixParams(PARTNER, None)},
        progress=jnp.float32(progress), key=jax.random.key(0), features=features, head_fn=call,
    )  # fmt: skip


def logs(view, net):
    """Logarithms of a net's probabilities: its half of the features and of the head."""
    rows = slice(D * net, D * net + D)
    logits = FEATURES[view][:, rows] @ HEAD[0][rows] + HEAD[1] / 2
    return logits - np.log(np.exp(logits).sum(1, keepdims=True)), logits


def test_images_are_mixed_across_parts_in_order():
    images = {
        "labelled": jnp.ones((B, 2)),
        "weak": jnp.arange(U, dtype=float)[:, None] * jnp.ones((U, 2)),
    }
    found, drawn = mix_views(
        MixedView(("labelled", "weak"), fixed_lambda=0.7), jax.random.key(0), images
    )
    np.testing.assert_array_equal(drawn.partner, PARTNER)
    np.testing.assert_allclose(found[:B, 0], 0.7 + 0.3 * np.arange(B), rtol=1e-6)
    np.testing.assert_allclose(found[B:, 0], 0.7 * np.arange(U) + 0.3, rtol=1e-6)
    with pytest.raises(BadInput, match=r"MixedView\.views must be two"):
        MixedView(("labelled",), fixed_lambda=0.7)
    with pytest.raises(BadInput, match=r"MixedView\.kind must"):
        MixedView(("labelled", "weak"), fixed_lambda=0.7, kind="cutmix")
    tokens = {name: each.astype(jnp.int32) for name, each in images.items()}
    with pytest.raises(BadInput, match="not tokens, not 'int32'"):
        mix_views(MixedView(("labelled", "weak"), fixed_lambda=0.7), jax.random.key(0), tokens)


def test_the_labelled_loss_is_plain_and_then_mixed():
    supervised = jax.jit(
        lambda progress: METHOD.labelled_loss(seen(FEATURES, progress), cross_entropy, ())
    )
    plain = sum(
        -np.mean([logs("labelled", net)[0][i, LABELS[i]] for i in range(3)]) for net in (0, 1)
    )
    np.testing.assert_allclose(supervised(0.2), plain, rtol=1e-5)
    guess = [logs("weak", net)[1].argmax(1) for net in (0, 1)]
    said = [logs(view_key(METHOD.mixed_view), net)[0] for net in (0, 1)]
    first = [0.7 * said[0][i, LABELS[i]] + 0.3 * said[0][i, guess[0][i]] for i in range(3)]
    second = [
        0.3 * said[1][B + j, LABELS[j % B]] + 0.7 * said[1][B + j, guess[1][j]]
        for j in range(U)
        if MASK[j % B]
    ]
    np.testing.assert_allclose(supervised(0.3), -np.mean(first) - np.mean(second), rtol=1e-5)


def test_guesses_are_unlearnt_and_then_taught():
    update = jax.jit(lambda progress: METHOD.update(seen(FEATURES, progress), ())[0])
    logp, logits = zip(*(logs("weak", net) for net in (0, 1)), strict=True)
    most = [np.exp(each).max(1) for each in logp]
    sure = [each.mean() - 0.5 * each.std(ddof=1) for each in most]
    unlearnt, taught = 0.0, 0.0
    for net, temperature in enumerate((2.5, 10.0)):
        soft = np.exp(logits[net] / temperature)
        soft = (soft / soft.sum(1, keepdims=True)).max(1)
        unlearnt += np.mean(np.where(most[net] < sure[net], -np.log(1 - soft), 0))
        other = logp[1 - net].argmax(1)
        own = -logp[net][np.arange(U), other]
        taught += np.mean(np.where(most[1 - net] >= sure[1 - net], own, 0))
    p, q = (np.exp(logs(view_key(HALF), net)[0]) for net in (0, 1))
    assert update(0.2) == 0
    np.testing.assert_allclose(update(0.3), unlearnt, rtol=1e-5)
    agreed = np.square(p - q).mean()
    np.testing.assert_allclose(update(0.5), unlearnt + taught + agreed, rtol=1e-5)


@pytest.mark.slow
def test_two_nets_train_in_a_run_and_are_apart():
    run = DOMAINS.replace(
        tasks=(ROW.replace(auxiliary=domain_adaptation.FixBi(num_std=0.0)),),
        trunk=nets.TwoBranch(nets.MLP((12,), batch_norm=True)),
        steps=8,
    )
    state, metrics = ended(run, 6)
    one, other = (state.params["shared"][f"net_{net}"]["Dense_0"]["kernel"] for net in (0, 1))
    assert np.abs(one - other).max() > 0.01
    before, _ = ended(run, 1)
    for net in (0, 1):
        old = before.params["shared"][f"net_{net}"]["Dense_0"]["kernel"]
        assert np.abs(state.params["shared"][f"net_{net}"]["Dense_0"]["kernel"] - old).max() > 1e-3
    assert np.isfinite(metrics["loss/row"]).all() and (metrics["unlabelled_loss/row"] > 0).all()
    bias = state.params["tasks"]["heads"]["row/temperature"]["Dense_0"]["bias"]
    assert (np.abs(bias) > 0).all(), "temperatures are learnt"


def test_both_nets_add_up_to_what_is_judged():
    sight = seen(FEATURES, 0.5)
    found = sum(branch_logits(sight, "weak", net) for net in (0, 1))
    np.testing.assert_allclose(found, FEATURES["weak"] @ HEAD[0] + HEAD[1], rtol=1e-5, atol=1e-6)


def test_one_net_for_two_is_refused():
    with pytest.raises(BadInput, match=r"trunk must be nets.TwoBranch, .* of \['row'\] trains two"):
        DOMAINS.replace(tasks=(ROW.replace(auxiliary=domain_adaptation.FixBi()),))
    both = SumOfLosses((domain_adaptation.FixBi(), domain_adaptation.MCC()))
    with pytest.raises(BadInput, match=r"trunk must be nets.TwoBranch"):
        DOMAINS.replace(tasks=(ROW.replace(auxiliary=both),))
    twins = nets.Preprocessed(nets.TwoBranch(nets.MLP((4,))), Preprocessing(6, (0.5,), (0.5,)))
    assert DOMAINS.replace(trunk=twins, tasks=(ROW.replace(auxiliary=both),)).trunk is twins


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"warm_up": 0.6}, "FixBi.matching must not be below warm_up, 0.6")],
    ids=str,
)
def test_what_is_refused(settings, said):
    with pytest.raises(BadInput, match=said):
        domain_adaptation.FixBi(**settings)
