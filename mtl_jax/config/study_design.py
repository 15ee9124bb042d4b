"""Study designs across the rows of an experiment: factorial designs and safe transfer."""

import dataclasses
import itertools
from typing import Any

from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import did_you_mean, require, require_name


@typechecked
@dataclasses.dataclass(frozen=True)
class Cell:
    """One combination of factor levels, and its runs.

    Attributes:
      levels: the level of each factor.
      runs: names of runs that together have every task once: one multi-task run, or one
        single-task run per task.

    Raises:
      BadInput: for levels or runs that are not a tuple of strings.
    """

    levels: tuple[str, ...]
    runs: tuple[str, ...]

    def __post_init__(self):
        require_strings(self, "levels")
        require_strings(self, "runs")


@typechecked
@dataclasses.dataclass(frozen=True)
class Factorial:
    """A full factorial design: every combination of factor levels has runs.

    The first level of a factor to appear is the reference level of its effects.

    Attributes:
      factors: names of the factors.
      cells: one for each combination of levels.

    Raises:
      BadInput: for duplicate factor names, factors with a single level, and missing or
        duplicate combinations.
    """

    factors: tuple[str, ...]
    cells: tuple[Cell, ...]

    def __post_init__(self):
        require_strings(self, "factors")
        for cell in self.cells:
            fits = len(cell.levels) == len(self.factors)
            require(fits, self, "cells", f"must have a level of each of {self.factors}", cell)
        levels_of_cells = [cell.levels for cell in self.cells]
        for name, levels in zip(self.factors, self.levels, strict=True):
            require(len(levels) > 1, self, "cells", f"must have two levels of {name!r}", levels)
        duplicates = [
            levels for levels in dict.fromkeys(levels_of_cells) if levels_of_cells.count(levels) > 1
        ]
        require(
            not duplicates, self, "cells", "must have every combination of levels once", duplicates
        )
        missing = [
            levels for levels in itertools.product(*self.levels) if levels not in levels_of_cells
        ]
        rule = f"must have every combination of levels, also {missing[:3]}"
        require(not missing, self, "cells", rule, levels_of_cells)

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Levels of each factor, in the order of appearance."""
        levels_of_cells = [cell.levels for cell in self.cells]
        return tuple(
            tuple(dict.fromkeys(levels[place] for levels in levels_of_cells))
            for place in range(len(self.factors))
        )

    def check(self, rows: dict[str, Any]) -> None:
        """Requires the same tasks, each once, and the same seeds in all cells.

        Args:
          rows: the rows of the experiment by name.

        Raises:
          BadInput: naming the cell's runs.
        """
        first = rows_by_task(self, "cells", self.cells[0].runs, rows)
        for cell in self.cells:
            found = rows_by_task(self, "cells", cell.runs, rows)
            rule = f"must have the tasks {sorted(first)} in every cell"
            require(found.keys() == first.keys(), self, "cells", rule, cell.runs)
        require_seeds(self, "cells", [name for cell in self.cells for name in cell.runs], rows)


@typechecked
@dataclasses.dataclass(frozen=True)
class SafeTransfer:
    """A row without training: the better of two rows on validation, for each task and seed.

    It reports the result of training both with transfer and from scratch and choosing on
    validation; ties choose scratch. Both are compared and reported at their selected
    evaluation.

    Attributes:
      name: name of the row.
      transfer: name of a run.
      scratch: names of runs that together have each of its tasks once.

    Raises:
      BadInput: for an invalid name, or scratch that is not a tuple of strings.
    """

    name: str
    transfer: str
    scratch: tuple[str, ...]

    def __post_init__(self):
        require_name(self)
        require_strings(self, "scratch")

    def check(self, runs: dict[str, Any]) -> None:
        """Requires that the runs exist and have the same tasks and seeds.

        Args:
          runs: the runs of the experiment by name.

        Raises:
          BadInput: naming the field.
        """
        own = rows_by_task(self, "transfer", (self.transfer,), runs)
        found = rows_by_task(self, "scratch", self.scratch, runs)
        missing = sorted(own.keys() - found.keys())
        rule = f"must have the tasks of {self.transfer!r}, also {missing}"
        require(not missing, self, "scratch", rule, self.scratch)
        require_seeds(self, "scratch", (self.transfer, *self.scratch), runs)


def check_design(experiment: Any) -> None:
    """Requires that the designs of an experiment refer to existing, comparable rows.

    Raises:
      BadInput: naming the field.
    """
    runs = {row.name: row for row in experiment.runs}
    rows = runs | {row.name: row for row in experiment.sklearn_baselines}
    for pair in experiment.scratch_pairs:
        fine = are_texts(pair) and len(pair) > 1
        require(fine, experiment, "scratch_pairs", "must hold tuples (run, its scratch runs)", pair)
        own = rows_by_task(experiment, "scratch_pairs", pair[:1], rows)
        found = rows_by_task(experiment, "scratch_pairs", pair[1:], rows)
        rule = f"must have a task of {pair[0]!r}"
        require(bool(own.keys() & found.keys()), experiment, "scratch_pairs", rule, pair[1:])
        require_seeds(experiment, "scratch_pairs", pair, rows)
    for place, safe in enumerate(experiment.safe_transfer):
        used_names = [*rows, *(other.name for other in experiment.safe_transfer[:place])]
        rule = "must have names that no other row has"
        require(safe.name not in used_names, experiment, "safe_transfer", rule, safe.name)
        safe.check(runs)
    if experiment.factorial is not None:
        experiment.factorial.check(rows)


def restrict_design(experiment: Any, there: set[str]) -> dict[str, Any]:
    """Restricts the designs to the rows with the given names, as fields of the experiment."""
    design = experiment.factorial
    is_complete = design is not None and all(there.issuperset(cell.runs) for cell in design.cells)
    return {
        "factorial": design if is_complete else None,
        "scratch_pairs": tuple(pair for pair in experiment.scratch_pairs if there.issuperset(pair)),
        "safe_transfer": tuple(
            safe
            for safe in experiment.safe_transfer
            if there.issuperset((safe.transfer, *safe.scratch))
        ),
    }


def rows_by_task(
    owner: object, field: str, names: tuple[str, ...], rows: dict[str, Any]
) -> dict[str, str]:
    """Maps each task to the name of the row that has it.

    Raises:
      BadInput: for an unknown row, or a task that two of the rows have.
    """
    found = {}
    for name in names:
        require(name in rows, owner, field, f"must name runs ({did_you_mean(name, rows)})", name)
        for task in rows[name].tasks:
            rule = f"must have each task once, {task.name!r} is in two"
            require(task.name not in found, owner, field, rule, names)
            found[task.name] = name
    return found


def require_seeds(owner: object, field: str, names: Any, rows: dict[str, Any]) -> None:
    """Requires rows with the same seeds, since they are compared per seed."""
    seeds = {(rows[name].num_seeds, rows[name].first_seed) for name in names}
    rule = "must name runs of the same seeds (number, first)"
    require(len(seeds) == 1, owner, field, rule, sorted(seeds))


def require_strings(owner: object, field: str) -> None:
    """Requires a non-empty tuple of strings, unique unless the field is `levels`."""
    value = getattr(owner, field)
    fine = are_texts(value) and (field == "levels" or len(set(value)) == len(value))
    require(fine, owner, field, "must be a tuple of different texts, one or more", value)


def are_texts(value: object) -> bool:
    """Whether a value is a non-empty tuple of non-empty strings."""
    return isinstance(value, tuple) and bool(value) and all(isinstance(t, str) and t for t in value)
