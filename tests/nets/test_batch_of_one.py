"""BatchNorm of a single value is refused: its variance is 0, and what it puts out is its bias."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mtl_jax import augment, consistency, nets, transfer
from mtl_jax.core.validation import BadInput
from mtl_jax.nets import make_model
from mtl_jax.runner.trace import trace_run
from tests.runner.launching import launched
from tests.small import ROW, RUN

VECTORS = nets.MLP((4,), batch_norm=True)
ONE = RUN.replace(batch_size=1, labels={"num_labelled": None}, tasks=(ROW,), num_seeds=1)


class Own(nn.Module):
    """A trunk of a user's own, whose axis of channels is not the last."""

    axis: int
    convolutional = False

    @nn.compact
    def __call__(self, x, *, train):
        """Maps images to features."""
        norm = nn.BatchNorm(use_running_average=not train, axis=self.axis)
        return norm(x).reshape(x.shape[0], -1)


def encoded(trunk, shape, plan=()):
    """Features of a batch in training, by shapes alone."""
    net = make_model(trunk, {"row": 3}, plan)
    x = jnp.ones(shape)

    def both():
        params, stats = net.init(jax.random.key(0), x[:1])
        return net.apply(params, stats, x, train=True, key=jax.random.key(1))

    return jax.eval_shape(both)


def test_one_value_normalized_says_nothing_of_the_input():
    """What is refused: features of a batch of one are the same for every input."""
    variables = VECTORS.init(jax.random.key(0), jnp.ones((1, 5)), train=False)
    one, other = (
        VECTORS.apply(variables, x, train=True, mutable="batch_stats")[0]
        for x in (jnp.ones((1, 5)), jnp.arange(5.0)[None])
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("trunk", "shape", "count"),
    [
        (VECTORS, (1, 5), 1),
        (VECTORS, (2, 5), 2),
        (nets.CNN((4,)), (1, 6, 6, 1), 36),
        (nets.CNN((4, 4)), (1, 2, 2, 1), 1),
        (nets.CNN((4, 4)), (1, 4, 4, 1), 4),
        (nets.FCN((4,), (3,)), (1, 1, 2), 1),
        (nets.FCN((4,), (3,)), (1, 7, 2), 7),
        (nets.PerTaskTrunk(VECTORS), (1, 5), 1),
        (nets.PerTaskTrunk(VECTORS), (2, 5), 2),
        (nets.MTAN(VECTORS), (1, 5), 1),
        (nets.LoRA(VECTORS, rank=1), (1, 5), 1),
        (nets.StochNorm(VECTORS), (1, 5), 1),
        (Own(axis=-1), (1, 1, 1, 4), 1),
        (Own(axis=1), (1, 4, 2, 1), 2),
        (Own(axis=1), (1, 4, 1, 1), 1),
        (Own(axis=(1, 2)), (1, 4, 3), 1),
        (nets.MLP((4,)), (1, 5), None),
    ],
    ids=range(17),
)
def test_one_value_of_each_channel_is_refused_and_more_are_not(trunk, shape, count):
    if count == 1:
        with pytest.raises(
            BadInput, match=r"a batch of one leaves BatchNorm \(.*Run.batch_size must"
        ):
            encoded(trunk, shape)
    else:
        encoded(trunk, shape)


def test_a_frozen_batch_norm_needs_no_variance():
    encoded(VECTORS, (1, 5), transfer.finetuning.feature_extraction())


def test_a_run_is_checked_with_all_that_goes_through_its_net_together():
    with pytest.raises(BadInput, match=r"shared/BatchNorm_0"):
        trace_run(ONE.replace(trunk=VECTORS), 1)
    trace_run(ONE.replace(trunk=nets.CNN((4,))), 1)
    trace_run(ONE, 1)
    more = ONE.replace(trunk=VECTORS, tasks=(ROW.replace(auxiliary=consistency.FixMatch()),),
                   augmentation={"strong": augment.Cutout(2)})  # fmt: skip
    trace_run(more, 1)  # Weak and strong views are in the batch.


def test_a_launch_ends_in_one_line_and_trains_nothing(tmp_path):
    file = tmp_path / "one.py"
    file.write_text(
        "from mtl_jax.config.experiment import Experiment\n"
        "from tests.nets.test_batch_of_one import ONE, VECTORS\n"
        "EXPERIMENT = Experiment(runs=(ONE, ONE.replace(name='bn', trunk=VECTORS)))\n"
    )
    for more in ((), ("--dry",)):
        code, _, err = launched(file, "--out", tmp_path / "out", *more)
        said = "error: run 'bn': a batch of one leaves"
        assert code == 2 and err.startswith(said) and err.count("\n") == 1
    assert not list((tmp_path / "out").rglob("metrics.jsonl"))
