"""Maps held to the source's: the functions' own losses, which layers, and in a run."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import nets
from mtl_jax.core.validation import BadInput
from mtl_jax.core.views import Apart, name_of
from mtl_jax.transfer import (
    AttentionTransfer,
    Behaviour,
    FitNet,
    attention_transfer,
    behaviour,
    fitnet,
)
from tests.transfer.sights import SOURCE, apart, begun, felt, learning, trained

METHODS = [(Behaviour(), behaviour), (AttentionTransfer(), attention_transfer), (FitNet(), fitnet)]


@pytest.mark.parametrize(("method", "function"), METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("view", ["labelled", "weak"])
@pytest.mark.parametrize("layers", [None, ("Conv_1",)], ids=["all", "one"])
def test_it_is_the_function_over_the_layers(method, function, view, layers):
    method = dataclasses.replace(method, view=view, layers=layers)
    sight, source = felt(method, 0), name_of(Apart((view,), by="source"))
    names = layers or ("Conv_0", "Conv_1")

    def by_hand(maps):
        return sum(function(maps[view][name], maps[source][name]).mean() for name in names)

    def own(maps):
        return method.update(sight._replace(maps=maps), ())[0].mean()

    (wanted, slopes), (found, got) = (
        jax.jit(jax.value_and_grad(f))(sight.maps) for f in (by_hand, own)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert wanted > 0 and np.abs(got[view][names[0]]).max() > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), got, slopes)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(got[source]))


def test_a_layer_that_is_not_there_is_named():
    method = Behaviour(layers=("Conv_2",))
    with pytest.raises(BadInput, match=r"Behaviour\.layers .* Conv_1.* not 'Conv_2'"):
        method.update(felt(method, 0), ())


@pytest.mark.parametrize("make", [Behaviour, AttentionTransfer, FitNet])
@pytest.mark.parametrize(
    ("field", "value"),
    [("weight", -1.0), ("view", "strong"), ("layers", ("a", "a")), ("layers", ()),
     ("layers", "Conv_0")],
    ids=str,
)  # fmt: skip
def test_what_is_refused(make, field, value):
    with pytest.raises(BadInput, match=rf"{make.__name__}\.{field} must"):
        make(**{field: value})


def test_in_a_run_it_holds_the_maps_near_the_source():
    trunk = nets.CNN((2, 3))
    source = begun(SOURCE.but(trunk=trunk))
    base = learning(Behaviour(0.0)).source.but(trunk=trunk)
    free = learning(Behaviour(0.0), trunk=trunk, source=base)
    plain = free.but(tasks=tuple(task.but(consistency=None) for task in free.tasks))
    held = learning(Behaviour(0.1), trunk=trunk, source=base)
    (one, said), (other, _), (near, told) = (trained(run, source, 6) for run in (free, plain, held))
    assert apart(one, other) < 1e-6
    assert told["unlabelled_loss/row"] < 0.7 * said["unlabelled_loss/row"]
    assert jnp.isfinite(told["loss/row"]).all() and apart(near, one) > 1e-4
