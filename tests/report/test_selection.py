"""Selection: by what validation can judge, whatever the unit; what may be selected is kept."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pytest

from mtl_jax import metrics
from mtl_jax.core.validation import BadInput
from mtl_jax.report.selection import (
    EvaluatedModel,
    best,
    candidates,
    criterion,
    evaluations,
    select,
    tasks_without_metric,
)
from tests.small import HEIGHT, ROW, RUN

TWO = RUN.replace(tasks=(ROW, HEIGHT), num_seeds=1)


@dataclasses.dataclass(frozen=True)
class Upward(metrics.MeanSquaredError):
    """Of which more is better."""

    higher_is_better: ClassVar[bool] = True


def records_of(values):
    """Evaluations at steps 1, 2, ... of one seed: by task, the metric of ema and of raw."""
    found = {}
    for at, each in enumerate(values, 1):
        validation = {
            kind: {
                task: {("accuracy" if task in ("row", "column") else "mse"): [pair[place]]}
                for task, pair in each.items()
            }
            for place, kind in enumerate(("ema", "raw"))
        }
        found[at] = {"step": at, "validation": validation, "test": validation}
    return found


def drawn(seed, count=12):
    rng = np.random.default_rng(seed)
    return [{"row": rng.random(2), "height": rng.exponential(size=2)} for _ in range(count)]


def mean_rank(columns):
    """By counting: 1 + how many are better + half of the others that are equal."""
    ranks = []
    for column in columns:
        ranks.append([1 + np.sum(column > x) + (np.sum(column == x) - 1) / 2 for x in column])
    return np.mean(ranks, 0)


def test_the_rule_is_the_mean_only_where_no_unit_is_in_it():
    assert criterion(RUN) == "mean metric"
    assert criterion(TWO) == "mean rank"
    assert criterion(RUN.replace(tasks=(HEIGHT, HEIGHT.replace(name="width")))) == "mean rank"
    assert criterion(RUN.replace(tasks=(HEIGHT,))) == "metric"
    assert criterion(TWO.replace(tasks=(ROW, HEIGHT.replace(selects=False)))) == "metric"
    assert criterion(TWO.replace(evaluation={"selection": "per_task"})) == "metric of each task"
    assert criterion(TWO.replace(evaluation={"selection": "last"})) == "last step"


def test_accuracies_are_selected_by_their_mean_and_not_by_their_rank():
    values = [{"row": (0.9, 0.5), "column": (0.3, 0.31)}, {"row": (0.51, 0.1), "column": (0.32, 0.1)}]  # fmt: skip
    ranks = mean_rank(np.array([[0.9, 0.5, 0.51, 0.1], [0.3, 0.31, 0.32, 0.1]]))
    assert ranks.argmin() == 2, "by rank it would be the first of step 2"
    assert select(RUN.replace(num_seeds=1), records_of(values), 0)["row"] == EvaluatedModel(
        1, "ema"
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_rank_by_counting(seed):
    values = drawn(seed)
    pool = [(step, kind) for step in range(1, 13) for kind in ("ema", "raw")]
    row = np.array([each["row"][place] for each in values for place in (0, 1)])
    height = np.array([-each["height"][place] for each in values for place in (0, 1)])
    wanted = pool[int(np.argmin(mean_rank([row, height])))]
    found = select(TWO, records_of(values), 0)
    assert found == {"row": EvaluatedModel(*wanted), "height": EvaluatedModel(*wanted)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_units_and_directions_change_nothing(seed, scale):
    values = drawn(seed)
    plain = select(TWO, records_of(values), 0)
    other = [{**each, "height": each["height"] * scale} for each in values]
    assert select(TWO, records_of(other), 0) == plain
    # The same error told as something of which more is better, in any increasing form.
    turned = [{**each, "height": np.exp(-each["height"])} for each in values]
    task = dataclasses.replace(HEIGHT, metrics=(Upward(),))
    assert select(TWO.replace(tasks=(ROW, task)), records_of(turned), 0) == plain


def test_a_task_that_does_not_select_has_no_say():
    values = [{"row": (0.5, 0.4), "height": (9.0, 9.0)}, {"row": (0.4, 0.3), "height": (1.0, 1.0)}]
    helper = TWO.replace(tasks=(ROW, HEIGHT.replace(selects=False)))
    assert select(helper, records_of(values), 0)["height"] == EvaluatedModel(1, "ema")
    with pytest.raises(BadInput, match="tasks must have one that selects"):
        RUN.replace(tasks=(ROW.replace(selects=False),))
    assert (
        RUN.replace(
            tasks=(ROW.replace(selects=False),), evaluation={"selection": "last"}
        ).evaluation.selection
        == "last"
    )


def test_each_task_for_itself():
    values = [{"row": (0.5, 0.4), "height": (9.0, 8.0)}, {"row": (0.4, 0.6), "height": (1.0, 2.0)}]
    found = select(TWO.replace(evaluation={"selection": "per_task"}), records_of(values), 0)
    assert found == {"row": EvaluatedModel(2, "raw"), "height": EvaluatedModel(2, "ema")}


def test_the_last_step_without_validation():
    values = [{"row": (0.9, 0.9), "height": (0.0, 0.0)}, {"row": (0.1, 0.1), "height": (9.0, 9.0)}]
    for selection, kind in (("last", "raw"), ("last_ema", "ema")):
        found = select(TWO.replace(evaluation={"selection": selection}), records_of(values), 0)
        assert set(found.values()) == {EvaluatedModel(2, kind)}


def test_what_cannot_be_judged_does_not_freeze_the_selection():
    """The first evaluation is the worst of the task that is judged."""
    values = [{"row": (0.2, 0.2), "column": (math.nan, math.nan)},
              {"row": (0.9, 0.8), "column": (math.nan, math.nan)}]  # fmt: skip
    records = records_of(values)
    run = RUN.replace(num_seeds=1)
    assert select(run, records, 0)["column"] == EvaluatedModel(2, "ema")
    assert (
        tasks_without_metric(run, records) == ["column"]
        and tasks_without_metric(run.replace(tasks=(ROW,)), records) == []
    )
    nothing = records_of([{"row": (math.nan,) * 2, "column": (math.nan,) * 2}] * 3)
    assert select(run, nothing, 0)["row"] == EvaluatedModel(3, "raw"), "the last step"
    assert tasks_without_metric(run, nothing) == ["row", "column"]


def test_one_evaluation_that_is_not_finite_is_not_selected():
    values = [{"row": (0.5, 0.5), "height": (1.0, 1.0)}, {"row": (0.9, 0.4), "height": (math.nan, 2.0)}]  # fmt: skip
    assert select(TWO, records_of(values), 0)["row"] == EvaluatedModel(1, "ema")
    assert best(np.array([[-math.inf, -math.inf]]), by_rank=True) is None


@pytest.mark.parametrize("run", [TWO, TWO.replace(evaluation={"selection": "per_task"}), RUN.replace(num_seeds=1, tasks=(ROW,)),
                                 TWO.replace(tasks=(ROW, HEIGHT.replace(selects=False)))], ids=lambda run: criterion(run))  # fmt: skip
@pytest.mark.parametrize("seed", range(20))
def test_what_is_selected_in_the_end_was_kept_all_along(run, seed):
    """Law: at every evaluation, what all so far select is among the candidates."""
    values = drawn(seed, 10)
    for each in values:  # Equal values, and values that are missing.
        each["row"] = np.round(each["row"] * 4) / 4
        each["height"] = np.where(
            np.random.default_rng(seed).random(2) < 0.2, np.nan, each["height"]
        )
    kept, seen = [], {}
    for step, record in records_of(values).items():
        seen[step] = record
        kept = candidates(run, seen, [*sorted(kept), *evaluations(record)], 0)
        chosen = set(select(run, seen, 0).values())
        finite = tasks_without_metric(run, seen) != [
            task.name for task in run.tasks if task.selects
        ]
        assert chosen <= set(kept) or not finite or chosen == {EvaluatedModel(step, "raw")}


def test_few_are_kept_where_one_is_enough():
    values = drawn(0, 30)
    alone = RUN.replace(num_seeds=1, tasks=(ROW,))
    pool = [one for record in records_of(values).values() for one in evaluations(record)]
    assert len(candidates(alone, records_of(values), pool, 0)) == 1
    assert (
        candidates(alone.replace(evaluation={"selection": "last"}), records_of(values), pool, 0)
        == []
    )
    front = candidates(TWO, records_of(values), pool, 0)
    points = {p: (values[p.step - 1]["row"][int(p.parameters == "raw")],
                  -values[p.step - 1]["height"][int(p.parameters == "raw")]) for p in pool}  # fmt: skip
    beaten = {
        p for p in pool for q in pool
        if all(a >= b for a, b in zip(points[q], points[p], strict=True)) and points[q] != points[p]
    }  # fmt: skip
    assert set(front) == set(pool) - beaten


def test_a_column_of_equal_values_decides_nothing():
    values = [{"row": (0.3, 0.3), "column": (0.0, 0.0)}, {"row": (0.6, 0.5), "column": (0.0, 0.0)}]
    assert select(RUN.replace(num_seeds=1), records_of(values), 0)["row"] == EvaluatedModel(
        2, "ema"
    )
