"""Methods of a run: what they are made of, and which way each part of a net is pushed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import domain_adaptation
from mtl_jax.core.aux_inputs import Sizes, Views
from mtl_jax.core.head_specs import Free
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import name_of
from mtl_jax.domain_adaptation.discriminated import STARTED
from mtl_jax.losses import cross_entropy

B, U, D, C = 6, 8, 5, 3
SIZES = Sizes(C, 20, 12)
METHODS = {
    name: make() for name, make in vars(domain_adaptation).items() if name.isupper() and hasattr(make, "update")
}  # fmt: skip
every = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
RANDOM = np.random.default_rng(0)


def drawn(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


SHAPES = {"labelled": B, "weak": U, name_of(STARTED): B}
FEATURES = {view: drawn(size, D) for view, size in SHAPES.items()}
LABELS = np.arange(B, dtype=np.int32) % C


def heads_of(method):
    """One matrix for each head, and the task's own under ""."""
    random = np.random.default_rng(1)
    sizes = {"": (D, C)}
    for name, head in (method.heads(C) if hasattr(method, "heads") else {}).items():
        assert isinstance(head, Free)
        sizes[name] = (head.size or head.times * D, head.outputs)
    return {name: random.normal(size=size).astype(np.float32) for name, size in sizes.items()}


def seen(features, heads, progress=0.7):
    """What a linear net sees of features."""
    return Views(
        logits={view: each @ heads[""] for view, each in features.items()},
        labels=LABELS,
        mask=np.ones(B, bool),
        index=np.arange(U),
        labelled_index=np.arange(B),
        heads={},
        drawn={},
        progress=jnp.float32(progress),
        key=jax.random.key(0),
        features=features,
        call=lambda name, x: x @ heads[name],
    )


def loss_of(method, features, heads, **how):
    """Both losses of a method."""
    views = seen(features, heads, **how)
    own = method.supervised(views, cross_entropy, ()) if hasattr(method, "supervised") else 0.0
    return method.update(views, method.init(SIZES))[0].mean() + own


def slopes(method, **how):
    """Gradients of both losses by features and heads."""
    return jax.grad(lambda pair: loss_of(method, *pair, **how))((FEATURES, heads_of(method)))


def test_all_are_there():
    assert set(METHODS) == {
        "ADDA",
        "AFN",
        "CDAN",
        "CORAL",
        "DAN",
        "DANN",
        "JAN",
        "MCC",
        "MCD",
        "MDD",
    }


@every
def test_repr_makes_it_again(method):
    scope = vars(domain_adaptation)
    assert eval(repr(method), dict(scope)) == method
    assert hash(method) == hash(dataclasses.replace(method))


@every
def test_the_target_is_moved(method):
    features, _ = slopes(method)
    assert np.abs(features["weak"]).max() > 0
    if STARTED not in method.views:
        assert not np.abs(features[name_of(STARTED)]).any()


@every
def test_a_negative_weight_is_refused(method):
    with pytest.raises(BadInput, match="weight"):
        dataclasses.replace(method, weight=-1.0)


SHARP = domain_adaptation.WarmUp(1e9)  # The coefficient is 1 at once.


def test_compared_ones_are_their_functions():
    source, target = FEATURES["labelled"], FEATURES["weak"]
    heads = heads_of(domain_adaptation.DAN())
    found = loss_of(domain_adaptation.DAN(), FEATURES, heads)
    np.testing.assert_allclose(found, domain_adaptation.multi_kernel_mmd(source, target), rtol=1e-6)
    found = loss_of(domain_adaptation.CORAL(form="means"), FEATURES, heads)
    np.testing.assert_allclose(found, domain_adaptation.coral_with_means(source, target), rtol=1e-6)
    pairs = [(f, jax.nn.softmax(f @ heads[""])) for f in (source, target)]
    found = loss_of(domain_adaptation.JAN(), FEATURES, heads)
    np.testing.assert_allclose(found, domain_adaptation.joint_mmd(*pairs), rtol=1e-6)
    hard = loss_of(domain_adaptation.AFN(radius=2.0), FEATURES, heads)
    lengths = [np.linalg.norm(FEATURES[view], axis=1).mean() for view in ("labelled", "weak")]
    np.testing.assert_allclose(hard, sum((each - 2.0) ** 2 for each in lengths), rtol=1e-5)
    found = loss_of(domain_adaptation.AFN(step=0.5), FEATURES, heads)
    np.testing.assert_allclose(found, 0.5, rtol=1e-6)  # step^2 of each domain, by hand
    found = loss_of(domain_adaptation.MCC(), FEATURES, heads)
    np.testing.assert_allclose(
        found, domain_adaptation.class_confusion(target @ heads[""]), rtol=1e-6
    )


