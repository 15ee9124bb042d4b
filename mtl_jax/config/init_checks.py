"""Where a run starts from: rules on its source, and on what it takes over and holds to."""

import re
from typing import Any

from mtl_jax.config.param_rules import Rule
from mtl_jax.core.protocols import Weights
from mtl_jax.core.validation import pattern_fault, require, require_choice
from mtl_jax.core.views import PARAMETERS


def layers_of(trunk: Any) -> list[Any]:
    """A trunk, and what it is laid around (`nets.LoRA`, `nets.Preprocessed`), to the plain one."""
    return [trunk, *layers_of(trunk.around)] if hasattr(trunk, "around") else [trunk]


def preprocessing_of(trunk: Any) -> list[Any]:
    """What images go through before a trunk."""
    return [one.by for one in layers_of(trunk) if hasattr(one, "by")]


def require_start(run: Any) -> None:
    """Requires of a run that its source, what it takes of it, and its plan fit together.

    Raises:
      BadInput: naming the field.
    """
    source = run.source
    known = source is None or hasattr(source, "trunk") or isinstance(source, Weights)
    require(known, run, "source", "must be a run or weights such as nets.pretrained has", source)
    require_parameters(run)
    require_tables(run)
    require_twins(run)
    if hasattr(source, "trunk"):
        require_same(run, source)
    for field in ("take", "fresh"):
        idle = source is None and getattr(run, field)
        rule = "says what comes from a source, and needs one"
        require(not idle, run, field, rule, getattr(run, field))
    require_taken(run)
    anchored = any(rule.anchor for rule in run.plan)
    rule = "has an anchor, which needs a source"
    require(source is not None or not anchored, run, "plan", rule, run.plan)
    rule = "has an anchor, which a teacher that learns beside the net does not have"
    require(run.coach is None or not anchored, run, "plan", rule, run.plan)


def require_parameters(run: Any) -> None:
    """Requires of a run that its source has one set of the parameters that are asked for."""
    require_choice(run, source_parameters=PARAMETERS)
    source = run.source
    several = hasattr(source, "trunk") and source.selection == "per_task" and len(source.tasks) > 1
    rule = "must be 'raw' or 'ema' of a source that selects parameters for each task"
    fine = run.source_parameters != "selected" or not several
    require(fine, run, "source_parameters", rule, run.source_parameters)


def require_twins(run: Any) -> None:
    """Requires a trunk of two nets for methods that train two."""
    needing = [task.name for task in run.tasks if getattr(task.consistency, "twins", False)]
    twins = any(getattr(trunk, "twins", False) for trunk in layers_of(run.trunk))
    rule = f"must be nets.Twins, since the consistency of {needing} trains two nets"
    require(twins or not needing, run, "trunk", rule, run.trunk)


def require_taken(run: Any) -> None:
    """Requires that heads which methods go on with from the source are taken over from it."""
    made = [path.partition("\\")[0] for _, path in run.take]  # up to the first group
    for task in run.tasks if run.source is not None else ():
        for head in getattr(task.consistency, "taken", ()):
            path = f"tasks/heads/{task.name}/{head}/"
            found = any(path.startswith(start) or start.startswith(path) for start in made)
            rule = (
                f"must make {path}..., a head of the source that {task.consistency!r} goes on with"
            )
            require(found, run, "take", rule, run.take)


def require_tables(run: Any) -> None:
    """Requires rules, pairs and patterns in the forms that they have."""
    fine = isinstance(run.plan, tuple) and all(isinstance(rule, Rule) for rule in run.plan)
    require(fine, run, "plan", "must be a tuple of rules", run.plan)
    fine = isinstance(run.fresh, tuple) and all(map(is_pattern, run.fresh))
    require(fine, run, "fresh", "must be a tuple of regular expressions", run.fresh)
    fine = isinstance(run.take, tuple) and all(map(is_pair, run.take))
    rule = "must be a tuple of pairs (regular expression, path with its groups)"
    require(fine, run, "take", rule, run.take)


def require_same(run: Any, source: Any) -> None:
    """Requires a source with the same trunk, on the same images, unless `fresh` says what differs."""
    own, other = (layers_of(one.trunk)[-1] for one in (run, source))
    rule = f"must have this run's trunk {own!r}, unless fresh names what is new in it"
    require(other == own or run.fresh, run, "source", rule, other)
    seen, before = preprocessing_of(run.trunk), preprocessing_of(source.trunk)
    rule = f"must have seen images as this run's trunk does, {seen}"
    require(seen == before, run, "source", rule, before)
    changed = any(hasattr(one, "merge") for one in layers_of(source.trunk))
    rule = f"has parameters added, and so must have this run's trunk {run.trunk!r}"
    require(not changed or source.trunk == run.trunk, run, "source", rule, source.trunk)


def is_pattern(value: Any) -> bool:
    """Whether this is the text of a regular expression."""
    return isinstance(value, str) and pattern_fault(value) is None


def is_pair(value: Any) -> bool:
    """Whether this is a pattern and a template of its groups."""
    fine = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str)
    if not (fine and is_pattern(value[0])):
        return False
    groups = re.compile(value[0]).groups
    return all(int(number) <= groups for number in re.findall(r"\\(\d+)", value[1]))
