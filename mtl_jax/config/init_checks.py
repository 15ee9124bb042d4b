"""Validation of a run's source model, and of the fields that refer to it."""

import re
from typing import Any

from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.protocols import PretrainedWeights, RunSettings
from mtl_jax.core.trunk import traits
from mtl_jax.core.validation import regex_error, require, require_choice
from mtl_jax.core.views import PARAMETERS


def unwrap_trunk(trunk: Any) -> list[Any]:
    """A trunk and the trunks it wraps (`nets.LoRA`, `nets.Preprocessed`), innermost last."""
    return [trunk] if traits(trunk).base_trunk is None else [trunk, *unwrap_trunk(trunk.base_trunk)]


def preprocessing_of(trunk: Any) -> list[Any]:
    """The preprocessing steps of a trunk, outermost first."""
    return [
        t.preprocessing for t in map(traits, unwrap_trunk(trunk)) if t.preprocessing is not None
    ]


def check_init_from(run: Any) -> None:
    """Requires that a run's source model, `param_map` and `param_rules` are consistent.

    Raises:
      BadInput: naming the field.
    """
    source = run.init_from
    known = source is None or isinstance(source, RunSettings | PretrainedWeights)
    require(known, run, "init_from", "must be a run or weights such as nets.pretrained has", source)
    require_parameters(run)
    require_tables(run)
    require_twins(run)
    if isinstance(source, RunSettings):
        require_same(run, source)
    for field in ("param_map", "new_params"):
        idle = source is None and getattr(run, field)
        rule = "says what comes from a source, and needs one"
        require(not idle, run, field, rule, getattr(run, field))
    check_source_heads(run)
    anchored = any(rule.l2_sp for rule in run.param_rules)
    rule = "has l2_sp, which needs a source"
    require(source is not None or not anchored, run, "param_rules", rule, run.param_rules)


def require_parameters(run: Any) -> None:
    """Requires that `source_parameters` specifies a single set of the source's parameters."""
    require_choice(run, source_parameters=PARAMETERS)
    source = run.init_from
    is_run = isinstance(source, RunSettings)
    several = is_run and source.selection == "per_task" and len(source.tasks) > 1
    rule = "must be 'raw' or 'ema' of a source that selects parameters for each task"
    fine = run.source_parameters != "selected" or not several
    require(fine, run, "source_parameters", rule, run.source_parameters)


def require_twins(run: Any) -> None:
    """Requires a two-branch trunk for auxiliary losses that train two models."""
    needing = [
        task.name
        for task in run.tasks
        if task.auxiliary is not None and task.auxiliary.needs_two_branches
    ]
    twins = any(traits(trunk).has_two_branches for trunk in unwrap_trunk(run.trunk))
    rule = f"must be nets.TwoBranch, since the consistency of {needing} trains two nets"
    require(twins or not needing, run, "trunk", rule, run.trunk)


def check_source_heads(run: Any) -> None:
    """Requires that `param_map` restores the source heads that auxiliary losses need."""
    made = [path.partition("\\")[0] for _, path in run.param_map]  # up to the first group
    for task in run.tasks if run.init_from is not None else ():
        for head in () if task.auxiliary is None else task.auxiliary.source_heads:
            path = f"tasks/heads/{task.name}/{head}/"
            found = any(path.startswith(start) or start.startswith(path) for start in made)
            rule = f"must make {path}..., a head of the source that {task.auxiliary!r} goes on with"
            require(found, run, "param_map", rule, run.param_map)


def require_tables(run: Any) -> None:
    """Validates the types of `param_rules`, `new_params` and `param_map`."""
    fine = isinstance(run.param_rules, tuple) and all(
        isinstance(rule, ParamRule) for rule in run.param_rules
    )
    require(fine, run, "param_rules", "must be a tuple of rules", run.param_rules)
    fine = isinstance(run.new_params, tuple) and all(map(is_pattern, run.new_params))
    require(fine, run, "new_params", "must be a tuple of regular expressions", run.new_params)
    fine = isinstance(run.param_map, tuple) and all(map(is_pair, run.param_map))
    rule = "must be a tuple of pairs (regular expression, path with its groups)"
    require(fine, run, "param_map", rule, run.param_map)


def require_same(run: Any, source: Any) -> None:
    """Requires a source with the same preprocessing, and trunk unless `new_params` is given."""
    own, other = (unwrap_trunk(one.trunk)[-1] for one in (run, source))
    rule = f"must have this run's trunk {own!r}, unless new_params names what is new in it"
    require(other == own or run.new_params, run, "init_from", rule, other)
    seen, before = preprocessing_of(run.trunk), preprocessing_of(source.trunk)
    rule = f"must have seen images as this run's trunk does, {seen}"
    require(seen == before, run, "init_from", rule, before)
    changed = any(traits(one).adds_params for one in unwrap_trunk(source.trunk))
    rule = f"has parameters added, and so must have this run's trunk {run.trunk!r}"
    require(not changed or source.trunk == run.trunk, run, "init_from", rule, source.trunk)


def is_pattern(value: Any) -> bool:
    """Whether a value is a string with a valid regular expression."""
    return isinstance(value, str) and regex_error(value) is None


def is_pair(value: Any) -> bool:
    """Whether a value is a pair of a pattern and a replacement template with its groups."""
    fine = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str)
    if not (fine and is_pattern(value[0])):
        return False
    groups = re.compile(value[0]).groups
    return all(int(number) <= groups for number in re.findall(r"\\(\d+)", value[1]))
