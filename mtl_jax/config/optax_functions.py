"""Any optimizer of optax, as a setting."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mtl_jax.config.param_rules import ParamRules
from mtl_jax.config.transforms import (
    check_clip_norm,
    clip_by_norm,
    scale_by_param_rules,
    with_standard_promotion,
)
from mtl_jax.core.function_config import FunctionConfig, public_name
from mtl_jax.core.optimizer import Optimizer, OptimizerWrapper, Schedule
from mtl_jax.core.tree import Tree
from mtl_jax.core.validation import BadInput, require, short_repr

# Shapes of parameters that an optimizer is tried on.
EXAMPLE = {
    "shared": {"Dense_0": {"kernel": (3, 4), "bias": (4,)}, "Conv_0": {"kernel": (3, 3, 1, 2)}},
    "tasks": {"heads": {"task": {"kernel": (4, 2), "bias": (2,)}}},
}
MOMENTUM = ("momentum", "b1")  # Its names in optax.
# Optimizers, by their state, that train other parameters than those to evaluate.
INSTEAD = {optax.contrib.ScheduleFreeState: "ScheduleFree", optax.contrib.SAMState: "SAM"}


class Optax(FunctionConfig, Optimizer):
    """An optimizer of optax, or of a user's own function that returns one.

    `Optax(optax.lion, learning_rate=1e-4, b1=0.95)` trains by `optax.lion(learning_rate=1e-4,
    b1=0.95)`, whose updates are added to the parameters. Schedules among the settings are built
    for the run's number of steps, and optimizers into transformations, such as that of
    `optax.apply_if_finite`. For a chain of transformations, give a function of your own.

    Unlike in `SGD` and `Adam`, weight decay is what the function makes of it: optax decays biases
    and normalization layers too unless a setting `mask` excludes them, and the rules'
    `weight_decay_scale` is refused. Their `lr_scale` multiplies the updates. Proximal and bilevel
    methods take the setting `learning_rate` as the step size.

    Args:
      function: a function at module level that returns a `GradientTransformation`.
      clip_norm: largest global norm of the combined gradient, which is scaled down to it first;
        None does not clip.
      **settings: its keyword arguments.

    Raises:
      BadInput: for another function, a wrong or missing argument, or an optimizer that needs more
        than gradients and parameters, trains other parameters than those to evaluate, or has a
        random key in its state.
    """

    own = ("clip_norm",)

    def __init__(
        self, function: Callable[..., Any], /, *, clip_norm: float | None = None, **settings: Any
    ):
        clip = {} if clip_norm is None else {"clip_norm": clip_norm}
        super().__init__(function, **clip, **settings)
        check_clip_norm(self)
        for name, value in self.settings:
            rule = "must not be a wrapper, whose own gradient optax does not take: wrap the Optax"
            require(not isinstance(value, OptimizerWrapper), self, name, rule, value)
        check_step(self)
        check_is_optimizer(self)

    @property
    def learning_rate(self) -> float | Schedule | None:
        """The setting `learning_rate`, if it is a number or a schedule."""
        rate = dict(self.settings).get("learning_rate")
        # It is an array where runs that differ in it are traced together.
        return rate if isinstance(rate, int | float | jax.Array | Schedule) else None

    @property
    def momentum(self) -> float:
        """The argument `momentum` or `b1`, or its default."""
        defaults = inspect.signature(self.function).parameters
        values = [
            dict(self.settings).get(n, defaults[n].default) for n in MOMENTUM if n in defaults
        ]
        return next((float(value) for value in values if isinstance(value, int | float)), 0.0)

    @property
    def clip_norm(self) -> float | None:
        """The largest global norm of the gradient, or None."""
        return dict(self.settings).get("clip_norm")

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        transform = self.call(steps)
        rule = "must return an optax.GradientTransformation"
        require(
            isinstance(transform, optax.GradientTransformation), self, "function", rule, transform
        )
        clip = clip_by_norm(self.clip_norm)
        return with_standard_promotion(optax.chain(*clip, transform, *scale_by_param_rules(rules)))

    def check(self, run: Any) -> None:
        """Requires parameter rules that do not scale the weight decay."""
        scaled = [r for r in run.param_rules if r.weight_decay_scale != 1.0 and not r.frozen]
        rule = f"must not scale the weight decay of {public_name(self.function)} (SGD and Adam can)"
        require(not scaled, run, "param_rules", rule, scaled)


def check_step(optimizer: Optax) -> None:
    """Requires an optimizer that maps gradients to updates and keeps the shapes of its state.

    Nothing is computed: the step is traced.

    Raises:
      BadInput: with the error, if the step fails.
    """

    def step(params: Tree):
        transform = optimizer.build(100)
        state = transform.init(params)
        return params, state, *transform.update(params, state, params)

    zeros = lambda: jax.tree.map(jnp.zeros, EXAMPLE, is_leaf=lambda shape: isinstance(shape, tuple))
    try:
        params, state, updates, new_state = jax.eval_shape(lambda: step(zeros()))
    except BadInput:
        raise
    except Exception as error:
        what = f"{short_repr(optimizer)} fails in a step with gradients and parameters only"
        raise BadInput(f"{what}: {short_repr(error)}") from error
    for kind, name in INSTEAD.items():
        found = jax.tree.leaves(state, is_leaf=lambda node, kind=kind: isinstance(node, kind))
        other = any(isinstance(node, kind) for node in found)
        rule = f"must not change the parameters to evaluate; use optimizers.{name}"
        require(not other, optimizer, "function", rule, optimizer)
    kept = (specs(params), specs(state)) == (specs(updates), specs(new_state))
    require(kept, optimizer, "function", "must keep the shapes of updates and state", optimizer)
    keys = [
        leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    ]
    require(not keys, optimizer, "function", "must have a state without random keys", optimizer)


def specs(tree: Tree) -> tuple:
    """The structure of a tree of shapes, and the shape and dtype of its leaves."""
    leaves, treedef = jax.tree.flatten(tree)
    return treedef, [(leaf.shape, leaf.dtype) for leaf in leaves]


def check_is_optimizer(optimizer: Optax) -> None:
    """Refuses functions of optax that are only a part of an optimizer, such as `scale_by_adam`.

    Their updates follow the gradient upwards.
    """
    own = optimizer.function.__module__.startswith("optax.")
    wraps = any(isinstance(value, Optimizer) for _, value in optimizer.settings)
    names = inspect.signature(optimizer.function).parameters
    fine = not own or wraps or any("learning_rate" in name for name in names)
    rule = "must be an optimizer, with a learning_rate, not a part of one"
    require(fine, optimizer, "function", rule, optimizer)
