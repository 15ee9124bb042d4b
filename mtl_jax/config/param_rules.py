"""Parameter rules: which parameters are trained, with which learning rate and penalty."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import leaf_paths, leaves_by_path, partition, path_str
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import BadInput, did_you_mean, regex_error, require, require_number


@typechecked
@dataclasses.dataclass(frozen=True)
class ParamRule:
    """How the parameters whose path matches a pattern are trained.

    `param_rules` is an ordered tuple of rules: each parameter takes the first rule whose pattern
    matches its whole path. Every parameter must match a rule, and every rule a parameter. An
    empty tuple trains all parameters alike.

    Attributes:
      pattern: a regular expression over paths such as `shared/Dense_0/kernel`.
      frozen: whether the parameters are not trained: no gradient, no weight decay, no optimizer
        state. A BatchNorm with a frozen parameter uses its running statistics in training too,
        and leaves them unchanged.
      lr_scale: multiplier of the run's learning rate.
      weight_decay_scale: multiplier of the optimizer's weight decay, which acts on kernels only.
      l2_sp: weight alpha of `alpha/2 ||w - w0||^2`, w0 the initial value; it requires a source
        model (`init_from`). Set `weight_decay_scale` to 0, or both act.

    Raises:
      BadInput: for a negative number, or an invalid regular expression.
    """

    pattern: str
    frozen: bool = False
    lr_scale: float = 1.0
    weight_decay_scale: float = 1.0
    l2_sp: float = 0.0

    def __post_init__(self):
        least = (0.0, math.inf)
        require(type(self.frozen) is bool, self, "frozen", "must be True or False", self.frozen)
        require_number(self, lr_scale=least, weight_decay_scale=least, l2_sp=least)
        fault = regex_error(self.pattern)
        if fault is not None:
            raise BadInput(
                f"Rule: pattern must be a regular expression, got {self.pattern!r}: {fault}"
            )


ParamRules = tuple[ParamRule, ...]


def find_rule(rules: ParamRules, path: str) -> ParamRule | None:
    """The first rule whose pattern matches a parameter's path; () trains all alike."""
    if not rules:
        return ParamRule(".*")
    return next((rule for rule in rules if re.fullmatch(rule.pattern, path)), None)


def rule_of(rules: ParamRules, path: str) -> ParamRule:
    """The rule of a parameter.

    Raises:
      BadInput: if no rule matches its path.
    """
    rule = find_rule(rules, path)
    if rule is None:
        raise BadInput(f"param_rules must have a rule for every parameter; {path} has none")
    return rule


def assign_rules(tree, rules: ParamRules):
    """Assigns a rule to every leaf.

    Args:
      tree: tree of parameters; None leaves are skipped.
      rules: the ordered rules.

    Returns:
      The tree with a `ParamRule` for each leaf.

    Raises:
      BadInput: if parameters have no rule, naming them.
    """
    names = leaf_paths(tree)
    bare = [name for name in names if find_rule(rules, name) is None]
    if bare:
        shown = f"{', '.join(bare[:5])}{' ...' if len(bare) > 5 else ''}"
        raise BadInput(
            f"param_rules must have a rule for every parameter, {len(bare)} have none: {shown}; "
            f'end it in ParamRule(".*") to train the rest'
        )
    return jax.tree_util.tree_map_with_path(lambda path, _: rule_of(rules, path_str(path)), tree)


def check(tree, rules: ParamRules) -> None:
    """Requires a rule for every parameter, and a parameter for every rule.

    Raises:
      BadInput: naming a rule that matches or applies to no parameter, or parameters without a rule.
    """
    names = leaf_paths(tree)
    held_still = all(rule.frozen for rule in jax.tree.leaves(assign_rules(tree, rules)))
    require(not held_still, "param_rules", "rules", "must leave something to be trained", rules)
    for place, rule in enumerate(rules):
        matching = [name for name in names if re.fullmatch(rule.pattern, name)]
        if not matching:
            raise BadInput(
                f"param_rules: pattern {rule.pattern!r} matches no parameter: {did_you_mean(rule.pattern, names)}"
            )
        if place and all(find_rule(rules[:place], name) for name in matching):
            raise BadInput(
                f"param_rules: pattern {rule.pattern!r} never counts: earlier rules take all of "
                f"{matching[0]} and what else it matches"
            )


def l2_sp_penalty(rules: ParamRules, params, start_params) -> jax.Array:
    """L2-SP penalty by the rules, `sum alpha/2 ||w - w0||^2`, `[]`.

    No gradient with respect to the initial values w0.

    Args:
      rules: the ordered rules.
      params: parameters of a run; None leaves are skipped.
      start_params: the initial values w0, those of the source model.

    Raises:
      BadInput: if a rule has `l2_sp` and there is no source model.
    """
    total = jnp.zeros(())
    if not any(rule.l2_sp for rule in rules):
        return total
    if start_params is None:
        raise BadInput(
            "param_rules: l2_sp needs a source model: a run with Initialization(init_from=...)"
        )
    start = leaves_by_path(start_params)
    for path, leaf in leaves_by_path(params).items():
        weight = rule_of(rules, path).l2_sp
        if weight:
            gap = leaf - jax.lax.stop_gradient(start[path])
            total = total + 0.5 * weight * jnp.square(gap).sum()
    return total


def partition_params(params, rules: ParamRules) -> tuple:
    """Splits parameters into trained and frozen trees, each with None at the other's leaves."""
    trained = jax.tree.map(lambda rule: not rule.frozen, assign_rules(params, rules))
    return partition(params, trained)