@pytest.mark.parametrize(
    "method", [domain_adaptation.DANN(warm_up=SHARP), domain_adaptation.CDAN(warm_up=SHARP)]
)
def test_the_discriminator_descends_and_the_features_ascend(method):
    def plain(pair):
        features, heads = pair
        shown = [
            features[v]
            if isinstance(method, domain_adaptation.DANN)
            else domain_adaptation.conditional_map(features[v], FEATURES[v] @ heads_of(method)[""])
            for v in ("labelled", "weak")
        ]
        return domain_adaptation.domain_adversarial(*(each @ heads["domain"] for each in shown))

    value = loss_of(method, FEATURES, heads_of(method))
    np.testing.assert_allclose(value, plain((FEATURES, heads_of(method))), rtol=1e-5)
    want = jax.grad(plain)((FEATURES, heads_of(method)))
    got = slopes(method)
    np.testing.assert_allclose(got[1]["domain"], want[1]["domain"], rtol=1e-4, atol=1e-6)
    for view in ("labelled", "weak"):
        np.testing.assert_allclose(got[0][view], -want[0][view], rtol=1e-4, atol=1e-6)


def test_reversal_begins_at_nothing():
    features, heads = slopes(domain_adaptation.DANN(), progress=0.0)
    assert not np.abs(features["weak"]).any() and np.abs(heads["domain"]).max() > 0


def test_certain_examples_count_more_in_cdan_e():
    heads = heads_of(domain_adaptation.CDAN())
    plain = loss_of(domain_adaptation.CDAN(), FEATURES, heads)
    weighted = loss_of(domain_adaptation.CDAN(entropy=True), FEATURES, heads)
    assert abs(plain - weighted) > 1e-4
    even = {**FEATURES, "labelled": 0 * FEATURES["labelled"], "weak": 0 * FEATURES["weak"]}
    np.testing.assert_allclose(
        loss_of(domain_adaptation.CDAN(entropy=True), even, heads), np.log(2.0), rtol=1e-6
    )


def test_the_random_map_is_the_same_at_every_call():
    method = domain_adaptation.CDAN(randomised=16)
    heads = heads_of(method)
    assert heads["domain"].shape == (16, 1)
    assert loss_of(method, FEATURES, heads) == loss_of(method, FEATURES, heads)


def test_bsp_is_added():
    heads = heads_of(domain_adaptation.DANN())
    more = loss_of(domain_adaptation.DANN(spectral=0.1), FEATURES, heads)
    penalty = sum(domain_adaptation.spectral_penalty(FEATURES[v]) for v in ("labelled", "weak"))
    np.testing.assert_allclose(
        more - loss_of(domain_adaptation.DANN(), FEATURES, heads), 0.1 * penalty, rtol=1e-4
    )


def test_adda_learns_no_labels_and_shows_the_discriminator_the_start():
    method = domain_adaptation.ADDA()
    heads = heads_of(method)
    found = loss_of(method, FEATURES, heads)
    said = [FEATURES[v] @ heads["domain"] for v in (name_of(STARTED), "weak")]
    np.testing.assert_allclose(found, domain_adaptation.domain_adversarial(*said), rtol=1e-5)
    features, slope = slopes(method)
    assert not np.abs(features["labelled"]).any() and not np.abs(slope[""]).any()


def test_mcd_heads_disagree_and_the_trunk_makes_peace():
    method = domain_adaptation.MCD(warm_up=SHARP, balance=0.0)
    heads = heads_of(method)

    def apart(pair):
        features, heads = pair
        said = [features["weak"] @ heads[name] for name in ("", "second")]
        return domain_adaptation.classifier_discrepancy(*said).mean()

    views = seen(FEATURES, heads)
    assert views.labels.shape == (B,)
    got = jax.grad(lambda pair: method.update(seen(*pair), ())[0])((FEATURES, heads))
    want = jax.grad(apart)((FEATURES, heads))
    np.testing.assert_allclose(got[0]["weak"], want[0]["weak"], rtol=1e-4, atol=1e-6)
    for name in ("", "second"):
        np.testing.assert_allclose(got[1][name], -want[1][name], rtol=1e-4, atol=1e-6)


def test_mdd_is_the_negative_disparity_with_a_reversed_trunk():
    method = domain_adaptation.MDD(warm_up=SHARP, coefficient=0.3)
    heads = heads_of(method)

    def found(pair):
        features, heads = pair
        own = [FEATURES[v] @ heads_of(method)[""] for v in ("labelled", "weak")]
        other = [features[v] @ heads["adversary"] for v in ("labelled", "weak")]
        return -domain_adaptation.margin_disparity(*own, *other)

    np.testing.assert_allclose(
        loss_of(method, FEATURES, heads), found((FEATURES, heads)), rtol=1e-5
    )
    want, got = jax.grad(found)((FEATURES, heads)), slopes(method)
    np.testing.assert_allclose(got[1]["adversary"], want[1]["adversary"], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(got[0]["weak"], -0.3 * want[0]["weak"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: domain_adaptation.DANN(widths=(0,)), "widths"),
        (lambda: domain_adaptation.CDAN(randomised=0), "randomised"),
        (lambda: domain_adaptation.MCD(widths=()), "widths"),
        (lambda: domain_adaptation.MCC(temperature=0.0), "temperature"),
        (lambda: domain_adaptation.CORAL(form="mean"), "form"),
    ],
)
def test_bad_settings_are_refused(make, said):
    with pytest.raises(BadInput, match=said):
        make()
