"""Runs are data: what they refuse, how one differs from another, and what they start from."""

import dataclasses

import pytest

from mtl_jax import augment, consistency, nets
from mtl_jax.config.run import Dispatch, Experiment, Published, Task, lineage
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, FIXMATCH, ROW, RUN

ALONE = RUN.but(name="alone", tasks=(ROW,))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Run.name must be a plain file name"),
        ({"name": ".hidden"}, "Run.name must be a plain file name"),
        ({"name": "a\nb"}, "Run.name must be of printable characters"),
        ({"name": "all*"}, "Run.name must be a plain file name"),
        ({"tasks": ()}, "Run.tasks must hold at least one task"),
        ({"tasks": (ROW, ROW)}, "Run.tasks must have different names"),
        ({"steps": 0}, "Run.steps must be at least 1"),
        ({"batch": 0}, "Run.batch must be at least 1"),
        ({"unlabelled_ratio": 0}, "Run.unlabelled_ratio must be at least 1"),
        ({"labelled": 0}, "Run.labelled must be at least 1"),
        ({"labelled": 2.0}, "Run.labelled must be a whole number"),
        ({"evaluate_every": 0}, "Run.evaluate_every must be at least 1"),
        ({"checkpoint_every": 0}, "Run.checkpoint_every must be at least 1"),
        ({"seeds": 0}, "Run.seeds must be at least 1"),
        ({"first_seed": -1}, "Run.first_seed must be at least 0"),
        ({"first_seed": 2**32 - 1}, r"Run.first_seed and seeds must stay below 2\^32"),
        ({"ema": 1.5}, "Run.ema must lie between 0.0 and 1.0"),
        ({"strong": None, "tasks": (ROW.but(consistency=FIXMATCH),)}, "Run.strong is needed"),
        ({"source": RUN.but(trunk=nets.MLP((9,)))}, "Run.source must have this run's trunk MLP"),
        ({"source": RUN.but(seeds=1)}, "Run.source must have this run's 2 seeds"),
        ({"source": RUN.but(first_seed=1)}, "Run.source must have this run's 2 seeds"),
        ({"learning_rate": 1.0}, "Run.learning_rate is no field"),
        ({"seed": 1}, r"Run.seed is no field \(did you mean seeds"),
    ],
)
def test_a_run_refuses(changes, said):
    with pytest.raises(BadInput, match=said):
        RUN.but(**changes)


def test_the_last_seed_there_is():
    assert RUN.but(first_seed=2**32 - 2).seeds == 2


def test_but_changes_what_it_says():
    other = RUN.but(steps=9, labelled=None)
    assert (other.steps, other.labelled) == (9, None)
    assert other != RUN and other.but(steps=8, labelled=24) == RUN
    with pytest.raises(dataclasses.FrozenInstanceError):
        other.steps = 3


def test_a_task_asks_for_what_its_method_sees():
    assert not COLUMN.asks_for(("weak", "strong"))
    task = ROW.but(consistency=consistency.Match(source="medium"))
    assert task.asks_for(("medium",)) and not task.asks_for(("labelled_strong",))
    with pytest.raises(BadInput, match=r"Run\.medium is needed by the consistency of \['row'\]"):
        RUN.but(tasks=(COLUMN, task), strong=augment.Cutout(1))


def test_a_task_refuses():
    with pytest.raises(BadInput, match=r"Task.name must not be empty"):
        ROW.but(name="")
    with pytest.raises(BadInput, match=r"Task.name must be of printable characters"):
        ROW.but(name="a\nb")
    with pytest.raises(BadInput, match=r"Task.consistency must ask for views .*, not \['weakk'\]"):
        ROW.but(consistency=consistency.Match(source="weakk"))
    with pytest.raises(BadInput, match=r"Task.outputs must be at least 1"):
        ROW.but(outputs=0)
    with pytest.raises(BadInput, match=r"Task.classes is no field"):
        ROW.but(classes=3)
    assert isinstance(ROW.but(outputs=4), Task)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"block": 0}, "Dispatch.block must be at least 1"),
        ({"steps": "vmap"}, r"Dispatch.steps must be one of \('scan', 'unroll'\), not 'vmap'"),
        ({"seeds": "scan"}, "Dispatch.seeds must be one of"),
        ({"pullbacks": None}, "Dispatch.pullbacks must be one of"),
        ({"steps": "unroll", "block": 1001}, "Dispatch.block must be at most 1000 steps if they"),
    ],
    ids=str,
)
def test_dispatch_refuses(changes, said):
    with pytest.raises(BadInput, match=said):
        Dispatch(**changes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"runs": ()}, "runs must hold at least one run"),
        ({"runs": (RUN, RUN)}, "runs must have different names"),
        ({"runs": (RUN, ALONE.but(source=RUN.but(steps=9)))}, "different names, not 'hard'"),
        ({"runs": (RUN,), "baselines": ("alone",)}, r"baselines must name runs \(there is hard\)"),
        ({"runs": (RUN,), "baselines": ("hard",)}, "baselines must name single-task runs"),
        ({"runs": (RUN,), "published": (Published("x", "row", 1.0, "y"),)}, "published must name"),
    ],
)
def test_an_experiment_refuses(settings, said):
    with pytest.raises(BadInput, match=said):
        Experiment(**settings)


def test_rows_without_end_are_refused():
    with pytest.raises(BadInput, match=r"Experiment.runs must hold at most 10000 rows, not 10001"):
        Experiment(runs=(RUN,) * 10_001)
    row = Classic(name="logistic", data=RUN.data, task=ROW, choices=(len,), seeds=10_001)
    with pytest.raises(BadInput, match=r"Classic.seeds must be at most 10000, not 10001"):
        Experiment(runs=(RUN,), classics=(row,))


def test_a_row_may_be_the_source_of_another():
    found = Experiment(
        runs=(RUN, ALONE.but(source=RUN), ALONE.but(name="other", source=RUN)),
        baselines=("alone",),
        published=(Published("hard", "row", 1.0, "y"),),
    )
    assert len(found.runs) == 3


def test_lineage():
    middle = RUN.but(name="middle", source=RUN)
    last = RUN.but(name="last", source=middle)
    assert lineage(RUN) == [RUN]
    assert lineage(last) == [RUN, middle, last]
