"""Designs: what an experiment may say of its rows, and what is left of it without some."""

import re

import pytest

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.study_design import Cell, Factorial, SafeTransfer, restrict_design
from mtl_jax.core.validation import BadInput
from tests.small import COLUMN, ROW, RUN

ROW_ALONE, COLUMN_ALONE = (RUN.replace(name=f"{t.name} alone", tasks=(t,)) for t in (ROW, COLUMN))
MORE = tuple(
    run.replace(name=f"{run.name}, more", steps=9) for run in (ROW_ALONE, COLUMN_ALONE, RUN)
)
RUNS = (ROW_ALONE, COLUMN_ALONE, RUN, *MORE)
CELLS = (
    Cell(("alone", "8"), ("row alone", "column alone")),
    Cell(("alone", "9"), ("row alone, more", "column alone, more")),
    Cell(("together", "8"), ("hard",)),
    Cell(("together", "9"), ("hard, more",)),
)
DESIGN = Factorial(("tasks", "steps"), CELLS)
SAFE = SafeTransfer("safe_transfer", "hard", ("row alone", "column alone"))
WHOLE = Experiment(
    runs=RUNS, factorial=DESIGN, scratch_pairs=(("hard", "row alone"), ("hard, more", "hard")), safe_transfer=(SAFE,)
)  # fmt: skip


def test_levels_stand_in_the_order_of_appearance():
    assert DESIGN.levels == (("alone", "together"), ("8", "9"))
    assert Factorial(DESIGN.factors, CELLS[::-1]).levels == (("together", "alone"), ("9", "8"))


@pytest.mark.parametrize(
    ("factors", "cells", "said"),
    [
        ((), CELLS, "Factorial.factors must be a tuple of different texts"),
        (("a", "a"), CELLS, "Factorial.factors must be a tuple of different texts"),
        ("ab", CELLS, "Factorial.factors must be a tuple of different texts"),
        (("tasks",), CELLS, "Factorial.cells must have a level of each of ('tasks',), not Cell("),
        (DESIGN.factors, (), "Factorial.cells must have two levels of 'tasks', not ()"),
        (DESIGN.factors, CELLS[:2], "Factorial.cells must have two levels of 'tasks'"),
        (DESIGN.factors, CELLS[:3], "every combination of levels, also [('together', '9')], not"),
        (
            DESIGN.factors,
            (*CELLS, Cell(("alone", "9"), ("hard",))),
            "every combination of levels once, not [('alone', '9')]",
        ),
    ],
)
def test_a_factorial_refuses(factors, cells, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        Factorial(factors, cells)


@pytest.mark.parametrize(
    ("levels", "runs", "said"),
    [
        (("yes",), (), "Cell.runs must be a tuple of different texts, one or more, not ()"),
        (("yes",), ("a", "a"), "Cell.runs must be a tuple of different texts"),
        (("yes",), "hard", "Cell.runs must be a tuple of different texts, one or more, not 'hard'"),
        ("yes", ("hard",), "Cell.levels must be a tuple"),
        ((3,), ("hard",), "Cell.levels must be a tuple"),
    ],
)
def test_a_cell_refuses(levels, runs, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        Cell(levels, runs)


def test_levels_of_two_factors_may_bear_one_name():
    assert Cell(("no", "no"), ("hard",)).levels == ("no", "no")


def in_place_of(place, cell):
    return {"factorial": Factorial(DESIGN.factors, (*CELLS[:place], cell, *CELLS[place + 1 :]))}


OTHER = RUN.replace(name="later", first_seed=2)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (in_place_of(3, Cell(("together", "9"), ("herd",))),
         "Factorial.cells must name runs (did you mean hard"),
        (in_place_of(0, Cell(("alone", "8"), ("row alone", "hard"))),
         "Factorial.cells must have each task once, 'row' is in two"),
        (in_place_of(1, Cell(("alone", "9"), ("row alone, more",))),
         "Factorial.cells must have the tasks ['column', 'row'] in every cell, not ('row alone, m"),
        (in_place_of(3, Cell(("together", "9"), ("later",))),
         "Factorial.cells must name runs of the same seeds (number, first), not [(2, 0), (2, 2)]"),
        ({"scratch_pairs": (("hard", "herd"),)}, "Experiment.scratch_pairs must name runs (did you mean hard?"),
        ({"scratch_pairs": (("hard",),)}, "Experiment.scratch_pairs must hold tuples (run, its scratch runs)"),
        ({"scratch_pairs": ("hard",)}, "Experiment.scratch_pairs must hold tuples (run, its scratch runs)"),
        ({"scratch_pairs": (("row alone", "column alone"),)},
         "Experiment.scratch_pairs must have a task of 'row alone', not ('column alone',)"),
        ({"scratch_pairs": (("hard", "later"),)},
         "Experiment.scratch_pairs must name runs of the same seeds"),
        ({"safe_transfer": (SafeTransfer("hard", "hard", ("hard, more",)),)},
         "Experiment.safe_transfer must have names that no other row has, not 'hard'"),
        ({"safe_transfer": (SAFE, SAFE)}, "Experiment.safe_transfer must have names that no other row has"),
        ({"safe_transfer": (SafeTransfer("safe_transfer", "herd", ("hard",)),)}, "SafeTransfer.transfer must name runs (did you mean"),
        ({"safe_transfer": (SafeTransfer("safe_transfer", "hard", ("row alone",)),)},
         "SafeTransfer.scratch must have the tasks of 'hard', also ['column'], not ('row alone',)"),
        ({"safe_transfer": (SafeTransfer("safe_transfer", "hard", ("later",)),)},
         "SafeTransfer.scratch must name runs of the same seeds"),
    ],
)  # fmt: skip
def test_an_experiment_refuses_what_cannot_be_compared(changes, said):
    with pytest.raises(BadInput, match=re.escape(said)):
        Experiment(runs=(*RUNS, OTHER), **changes)


def test_a_safe_row_refuses():
    with pytest.raises(BadInput, match=r"SafeTransfer\.name must be a plain file name"):
        SafeTransfer("", "hard", ("row alone",))
    with pytest.raises(BadInput, match=r"SafeTransfer\.scratch must be a tuple of different texts"):
        SafeTransfer("safe_transfer", "hard", "row alone")


def test_what_is_left_without_a_row():
    names = {run.name for run in RUNS}
    fields = ("factorial", "scratch_pairs", "safe_transfer")
    assert restrict_design(WHOLE, names) == {name: getattr(WHOLE, name) for name in fields}
    found = restrict_design(WHOLE, names - {"column alone"})
    assert found == {"factorial": None, "scratch_pairs": WHOLE.scratch_pairs, "safe_transfer": ()}
    found = restrict_design(WHOLE, names - {"row alone"})
    assert found["scratch_pairs"] == (("hard, more", "hard"),)
