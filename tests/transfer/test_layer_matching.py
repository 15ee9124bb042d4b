"""Maps held to the source's: the functions' own losses, which layers, and what is refused."""

import dataclasses

import jax
import numpy as np
import pytest

from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import SeparatePass, view_key
from mtl_jax.transfer import (
    AttentionTransfer,
    BehavioralRegularization,
    FitNet,
    attention_transfer,
    behavioral_loss,
    fitnet,
)
from tests.transfer.sights import felt

METHODS = [
    (BehavioralRegularization(), behavioral_loss),
    (AttentionTransfer(), attention_transfer),
    (FitNet(), fitnet),
]


@pytest.mark.parametrize(("method", "function"), METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("view", ["labelled", "weak"])
@pytest.mark.parametrize("layers", [None, ("Conv_1",)], ids=["all", "one"])
def test_it_is_the_function_over_the_layers(method, function, view, layers):
    method = dataclasses.replace(method, view=view, layers=layers)
    sight, source = felt(method, 0), view_key(SeparatePass((view,), model="source"))
    names = layers or ("Conv_0", "Conv_1")

    def by_hand(maps):
        return sum(function(maps[view][name], maps[source][name]).mean() for name in names)

    def own(maps):
        return method.update(sight._replace(feature_maps=maps), ())[0].mean()

    (wanted, slopes), (found, got) = (
        jax.jit(jax.value_and_grad(f))(sight.feature_maps) for f in (by_hand, own)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert wanted > 0 and np.abs(got[view][names[0]]).max() > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, slopes)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(got[source]))


def test_a_layer_that_is_not_there_is_named():
    method = BehavioralRegularization(layers=("Conv_2",))
    with pytest.raises(
        BadInput, match=r"BehavioralRegularization\.layers .* Conv_1.* not 'Conv_2'"
    ):
        method.update(felt(method, 0), ())


@pytest.mark.parametrize("make", [BehavioralRegularization, AttentionTransfer, FitNet])
@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", -1.0), ("view", "strong"), ("layers", ("a", "a")), ("layers", ()),
     ("layers", "Conv_0")],
    ids=str,
)  # fmt: skip
def test_what_is_refused(make, field, value):
    with pytest.raises(BadInput, match=rf"{make.__name__}\.{field} must"):
        make(**{field: value})
