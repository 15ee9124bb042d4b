"""Bad input of dense tasks: one line that names run, task, field and value, before training."""

import pytest

from mtl_jax.runner import train_programs
from tests.runner.launching import launched

HEAD = """
import dataclasses

import jax
import numpy as np

from mtl_jax import Experiment, data, domain_adaptation, losses, metrics, nets
from mtl_jax.core.data_source import DataSource, Splits
from tests.dense import CLASS_MAP, CORNER, DEPTH, NORMALS, RUN, TRUNK, Strides, part


def only(task, **changes):
    return Experiment(runs=(RUN.replace(tasks=(task,), labels={"num_labelled": None}, **changes),))


def changed(name, change):
    parts = [part(8, seed) for seed in range(3)]
    return data.Arrays(*({**each, name: change(each[name])} for each in parts))


@dataclasses.dataclass(frozen=True)
class Pairs(DataSource):
    def shapes(self):
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), self.load().train)

    def load(self):
        parts = [part(8, seed) for seed in range(3)]
        pairs = [{"left": each["inputs"], "right": each["inputs"]} for each in parts]
        return Splits(*({**each, "inputs": pair} for each, pair in zip(parts, pairs)))


EXPERIMENT = """


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "only(CLASS_MAP.replace(head=nets.heads.Pixel(3, size=(4, 4))))",
            "'classes': loss: * logits (3, 4, 4, 3) and labels (3, 8, 8)",
        ),
        (
            "only(DEPTH.replace(head=nets.heads.Pixel(1, size=(4, 4))))",
            "'depth': loss: * predictions (3, 4, 4, 1) and targets (3, 8, 8, 1)",
        ),
        (
            "only(NORMALS.replace(head=nets.heads.Pixel(2)))",
            "'normals': loss: * (3, 8, 8, 2) and targets float32 (3, 8, 8, 3)",
        ),
        (
            "only(CLASS_MAP.replace(head=None, num_outputs=3))",
            "'classes': train labels are [N, 8, 8]; give integers [N] * head=nets.heads.Pixel(3)",
        ),
        (
            "only(DEPTH.replace(head=None, num_outputs=1))",
            "'depth': train labels are [N, 8, 8, 1]; * head=nets.heads.Pixel(1)",
        ),
        (
            "only(CLASS_MAP.replace(head=nets.heads.Pixel(2)))",
            "'classes' has num_outputs=2, * lie in 0..1 (-1 where missing), * has class 2",
        ),
        (
            "only(CLASS_MAP, data=changed('classes', lambda y: np.where(y < 0, 255, y)))",
            "'classes' * has class 255; if 255 means missing, write -1",
        ),
        (
            "only(CLASS_MAP, data=changed('classes', lambda y: np.full_like(y, -1)))",
            "'classes': all of its labels in the train data are missing (-1 or NaN)",
        ),
        (
            "only(DEPTH, data=changed('depth', lambda y: np.full_like(y, np.nan)))",
            "'depth': all of its labels in the train data are missing (-1 or NaN)",
        ),
        (
            "only(DEPTH, data=changed('depth', lambda y: np.where(np.isnan(y), np.inf, y)))",
            "'depth': train labels must be finite, not inf",
        ),
        (
            "only(CLASS_MAP.replace(metrics=(metrics.ExactMatch(),)))",
            "'classes': metric 'exact match': * not (3, 8, 8, 3), int32(3, 8, 8)",
        ),
        (
            "only(CLASS_MAP.replace(metrics=(metrics.Accuracy(), metrics.CharacterErrorRate())))",
            "'classes': metric 'cer': * not (3, 8, 8, 3) and int32(3, 8, 8)",
        ),
        (
            "only(CLASS_MAP, trunk=nets.MLP((4,)))",
            "trunk MLP(*'classes': the head Pixel(num_outputs=3) reads a map, * gives a vector",
        ),
        (
            "only(CLASS_MAP, trunk=nets.Attention(TRUNK))",
            "trunk Attention(*'classes': the head Pixel(* reads a map, and the trunk gives a vector",
        ),
        (
            "only(CLASS_MAP, trunk=Strides())",
            "Strides*'classes': the head Pixel(* reads a map, and the trunk gives a pyramid",
        ),
        (
            "only(CORNER, trunk=nets.MLP((4,)), data=Pairs())",
            "trunk MLP(* does not take inputs {'left': '[8, 8, 1] float32', 'right': *}",
        ),
        (
            "only(CLASS_MAP.replace(head=nets.heads.SegNetHead(3), auxiliary=domain_adaptation.MCD()))",
            "'classes': its method applies the head to single vectors, which the head SegNetHead(",
        ),
    ],
)
def test_it_is_refused_in_one_line(tmp_path, monkeypatch, body, said):
    def trained(compiled, *_):
        raise AssertionError(f"{compiled.run.name} was trained")

    monkeypatch.setattr(train_programs, "train_run", trained)
    file = tmp_path / "bad.py"
    file.write_text(HEAD + body)
    code, out, err = launched(file, "--out", tmp_path / "out")
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert err.startswith("error: run 'dense': ")
    for words in said.split("*"):
        assert words.strip() in err
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {".lock", ".locks"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "only(DEPTH.replace(metrics=(metrics.MeanIoU(),)))",
            "Task.metrics must be for continuous targets, as task 'depth' has",
        ),
        (
            "only(CLASS_MAP.replace(num_outputs=4))",
            "Task.num_outputs must be that of the head Pixel(num_outputs=3), or left out, not 4",
        ),
    ],
)
def test_a_task_is_refused_where_it_is_written(tmp_path, body, said):
    file = tmp_path / "bad.py"
    file.write_text(HEAD + body)
    code, out, err = launched(file, "--out", tmp_path / "out")
    assert (code, out) == (2, "") and err.count("\n") == 1 and said in err
