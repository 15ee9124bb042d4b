"""A user's own error is one line with its place; a fault of the package keeps its traceback."""

import pytest

import launch
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import device_data
from mtl_jax.runner.error_messages import explain_errors
from mtl_jax.runner.launch import launch as run_launch

HEAD = """from mtl_jax.core import data_source, metric, policy as policies
import dataclasses
import flax.linen as nn
import jax.numpy as jnp
from mtl_jax import consistency, nets
from mtl_jax.config.experiment import Experiment
from tests.small import DATA, FIXMATCH, ROW, RUN

@dataclasses.dataclass(frozen=True)
class Metric(metric.Metric):
    name: str = "mine"
    higher_is_better: bool = True
    scale: float = 1.0

    def from_model_output(self, logits, labels, mask):
        return mask.sum()

    def compute(self, sums):
        return {compute}

@dataclasses.dataclass(frozen=True)
class Source(data_source.DataSource):
    def shapes(self):
        return DATA.shapes()

    def load(self):
        return open("/nowhere/file.csv")

class Trunk(nn.Module):
    convolutional = False

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(4)(x.reshape({shape}))

def loss(logits, labels):
    return {loss}

def policy(key, x):
    return {policy}
class Policy(policies.Policy):
    def __call__(self, key, x): return policy(key, x)
def penalty(params, anchor):
    return {penalty}
"""
FINE = {
    "compute": "sums", "shape": "x.shape[0], -1", "loss": "logits[:, 0]", "policy": "x",
    "penalty": "0.0",
}  # fmt: skip


def launched(tmp_path, body, *options, **parts):
    """The exit code of a launch of one run, and the file."""
    file = tmp_path / "mine.py"
    file.write_text(HEAD.format(**FINE | parts) + f"EXPERIMENT = Experiment(runs=({body},))\n")
    return run_launch(launch.parse([str(file), "--out", str(tmp_path / "out"), *options]))


LOSS = 'RUN.replace(name="x", tasks=(ROW.replace(loss=loss),))'
METRIC = 'RUN.replace(name="x", tasks=(ROW.replace(metrics=(Metric(),)),))'
TRUNK = 'RUN.replace(name="x", trunk=Trunk())'
PLACE = "mine.py, line "


