"""Runs are data: what they refuse, how one differs from another, and what they start from."""

import dataclasses

import pytest

from mtl_jax import augment, consistency, nets
from mtl_jax.config.execution import Execution
from mtl_jax.config.experiment import Experiment, Published
from mtl_jax.config.run import dependency_order
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.task import Task
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, FIXMATCH, ROW, RUN

ALONE = RUN.replace(name="alone", tasks=(ROW,))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ".hidden"}, "Run.name must be a plain file name"),
        ({"name": "a\nb"}, "Run.name must be of printable characters"),
        ({"name": "all*"}, "Run.name must be a plain file name"),
        ({"tasks": ()}, "Run.tasks must hold at least one task"),
        ({"first_seed": 2**32 - 1}, r"Run.first_seed and num_seeds must stay below 2\^32"),
        (
            {"augmentation": {"strong": None}, "tasks": (ROW.replace(auxiliary=FIXMATCH),)},
            "Run.augmentation.strong is needed",
        ),
        (
            {"initialization": {"init_from": RUN.replace(trunk=nets.MLP((9,)))}},
            "Run.initialization.init_from must have this run's trunk MLP",
        ),
        (
            {"initialization": {"init_from": RUN.replace(num_seeds=1)}},
            "Run.initialization.init_from must have this run's 2 seeds",
        ),
        (
            {"initialization": {"init_from": RUN.replace(first_seed=1)}},
            "Run.initialization.init_from must have this run's 2 seeds",
        ),
        ({"learning_rate": 1.0}, "Run.learning_rate is no field"),
        ({"seed": 1}, r"Run.seed is no field \(did you mean num_seeds"),
    ],
)
def test_a_run_refuses(changes, said):
    with pytest.raises(BadInput, match=said):
        RUN.replace(**changes)


def test_the_last_seed_there_is():
    assert RUN.replace(first_seed=2**32 - 2).num_seeds == 2


def test_but_changes_what_it_says():
    other = RUN.replace(steps=9, labels={"num_labelled": None})
    assert (other.steps, other.labels.num_labelled) == (9, None)
    assert other != RUN and other.replace(steps=8, labels={"num_labelled": 24}) == RUN
    with pytest.raises(dataclasses.FrozenInstanceError):
        other.steps = 3


def test_a_task_asks_for_what_its_method_sees():
    assert not COLUMN.asks_for(("weak", "strong"))
    task = ROW.replace(auxiliary=consistency.Match(target_view="medium"))
    assert task.asks_for(("medium",)) and not task.asks_for(("labelled_strong",))
    with pytest.raises(
        BadInput, match=r"Run\.augmentation\.medium is needed by the consistency of \['row'\]"
    ):
        RUN.replace(tasks=(COLUMN, task), augmentation={"strong": augment.Cutout(1)})


def test_a_task_refuses():
    with pytest.raises(BadInput, match=r"Task.name must not be empty"):
        ROW.replace(name="")
    with pytest.raises(BadInput, match=r"Task.name must be of printable characters"):
        ROW.replace(name="a\nb")
    with pytest.raises(BadInput, match=r"Task.auxiliary must ask for views .*, not \['weakk'\]"):
        ROW.replace(auxiliary=consistency.Match(target_view="weakk"))
    with pytest.raises(BadInput, match=r"Task.num_outputs must be at least 1"):
        ROW.replace(num_outputs=0)
    with pytest.raises(BadInput, match=r"Task.classes is no field"):
        ROW.replace(classes=3)
    assert isinstance(ROW.replace(num_outputs=4), Task)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"step_loop": "unroll", "steps_per_call": 1001},
            "Execution.steps_per_call must be at most 1000 steps if they",
        ),
    ],
    ids=str,
)
def test_dispatch_refuses(changes, said):
    with pytest.raises(BadInput, match=said):
        Execution(**changes)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"runs": ()}, "runs must hold at least one run"),
        (
            {"runs": (RUN, ALONE.replace(initialization={"init_from": RUN.replace(steps=9)}))},
            "different names, not 'hard'",
        ),
        ({"runs": (RUN,), "baselines": ("alone",)}, r"baselines must name runs \(there is hard\)"),
        ({"runs": (RUN,), "baselines": ("hard",)}, "baselines must name single-task runs"),
    ],
)
def test_an_experiment_refuses(settings, said):
    with pytest.raises(BadInput, match=said):
        Experiment(**settings)


def test_rows_without_end_are_refused():
    with pytest.raises(BadInput, match=r"Experiment.runs must hold at most 10000 rows, not 10001"):
        Experiment(runs=(RUN,) * 10_001)
    row = SklearnBaseline(
        name="logistic", data=RUN.data, task=ROW, candidates=(len,), num_seeds=10_001
    )
    with pytest.raises(
        BadInput, match=r"SklearnBaseline.num_seeds must be at most 10000, not 10001"
    ):
        Experiment(runs=(RUN,), sklearn_baselines=(row,))


def test_a_row_may_be_the_source_of_another():
    found = Experiment(
        runs=(
            RUN,
            ALONE.replace(initialization={"init_from": RUN}),
            ALONE.replace(name="other", initialization={"init_from": RUN}),
        ),
        baselines=("alone",),
        published=(Published("hard", "row", 1.0, "y"),),
    )
    assert len(found.runs) == 3


def test_lineage():
    middle = RUN.replace(name="middle", initialization={"init_from": RUN})
    last = RUN.replace(name="last", initialization={"init_from": middle})
    assert dependency_order(RUN) == [RUN]
    assert dependency_order(last) == [RUN, middle, last]


def test_a_mapping_changes_fields_of_a_group():
    run = RUN.replace(labels={"num_labelled": 9}, trunk={"features": (5,)})
    assert (run.labels.num_labelled, run.labels.unlabelled_ratio) == (9, 2)
    assert run.trunk == nets.MLP((5,)) and run == RUN.replace(
        labels=RUN.labels.replace(num_labelled=9), trunk=nets.MLP((5,))
    )
    with pytest.raises(BadInput, match=r"Labels\.partail is no field \(did you mean partial\?\)"):
        RUN.replace(labels={"partail": True})
    with pytest.raises(BadInput, match=r"Run\.teachers is no field \(it is one of labels: "):
        RUN.replace(teachers=(RUN,))
    with pytest.raises(BadInput, match=r"Run\.execution must be an Execution or None"):
        RUN.replace(execution={"steps_per_call": 1})
