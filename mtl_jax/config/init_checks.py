"""Validation of a run's source model, and of the fields that refer to it."""

import re
from typing import Any

from mtl_jax.config.param_rules import ParamRule
from mtl_jax.core.head_key import HeadKey
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


def check_initialization(init: Any) -> None:
    """Requires that a `mtl_jax.config.run.Initialization` is consistent in itself.

    Raises:
      BadInput: naming the field.
    """
    source = init.init_from
    valid = source is None or isinstance(source, RunSettings | PretrainedWeights)
    rule = "must be a run or weights such as nets.pretrained has"
    require(valid, init, "init_from", rule, source)
    require_parameters(init)
    require_tables(init)
    rule = "says what comes from a source, and needs one"
    for field, value in (("param_map", init.param_map), ("new_params", init.new_params)):
        require(source is not None or not value, init, field, rule, value)


def check_init_from(run: Any) -> None:
    """Requires that a run is consistent with its source model.

    Raises:
      BadInput: naming the field.
    """
    source = run.initialization.init_from
    require_param_rules(run)
    require_two_branches(run)
    if isinstance(source, RunSettings):
        require_same(run, source)
    check_source_heads(run)
    anchored = any(rule.l2_sp for rule in run.param_rules)
    rule = "has l2_sp, which needs a source"
    require(source is not None or not anchored, run, "param_rules", rule, run.param_rules)


def require_parameters(init: Any) -> None:
    """Requires that `parameters` specifies a single set of the source's parameters."""
    require_choice(init, parameters=PARAMETERS)
    source = init.init_from
    is_run = isinstance(source, RunSettings)
    several = is_run and source.evaluation.selection == "per_task" and len(source.tasks) > 1
    rule = "must be 'raw' or 'ema' of a source that selects parameters for each task"
    valid = init.parameters != "selected" or not several
    require(valid, init, "parameters", rule, init.parameters)


def require_two_branches(run: Any) -> None:
    """Requires a two-branch trunk for auxiliary losses that train two models."""
    needing = [
        task.name
        for task in run.tasks
        if task.auxiliary is not None and task.auxiliary.needs_two_branches
    ]
    found = any(traits(trunk).has_two_branches for trunk in unwrap_trunk(run.trunk))
    rule = f"must be nets.TwoBranch, since the consistency of {needing} trains two nets"
    require(found or not needing, run, "trunk", rule, run.trunk)


def check_source_heads(run: Any) -> None:
    """Requires that `param_map` restores the source heads that auxiliary losses need."""
    init = run.initialization
    targets = [path.partition("\\")[0] for _, path in init.param_map]  # up to the first group
    for task in run.tasks if init.init_from is not None else ():
        for head in () if task.auxiliary is None else task.auxiliary.source_heads:
            path = f"{HeadKey(task.name, head).path}/"
            found = any(path.startswith(start) or start.startswith(path) for start in targets)
            rule = f"must make {path}..., a head of the source that {task.auxiliary!r} goes on with"
            require(found, run, "initialization.param_map", rule, init.param_map)


def require_param_rules(run: Any) -> None:
    """Requires that `param_rules` holds rules."""
    valid = isinstance(run.param_rules, tuple) and all(
        isinstance(rule, ParamRule) for rule in run.param_rules
    )
    require(valid, run, "param_rules", "must be a tuple of rules", run.param_rules)


def require_tables(init: Any) -> None:
    """Requires regular expressions in `new_params` and pairs in `param_map`."""
    valid = isinstance(init.new_params, tuple) and all(map(is_pattern, init.new_params))
    require(valid, init, "new_params", "must be a tuple of regular expressions", init.new_params)
    valid = isinstance(init.param_map, tuple) and all(map(is_pair, init.param_map))
    rule = "must be a tuple of pairs (regular expression, path with its groups)"
    require(valid, init, "param_map", rule, init.param_map)


def require_same(run: Any, source: Any) -> None:
    """Requires a source with the same preprocessing, and trunk unless `new_params` is given."""
    own, other = (unwrap_trunk(one.trunk)[-1] for one in (run, source))
    rule = f"must have this run's trunk {own!r}, unless new_params names what is new in it"
    field = "initialization.init_from"
    require(other == own or bool(run.initialization.new_params), run, field, rule, other)
    own_preprocessing = preprocessing_of(run.trunk)
    source_preprocessing = preprocessing_of(source.trunk)
    rule = f"must have seen images as this run's trunk does, {own_preprocessing}"
    require(own_preprocessing == source_preprocessing, run, field, rule, source_preprocessing)
    changed = any(traits(one).adds_params for one in unwrap_trunk(source.trunk))
    rule = f"has parameters added, and so must have this run's trunk {run.trunk!r}"
    require(not changed or source.trunk == run.trunk, run, field, rule, source.trunk)


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