@pytest.mark.parametrize(
    ("body", "parts", "said"),
    [
        (LOSS, {"loss": "logits @ jnp.ones((7, 2))"},
         ["run 'x': task 'row': loss: ", PLACE + "37, in loss: TypeError: dot_general requires"]),
        (LOSS, {"loss": "logits.nothing"}, ["run 'x': task 'row': loss: ", "in loss: AttributeErr"]),
        (LOSS, {"loss": "(logits ** 2).mean()"},
         ["run 'x': task 'row': Task.loss must give a loss for each example, floats [B]"]),
        (LOSS, {"loss": "None"}, ["Task.loss must give a loss for each example, floats [B], not None"]),
        (LOSS, {"loss": "labels"}, ["Task.loss must give a loss for each example, floats [B]"]),
        (METRIC, {"compute": "1 / 0"},
         ["run 'x': task 'row': metric ", "in compute: ZeroDivisionError: division by zero"]),
        (METRIC, {"compute": "jnp.ones(3)"}, ["Task.metrics must compute one number each, []"]),
        ('RUN.replace(name="x", augmentation={"weak": Policy()})', {"policy": "x[:2]"},
         ["run 'x': augmentation.weak on inputs [6, 6, 1] float32: must give an example of the same shape"]),
        ('RUN.replace(name="x", augmentation={"weak": Policy()})', {"policy": "x if x.sum() > 0 else 1 - x"},
         ["run 'x': augmentation.weak on inputs", "in policy: TracerBoolConversionError: Attempted boolean"]),
        (TRUNK, {"shape": "-1, 7"},
         ["() does not take inputs [6, 6, 1] float32: ",
          "in __call__: TypeError"]),
        (TRUNK, {"shape": "x.shape[0] * 6, 6"},
         ["as N examples: 3 of them give outputs [18, 3]"]),
        ('RUN.replace(name="x", regularization={"penalties": (penalty,)})', {"penalty": 'params["nothing"]'},
         ["run 'x': ", "in penalty: KeyError: 'nothing'"]),
        ('RUN.replace(name="x", data=Source())', {},
         ["run 'x': ", "in load: FileNotFoundError: [Errno 2] No such file or directory: '/now"]),
        ("RUN.replace(trunk=nets.MPL((4,)))", {},
         [PLACE + "45: AttributeError: module 'mtl_jax.nets' has no attribute 'MPL'"]),
        ("ROW.replace(auxiliary=consistency.FixMatch(treshold=0.5))", {}, [PLACE + "45: "]),
        ("RUN.replace(steps=-1)", {}, [PLACE + "45: Run.steps must be at least 1, not -1"]),
        ("import", {}, [PLACE + "45: SyntaxError: invalid syntax"]),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_users_error_is_one_line(tmp_path, capsys, body, parts, said):
    assert launched(tmp_path, body, **parts) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") and err.count("\n") == 1
    for text in said:
        assert text in err
    assert not (tmp_path / "out" / "x").exists()


def test_debug_shows_the_cause(tmp_path, capsys):
    assert launched(tmp_path, LOSS, "--debug", loss="logits.nothing") == 2
    err = capsys.readouterr().err
    assert "Traceback" in err and "return logits.nothing" in err
    assert err.splitlines()[-1].startswith("error: run 'x': task 'row': loss: ")


def test_dry_tries_the_evaluation_too(tmp_path, capsys):
    assert launched(tmp_path, METRIC, "--dry", compute="1 / 0") == 2
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_fault_of_the_loop_shows_its_traceback(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(device_data, "load_run_data", None)
    assert launched(tmp_path, 'RUN.replace(name="x", steps=1)') == 1
    err = capsys.readouterr().err
    text = "TypeError: 'NoneType' object is not callable"
    assert err.startswith("Traceback") and err.endswith(f"{text}\nerror: run 'x': {text}\n")


def test_an_interrupt_is_no_error(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(device_data, "load_run_data", stopped)
    with pytest.raises(KeyboardInterrupt):
        launched(tmp_path, 'RUN.replace(name="x", steps=1)')


def test_what_stands_before_a_line_is_not_said_twice():
    with pytest.raises(BadInput, match=r"^run 'x': too much$"), explain_errors("run 'x'"):
        raise BadInput("run 'x': too much")
    with pytest.raises(BadInput, match=r"^run 'x': too much$"), explain_errors("run 'x'"):
        raise BadInput("too much")


def test_a_long_text_is_cut():
    with pytest.raises(BadInput) as wrong, explain_errors("here"):
        raise ValueError("a" * 1000 + "\nsecond line")
    assert len(str(wrong.value)) < 500 and "second" not in str(wrong.value)


OTHERS = """
import dataclasses
from mtl_jax import optimizers, weighting
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.toy import ToyRun, ToyExperiment
from mtl_jax.config.experiment import Experiment
from tests.small import DATA, ROW, RUN

@dataclasses.dataclass(frozen=True)
class Problem:
    plot_limits = ((0.0, 1.0),)

    def losses(self, point):
        return point.nothing

    def distance_to_pareto(self, point):
        return point[0]

DOWN = ToyRun(name="down", problem=Problem(), balance=weighting.Equal(),
               optimizer=optimizers.SGD(0.1), steps=100, initial_points=((0.0,),))
ROW = SklearnBaseline(name="row", data=DATA, task=ROW, candidates=(object,), num_labelled=24)
"""


@pytest.mark.parametrize(
    ("body", "said", "code"),
    [
        ("ToyExperiment(runs=(DOWN,))", "mine.py, line 14, in losses: AttributeError", 1),
        ("Experiment(runs=(), sklearn_baselines=(ROW,))", "'row'", 2),
    ],
    ids=["descent", "row of an estimator"],
)
def test_other_rows_too(tmp_path, capsys, body, said, code):
    file = tmp_path / "mine.py"
    file.write_text(f"{OTHERS}EXPERIMENT = {body}\n")
    assert run_launch(launch.parse([str(file), "--out", str(tmp_path / "out")])) == code
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
