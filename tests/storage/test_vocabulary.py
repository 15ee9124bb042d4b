"""Tokens: a trunk that reads them gets integers of its vocabulary, in every part."""

import flax.linen as nn
import numpy as np
import pytest

from mtl_jax import augment, data, nets
from mtl_jax.augment import tokens
from mtl_jax.core.validation import BadInput
from mtl_jax.runner.trace import trace_run
from mtl_jax.storage.run_data import load_run_data
from tests.small import ROW, RUN

BERT = nets.BERT(vocabulary=20, width=4, depth=1, heads=2, hidden=4, places=6)


def texts(highest, dtype=np.int32):
    """A part of the data: texts whose largest token is known."""
    x = np.arange(12 * 6).reshape(12, 6) % 19 + 1
    x[3, 4] = highest
    return {"inputs": x.astype(dtype), "row": (np.arange(12) % 3).astype(np.int32)}


def run(train=19, validation=19, test=19, dtype=np.int32, **changes):
    """A run on such texts."""
    parts = data.Arrays(*(texts(highest, dtype) for highest in (train, validation, test)))
    settings = {
        "data": parts,
        "tasks": (ROW,),
        "trunk": BERT,
        "labels": {"num_labelled": None},
        "augmentation": {"strong": None},
    }
    return RUN.replace(name="texts", **settings | changes)


def test_tokens_of_the_vocabulary_are_taken():
    load_run_data(run())
    trace_run(run(augmentation={"strong": tokens.TokenMask(mask=19)}), 1)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("token", [20, 49])
def test_tokens_of_no_vocabulary_are_named_with_their_part(part, token):
    said = rf"run 'texts': .*vocabulary of 20.* in 0\.\.19, but the {part} data has token {token}$"
    with pytest.raises(BadInput, match=said):
        load_run_data(run(**{part: token}))


@pytest.mark.parametrize(
    "trunk", [nets.PerTaskTrunk(BERT), nets.CGC(expert=BERT)], ids=["PerTask", "CGC"]
)
def test_a_vocabulary_is_found_inside_of_a_trunk(trunk):
    with pytest.raises(BadInput, match="the test data has token 20"):
        load_run_data(run(test=20, trunk=trunk))


@pytest.mark.parametrize(
    "policy",
    [
        tokens.TokenMask(mask=20),
        tokens.TokenDeletion(padding=20),
        tokens.Synonyms(table=((3, 4), (5, 6, 20))),
        augment.Chain((tokens.RandomSwap(), tokens.TokenMask(mask=20))),
    ],
    ids=["mask", "deletion", "synonyms", "chain"],
)
def test_tokens_that_an_augmentation_brings_are_of_the_vocabulary(policy):
    with pytest.raises(BadInput, match=r"of augmentation\.strong inserts token 20"):
        load_run_data(run(augmentation={"strong": policy}))


def test_numbers_are_no_tokens_and_tokens_no_numbers():
    with pytest.raises(BadInput, match=r"BERT\(.*reads tokens, .* the data has inputs of float32"):
        trace_run(run(dtype=np.float32), 1)
    with pytest.raises(BadInput, match=r"MLP\(.*reads numbers, .* the data has inputs of int32"):
        trace_run(run(trunk=nets.MLP((4,))), 1)
    trace_run(run(dtype=np.float32, trunk=nets.MLP((4,))), 1)


class Own(nn.Module):
    """A trunk of a user's own, which embeds tokens as it likes."""

    convolutional = False

    @nn.compact
    def __call__(self, x, *, train):
        """Maps tokens `[N, T]` to features `[N, D]`."""
        return nn.Embed(20, 4)(x).mean(1)


def test_a_trunk_of_a_users_own_may_read_whole_numbers():
    trace_run(run(trunk=Own()), 1)


SHAPES = {
    "images": (8, 8, 3), "small images": (4, 4, 1), "signals": (30, 2), "numbers": (5,),
    "tokens": (12,),
}  # fmt: skip
TRUNKS = {
    "MLP": (nets.MLP((4,)), {"images", "small images", "signals", "numbers"}),
    "CNN": (nets.CNN((4, 4)), {"images", "small images"}),
    "FCN": (nets.FCN((4, 4, 4)), {"signals"}),
    "ViT": (nets.ViT(patch=4, width=4, depth=1, heads=2), {"images", "small images"}),
    "BERT": (nets.BERT(vocabulary=50, width=4, depth=1, heads=2, hidden=4, places=16), {"tokens"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("name", TRUNKS)
def test_a_trunk_takes_its_inputs_and_refuses_others_in_one_line(name, kind):
    trunk, fine = TRUNKS[name]
    dtype = np.int32 if kind == "tokens" else np.float32
    part = {
        "inputs": np.ones((6, *SHAPES[kind]), dtype),
        "row": (np.arange(6) % 3).astype(np.int32),
    }
    one = RUN.replace(
        name="r", data=data.Arrays(part, part, part), tasks=(ROW,), trunk=trunk, labels={"num_labelled": None}, augmentation={"strong": None})  # fmt: skip
    if kind in fine:
        trace_run(one, 1)
        return
    with pytest.raises(BadInput, match=rf"^run 'r': trunk {name}\(") as wrong:
        trace_run(one, 1)
    assert "\n" not in str(wrong.value)
