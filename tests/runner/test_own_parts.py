"""A user's own trunk, head, loss and metrics, a few lines each, train without the package's help."""

import csv

from tests.runner.launching import launched

OWN = """
import dataclasses

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax

from mtl_jax import Experiment
from mtl_jax.core.head import Head
from mtl_jax.core.metric import HostMetric, Metric
from tests.dense import RUN, CLASS_MAP, DEPTH


class Edges(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.relu(nn.Conv(4, (3, 3))(x))


class Upward(Head, nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, features, *, train):
        return nn.Conv(self.num_outputs, (1, 3))(features)


def poly_loss(logits, labels):
    loss = optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
    return loss + 1.0 - jnp.exp(-loss)


def within(outputs, depth):
    return jnp.maximum(jnp.abs(outputs - depth) - 0.1, 0.0)[..., 0]


@dataclasses.dataclass(frozen=True)
class PixelError(Metric):
    name, higher_is_better, scale = "pixel error", False, 100.0
    accepts_missing_entries = True

    def from_model_output(self, logits, labels, mask):
        known = (labels >= 0) & mask[:, None, None]
        return ((logits.argmax(-1) != labels) & known).sum(), known.sum()

    def compute(self, sums):
        return sums[0].astype(jnp.float32) / sums[1].astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class WorstImage(HostMetric):
    name, higher_is_better, scale = "worst image", False, 1.0
    accepts_missing_entries = True

    def compute(self, outputs, labels):
        return float(np.nanmean(np.abs(outputs - labels), (1, 2, 3)).max())


EXPERIMENT = Experiment(
    runs=(
        RUN.replace(
            name="own",
            trunk=Edges(),
            tasks=(
                CLASS_MAP.replace(head=Upward(3), loss=poly_loss, metrics=(PixelError(),)),
                DEPTH.replace(head=Upward(1), loss=within, metrics=(WorstImage(),)),
            ),
            steps=8,
        ),
    ),
)
"""


def test_they_train_in_an_experiment_file(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(OWN)
    code, _, err = launched(file, "--out", tmp_path / "out")
    assert code == 0, err
    rows = csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines())
    values = {row["metric"]: float(row["last"]) for row in rows}
    assert values.keys() == {"pixel error", "worst image"}
    assert 0.0 < values["pixel error"] < 100.0 and values["worst image"] > 0.0
