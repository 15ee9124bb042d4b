"""What an experiment says of its rows together: cells of a factorial design, and safe choices."""

import dataclasses
import itertools
from typing import Any

from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import near, require, require_name


@typed
@dataclasses.dataclass(frozen=True)
class Cell:
    """One combination of levels, and the runs that have it.

    Attributes:
      levels: one of each factor.
      runs: names of runs that together have every task once: one run of all tasks, or one run
        for each task where the level is that tasks train alone.

    Raises:
      BadInput: for levels or runs that are no tuple of texts.
    """

    levels: tuple[str, ...]
    runs: tuple[str, ...]

    def __post_init__(self):
        require_texts(self, "levels")
        require_texts(self, "runs")


@typed
@dataclasses.dataclass(frozen=True)
class Factorial:
    """A full factorial design: every combination of levels has its runs.

    The level of a factor that is named first is the one that the others are measured against.

    Attributes:
      factors: their names.
      cells: one for each combination of levels.

    Raises:
      BadInput: for factors of one name or one level, and for a combination that is missing or
        there twice.
    """

    factors: tuple[str, ...]
    cells: tuple[Cell, ...]

    def __post_init__(self):
        require_texts(self, "factors")
        for cell in self.cells:
            fits = len(cell.levels) == len(self.factors)
            require(fits, self, "cells", f"must have a level of each of {self.factors}", cell)
        given = [cell.levels for cell in self.cells]
        for name, levels in zip(self.factors, self.levels, strict=True):
            require(len(levels) > 1, self, "cells", f"must have two levels of {name!r}", levels)
        twice = [levels for levels in dict.fromkeys(given) if given.count(levels) > 1]
        require(not twice, self, "cells", "must have every combination of levels once", twice)
        missing = [levels for levels in itertools.product(*self.levels) if levels not in given]
        rule = f"must have every combination of levels, also {missing[:3]}"
        require(not missing, self, "cells", rule, given)

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Levels of each factor, in the order of appearance."""
        given = [cell.levels for cell in self.cells]
        return tuple(
            tuple(dict.fromkeys(levels[place] for levels in given))
            for place in range(len(self.factors))
        )

    def check(self, rows: dict[str, Any]) -> None:
        """Refuses cells that do not have the same tasks, each once, and the same seeds.

        Args:
          rows: the rows of the experiment by name.

        Raises:
          BadInput: naming the cell's runs.
        """
        first = together(self, "cells", self.cells[0].runs, rows)
        for cell in self.cells:
            found = together(self, "cells", cell.runs, rows)
            rule = f"must have the tasks {sorted(first)} in every cell"
            require(found.keys() == first.keys(), self, "cells", rule, cell.runs)
        require_seeds(self, "cells", [name for cell in self.cells for name in cell.runs], rows)


@typed
@dataclasses.dataclass(frozen=True)
class Safe:
    """A row without training: for each task and seed, of two rows the better on validation.

    It gives what a user gets who keeps training from scratch beside a transfer and takes what
    validation prefers; of equals scratch. Both are judged, and told, at the evaluation that
    validation chose within each.

    Attributes:
      name: of the row.
      transfer: name of a run.
      scratch: names of runs that together have each of its tasks once.

    Raises:
      BadInput: for a name that no row can bear, or scratch that is no tuple of texts.
    """

    name: str
    transfer: str
    scratch: tuple[str, ...]

    def __post_init__(self):
        require_name(self)
        require_texts(self, "scratch")

    def check(self, runs: dict[str, Any]) -> None:
        """Refuses runs that are not there, or do not have the same tasks and seeds.

        Args:
          runs: the runs of the experiment by name.

        Raises:
          BadInput: naming what is wrong.
        """
        own = together(self, "transfer", (self.transfer,), runs)
        found = together(self, "scratch", self.scratch, runs)
        missing = sorted(own.keys() - found.keys())
        rule = f"must have the tasks of {self.transfer!r}, also {missing}"
        require(not missing, self, "scratch", rule, self.scratch)
        require_seeds(self, "scratch", (self.transfer, *self.scratch), runs)


def check_design(experiment: Any) -> None:
    """Refuses what an experiment says of rows that are not there or cannot be compared.

    Raises:
      BadInput: naming the field.
    """
    runs = {row.name: row for row in experiment.runs}
    rows = runs | {row.name: row for row in experiment.classics}
    for pair in experiment.scratch:
        fine = are_texts(pair) and len(pair) > 1
        require(fine, experiment, "scratch", "must hold tuples (run, its scratch runs)", pair)
        own = together(experiment, "scratch", pair[:1], rows)
        found = together(experiment, "scratch", pair[1:], rows)
        rule = f"must have a task of {pair[0]!r}"
        require(bool(own.keys() & found.keys()), experiment, "scratch", rule, pair[1:])
        require_seeds(experiment, "scratch", pair, rows)
    for place, safe in enumerate(experiment.safe):
        taken = [*rows, *(other.name for other in experiment.safe[:place])]
        rule = "must have names that no other row has"
        require(safe.name not in taken, experiment, "safe", rule, safe.name)
        safe.check(runs)
    if experiment.factorial is not None:
        experiment.factorial.check(rows)


def remaining(experiment: Any, there: set[str]) -> dict[str, Any]:
    """What can still be said of the rows whose names are there, as fields of the experiment."""
    design = experiment.factorial
    whole = design is not None and all(there.issuperset(cell.runs) for cell in design.cells)
    return {
        "factorial": design if whole else None,
        "scratch": tuple(pair for pair in experiment.scratch if there.issuperset(pair)),
        "safe": tuple(
            safe for safe in experiment.safe if there.issuperset((safe.transfer, *safe.scratch))
        ),
    }


def together(
    owner: object, field: str, names: tuple[str, ...], rows: dict[str, Any]
) -> dict[str, str]:
    """By task, which of some rows has it.

    Raises:
      BadInput: for a name of no row, and for a task that two of them have.
    """
    found = {}
    for name in names:
        require(name in rows, owner, field, f"must name runs ({near(name, rows)})", name)
        for task in rows[name].tasks:
            rule = f"must have each task once, {task.name!r} is in two"
            require(task.name not in found, owner, field, rule, names)
            found[task.name] = name
    return found


def require_seeds(owner: object, field: str, names: Any, rows: dict[str, Any]) -> None:
    """Requires rows of the same seeds, since they are compared seed by seed."""
    seeds = {(rows[name].seeds, rows[name].first_seed) for name in names}
    rule = "must name runs of the same seeds (number, first)"
    require(len(seeds) == 1, owner, field, rule, sorted(seeds))


def require_texts(owner: object, field: str) -> None:
    """Requires a tuple of different texts, and at least one of them."""
    value = getattr(owner, field)
    fine = are_texts(value) and (field == "levels" or len(set(value)) == len(value))
    require(fine, owner, field, "must be a tuple of different texts, one or more", value)


def are_texts(value: object) -> bool:
    """Whether a value is a tuple of texts, none of them empty."""
    return isinstance(value, tuple) and bool(value) and all(isinstance(t, str) and t for t in value)
