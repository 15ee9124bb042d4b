"""Domains in a step: who is drawn, what features say, and methods that see the source's net."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import data, domain_adaptation, nets, train
from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.compiled_run import compile_run
from mtl_jax.storage.abstract_data import abstract_data
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train.batch import sample_batch
from mtl_jax.train.view_requests import group_requests
from mtl_jax.train.views import Sampler
from mtl_jax.transfer import HEADS
from tests.small import ROW, RUN, part


def dimmed(arrays):
    """The same problem with dark images: another domain."""
    return {"inputs": 0.3 * arrays["inputs"], "row": arrays["row"]}


SOURCE = data.Arrays(
    *({k: part(n, s)[k] for k in ("inputs", "row")} for n, s in ((48, 0), (16, 1), (16, 2)))
)
TARGET = data.Arrays(*(dimmed(part(n, s)) for n, s in ((32, 3), (16, 4), (16, 5))))
DOMAINS = RUN.replace(
    name="domains",
    data=data.Domains((SOURCE,), TARGET),
    tasks=(ROW,),
    trunk=nets.MLP((12,), batch_norm=True),
    labels={"num_labelled": None},
    steps=4,
)


def ended(run, steps=2, source=None):
    """State and metrics after some steps."""
    prepared = load_run_data(run)
    made = compile_run(run, prepared.train)
    state = made.init(source)
    anchor = None
    if source is not None:
        anchor = jax.tree.map(jnp.copy, train.SourceModel(state.params, state.batch_stats))
    return made.train_steps(
        state, made.put_data(prepared.train._replace(source_model=anchor)), steps
    )


def test_the_pool_is_the_target_and_its_labels_are_not_drawn():
    given = load_run_data(DOMAINS).train
    stream = given.streams[""]
    np.testing.assert_array_equal(stream.pool, np.arange(48, 80))
    assert stream.labelled.index.shape == (2, 48) and stream.labelled.index.max() == 47
    assert not (stream.labels["row"][48:] >= 0).any()
    shapes = abstract_data(DOMAINS)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), shapes) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), given
    )


def test_unlabelled_batches_are_of_the_target_alone():
    run = DOMAINS.replace(tasks=(ROW.replace(auxiliary=domain_adaptation.DAN()),))
    stream = jax.tree.map(jnp.asarray, load_run_data(run).train.streams[""])
    one = jax.tree.map(lambda leaf: leaf[0], stream.labelled)
    key = jax.random.key(0)
    sampler, requests = Sampler(run, "vmap", ()), group_requests(run.tasks)
    batch = sample_batch(sampler, stream._replace(labelled=one), requests, key, jnp.int32(0))
    assert batch.inputs["weak"].max() < 0.31 < batch.inputs["labelled"].max()
    assert batch.unlabelled_index.max() < 32


@pytest.mark.slow
@pytest.mark.parametrize(
    "method",
    [
        domain_adaptation.DANN(widths=(8,), spectral=1e-3),
        domain_adaptation.CDAN(widths=(8,), entropy=True),
        domain_adaptation.MCD(widths=(8,)),
        domain_adaptation.MDD(widths=(8,)),
    ],
    ids=lambda method: type(method).__name__,
)
def test_methods_with_heads_of_their_own_train(method):
    run = DOMAINS.replace(tasks=(ROW.replace(auxiliary=method),))
    state, metrics = ended(run)
    name = next(iter(method.aux_heads(3)))
    head = state.params["tasks"]["heads"][f"row/{name}"]
    begun, _ = ended(run.replace(tasks=(ROW.replace(auxiliary=method),)), steps=1)
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), head, begun.params["tasks"]["heads"][f"row/{name}"]
    )
    assert max(jax.tree.leaves(moved)) > 0
    assert np.isfinite(metrics["unlabelled_loss/row"]).all()


@pytest.mark.slow
def test_adda_moves_the_trunk_towards_the_start_and_leaves_the_head():
    first = DOMAINS.replace(name="first")
    before, _ = ended(first)
    run = DOMAINS.replace(
        tasks=(ROW.replace(auxiliary=domain_adaptation.ADDA(widths=(8,))),),
        initialization={"init_from": first, "param_map": HEADS},
        param_rules=(ParamRule("tasks/heads/row/(kernel|bias)", frozen=True), ParamRule(".*")),
    )
    source = jax.tree.map(jnp.copy, (before.params, before.batch_stats))
    state, metrics = ended(run, source=source)
    head, old = state.params["tasks"]["heads"]["row"], before.params["tasks"]["heads"]["row"]
    jax.tree.map(np.testing.assert_array_equal, head, old)
    trunk = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), state.params["shared"], before.params["shared"]
    )
    assert max(jax.tree.leaves(trunk)) > 0
    assert np.isfinite(metrics["domain_accuracy/row"]).all()


def test_a_method_that_sees_the_source_wants_one():
    with pytest.raises(
        BadInput, match=r"Run\.initialization\.init_from is needed by the consistency of \['row'\]"
    ):
        DOMAINS.replace(tasks=(ROW.replace(auxiliary=domain_adaptation.ADDA()),))
