"""Small models of every kind of data, exported from random parameters."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import consistency, data, losses, metrics, nets
from mtl_jax.config.task import Task
from mtl_jax.export import TrainedModel
from mtl_jax.export.describe import evaluation_inputs
from mtl_jax.export.exported_run import write_model
from mtl_jax.export.trained_model import merge_added, model_of, without_auxiliary
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.train import build_model, init_model
from mtl_jax.train.views import as_float
from tests import dense, small

# It has an auxiliary head.
COMATCH = small.ROW.replace(auxiliary=consistency.CoMatch())
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "##ly", ",")


def texts(folder):
    """A run on texts of two classes."""
    (folder / "words.txt").write_text("\n".join(VOCABULARY))
    ends = [" ".join(["badly"] * (i // 4) + ["good"] * (i % 4)) for i in range(1, 11)]
    rows = "".join(f"{word} {end},{word}\n" for end in ends for word in ("good", "bad"))
    (folder / "texts.csv").write_text("review,label\n" + rows)
    tokens = data.WordPiece(str(folder / "words.txt"), length=6)
    return small.RUN.replace(
        name="texts",
        data=data.Texts(str(folder / "texts.csv"), tokens, text="review"),
        tasks=(small.ROW.replace(name="label", num_outputs=2),),
        trunk=nets.BERT(vocabulary=8, width=8, depth=1, heads=2, hidden=8, places=6),
        augmentation={"strong": None},
        labels={"num_labelled": None},
    )


def table(folder):
    """A run on a table with a category and missing values."""
    rng = np.random.default_rng(0)
    lines = ["age;mass;port;sex;fare"]
    for row in range(40):
        age = "?" if row % 7 == 0 else f"{rng.integers(1, 80)},5"
        lines.append(f"{age};{row},25;{('A', 'B', '')[row % 3]};{('m', 'f')[row % 2]};{3 * row}")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    source = data.Table(
        str(folder / "rows.csv"), labels=("sex",), numbers=("fare",), categories=("port",),
        fill="mean", delimiter=";", decimal=",",
    )  # fmt: skip
    return small.RUN.replace(
        name="table",
        data=data.StandardizedLabels(source, ("fare",)),
        tasks=(
            Task(
                name="sex",
                num_outputs=1,
                loss=losses.binary_cross_entropy,
                metrics=(metrics.Accuracy(),),
            ),
            small.HEIGHT.replace(name="fare"),
        ),
        augmentation={"strong": None},
        labels={"num_labelled": None},
    )


def graphs():
    """A run on molecules, whose inputs are a dict of arrays."""
    rng = np.random.default_rng(0)

    def part(count):
        arrays = {"atoms": (count, 3, 2), "edges": (count, 3, 3, 2), "mask": (count, 3)}
        inputs = {k: rng.random(shape).astype(np.float32) for k, shape in arrays.items()}
        inputs["mask"] = np.ones((count, 3), np.float32)
        return {"inputs": inputs, "height": rng.random(count).astype(np.float32)}

    return small.RUN.replace(
        name="graphs",
        data=data.Arrays(part(20), part(20), part(20)),
        tasks=(small.HEIGHT,),
        trunk=nets.MPNN(width=4, edge_width=5, steps=2, readout_steps=2),
        augmentation={"strong": None},
        labels={"num_labelled": None},
    )


def runs(folder):
    """A run for each kind of inputs and outputs, by name."""
    return {
        "mlp": small.RUN.replace(tasks=(COMATCH, small.COLUMN)),
        "conv": small.RUN.replace(trunk=nets.CNN((8, 8, 8))),
        "lora": small.RUN.replace(trunk=nets.LoRA(nets.MLP((12,)), rank=1)),
        "adashare": small.RUN.replace(trunk=nets.AdaShare(nets.MLP((8, 8)))),  # It counts steps.
        "dense": dense.RUN,
        "texts": texts(folder),
        "table": table(folder),
        "graphs": graphs(),
    }


def random_variables(run, inputs):
    """Random parameters and statistics `[1, ...]` of a run's model."""
    rng = np.random.default_rng(0)
    example = jax.tree.map(lambda leaf: as_float(leaf)[0], inputs)
    shapes = jax.eval_shape(lambda x: init_model(build_model(run), jnp.int32(0), x), example)
    params, stats = jax.tree.map(
        lambda leaf: (0.5 * rng.normal(size=(1, *leaf.shape))).astype(leaf.dtype), shapes
    )
    return params, jax.tree.map(np.abs, stats)


class Exported(NamedTuple):
    """A run whose model was exported with random parameters."""

    run: Any
    variables: Any  # parameters and statistics of the run's own model, [1, ...]
    trained: TrainedModel
    inputs: Any


def export_random(run, folder):
    """Exports random parameters of a run."""
    inputs = evaluation_inputs(run, load_run_data(run).splits)
    variables = random_variables(run, inputs)
    merged = merge_added(run, *without_auxiliary(run, *variables))
    trained = TrainedModel(model_of(run), *jax.tree.map(lambda leaf: leaf[0], merged))
    folder.mkdir(exist_ok=True)
    write_model(run, trained, run.data, inputs, folder)
    return Exported(run, variables, trained, inputs)
