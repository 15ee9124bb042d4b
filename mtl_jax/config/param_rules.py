"""A plan is data: which parameters are trained, how fast, and what they are held to."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp

from mtl_jax.core.tree import path_text, paths
from mtl_jax.core.typechecked import typed
from mtl_jax.core.validation import BadInput, near, pattern_fault, require, require_number


@typed
@dataclasses.dataclass(frozen=True)
class Rule:
    """What happens to the parameters of some paths.

    A plan is a tuple of rules in order: for each parameter the first whose pattern matches its
    whole path counts. Every parameter must have a rule, and every rule a parameter. The empty
    plan trains all alike.

    Attributes:
      pattern: a regular expression over paths such as `shared/Dense_0/kernel`.
      frozen: not trained: no gradient, no decay, no memory of an optimizer. A BatchNorm of
        which a parameter is frozen uses its running statistics in training too, and leaves
        them as they are.
      rate: times the run's learning rate.
      decay: times the optimizer's weight decay, which acts on kernels only.
      anchor: weight alpha of `alpha/2 ||w - w0||^2`, w0 the value that the run started from;
        it wants a run with a source, and a decay of 0, or both act.

    Raises:
      BadInput: for a negative number, or a pattern that is no regular expression.
    """

    pattern: str
    frozen: bool = False
    rate: float = 1.0
    decay: float = 1.0
    anchor: float = 0.0

    def __post_init__(self):
        least = (0.0, math.inf)
        require(type(self.frozen) is bool, self, "frozen", "must be True or False", self.frozen)
        require_number(self, rate=least, decay=least, anchor=least)
        fault = pattern_fault(self.pattern)
        if fault is not None:
            raise BadInput(
                f"Rule: pattern must be a regular expression, got {self.pattern!r}: {fault}"
            )


Plan = tuple[Rule, ...]


def rule_of(plan: Plan, path: str) -> Rule | None:
    """The rule of a parameter's path, or None if no rule matches."""
    if not plan:
        return Rule(".*")
    return next((rule for rule in plan if re.fullmatch(rule.pattern, path)), None)


def ruled(tree, plan: Plan):
    """The rule of every leaf.

    Args:
      tree: of parameters; None leaves are left out.
      plan: in order.

    Returns:
      The tree with a `Rule` for each leaf.

    Raises:
      BadInput: naming all parameters without a rule.
    """
    names = paths(tree)
    bare = [name for name in names if rule_of(plan, name) is None]
    if bare:
        shown = f"{', '.join(bare[:5])}{' ...' if len(bare) > 5 else ''}"
        raise BadInput(
            f"plan must have a rule for every parameter, {len(bare)} have none: {shown}; "
            f'end it in Rule(".*") to train the rest'
        )
    return jax.tree_util.tree_map_with_path(lambda path, _: rule_of(plan, path_text(path)), tree)


def check(tree, plan: Plan) -> None:
    """Requires a rule for every parameter, and a parameter for every rule.

    Raises:
      BadInput: naming what is left over.
    """
    names = paths(tree)
    held_still = all(rule.frozen for rule in jax.tree.leaves(ruled(tree, plan)))
    require(not held_still, "plan", "rules", "must leave something to be trained", plan)
    for place, rule in enumerate(plan):
        matching = [name for name in names if re.fullmatch(rule.pattern, name)]
        if not matching:
            raise BadInput(
                f"plan: pattern {rule.pattern!r} matches no parameter: {near(rule.pattern, names)}"
            )
        if place and all(rule_of(plan[:place], name) for name in matching):
            raise BadInput(
                f"plan: pattern {rule.pattern!r} never counts: earlier rules take all of "
                f"{matching[0]} and what else it matches"
            )


def held(plan: Plan, params, anchor) -> jax.Array:
    """Half the squared distances from the start, by the rules: `sum alpha/2 ||w - w0||^2`, `[]`.

    Nothing flows into the start.

    Args:
      plan: in order.
      params: of a run; None leaves are left out.
      anchor: those that it started from.

    Raises:
      BadInput: if a rule holds to a start that there is not.
    """
    total = jnp.zeros(())
    if not any(rule.anchor for rule in plan):
        return total
    if anchor is None:
        raise BadInput("plan: an anchor needs a start to hold to: a run with source=...")
    start = dict(zip(paths(anchor), jax.tree.leaves(anchor), strict=True))
    for path, leaf in zip(paths(params), jax.tree.leaves(params), strict=True):
        weight = rule_of(plan, path).anchor
        if weight:
            gap = leaf - jax.lax.stop_gradient(start[path])
            total = total + 0.5 * weight * jnp.square(gap).sum()
    return total
