"""Optimizers around another one: sharpness-aware, schedule-free, reduced on a plateau."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from optax.contrib import ScheduleFreeState

from mtl_jax.config.param_rules import ParamRules
from mtl_jax.config.transforms import learning_rate, with_standard_promotion
from mtl_jax.core.optimizer import GradientFn, OptimizerWrapper
from mtl_jax.core.tree import Tree, ascend
from mtl_jax.core.typechecked import typechecked
from mtl_jax.core.validation import require, require_int, require_number


@typechecked
@dataclasses.dataclass(frozen=True)
class SAM(OptimizerWrapper):
    """Sharpness-aware minimization: the gradient at the worst point nearby.

    `w -= update(g(w + rho g(w) / ||g(w)||))`: the wrapped optimizer's step with the gradient at
    the perturbed parameters, on the same batch. g is the combined gradient of all trained
    parameters, with that of penalties but without weight decay; each of the two passes is
    balanced by itself. The first pass alone updates batch statistics and the states of balance and
    auxiliary losses, and gives the metrics (the authors' code takes its batch statistics from
    there too). A step costs two.

    Attributes:
      optimizer: the optimizer of the step.
      rho: norm of the perturbation.

    Raises:
      BadInput: for a negative rho.

    Reference: Foret et al., Sharpness-Aware Minimization for Efficiently Improving Generalization,
      ICLR 2021, equations 2 and 3 with p = 2 (https://arxiv.org/abs/2010.01412).
    """

    rho: float = 0.05

    def __post_init__(self):
        require_number(self, rho=(0.0, math.inf))

    def gradient(self, gradient_fn: GradientFn, params: Tree, opt_state: Tree) -> tuple[Tree, Any]:
        """The gradient at the perturbed parameters, and the other results of the first pass."""

        def sharpness_aware_gradient(params):
            gradient, found = gradient_fn(params)
            gradient, _ = gradient_fn(ascend(params, gradient, self.rho))
            return gradient, found

        return self.optimizer.gradient(sharpness_aware_gradient, params, opt_state)


@typechecked
@dataclasses.dataclass(frozen=True)
class ScheduleFree(OptimizerWrapper):
    """Schedule-free learning: an average of the iterates in place of a decaying learning rate.

    `y = (1 - b1) z + b1 x`, `z -= update(g(y))`, `x = (1 - c) x + c z`, with c the share of this
    step's `rate^p` in their sum. The parameters of the run are x: they are what is evaluated,
    averaged, selected and exported, while gradients are those at y. So are the running statistics
    of BatchNorm, which the authors compute again at x.

    The wrapped optimizer must be without momentum, which b1 replaces, and without a decaying
    schedule: `SGD(rate, momentum=0.0)`, or `Optax(optax.adamw, learning_rate=rate, b1=0.0)`.

    Attributes:
      optimizer: the optimizer of z, with a learning rate, constant or of a warm-up.
      b1: weight of the average x in y, above 0.
      weight_lr_power: the exponent p.

    Raises:
      BadInput: for an optimizer with a known momentum or without a learning rate, a b1 outside
        ]0, 1], or a negative p.

    Reference: Defazio et al., The Road Less Scheduled, NeurIPS 2024, Section 1 and, with Adam,
      Algorithm 1 (https://arxiv.org/abs/2405.15682).
    """

    b1: float = 0.9
    weight_lr_power: float = 2.0

    def __post_init__(self):
        require_number(self, b1=(0.0, 1.0), weight_lr_power=(0.0, math.inf))
        require(self.b1 > 0, self, "b1", "must be above 0", self.b1)
        inner = self.optimizer
        require(
            inner.learning_rate is not None, self, "optimizer", "must have a learning_rate", inner
        )
        rule = "must have no momentum, such as SGD(rate, momentum=0.0) or an Optax with b1=0.0"
        require(inner.momentum == 0.0, self, "optimizer", rule, inner)

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The transformation of the averaged parameters x."""
        free = optax.contrib.schedule_free(
            self.optimizer.build(steps, rules),
            learning_rate(self, steps),
            self.b1,
            self.weight_lr_power,
        )

        def update(updates, state, params=None, **extra):
            before = self.gradient_params(params, state)
            updates, state = free.update(updates, state, before)
            after = optax.apply_updates(before, updates)
            averaged = optax.contrib.schedule_free_eval_params(state, after)
            return jax.tree.map(jnp.subtract, averaged, params), state

        return with_standard_promotion(optax.GradientTransformation(free.init, update))

    def check(self, run: Any) -> None:
        """Requires a run without proximal terms, which would have to act on z."""
        rule = "must be empty with ScheduleFree"
        terms = run.regularization.proximal
        require(not terms, run, "regularization.proximal", rule, terms)
        self.optimizer.check(run)

    def gradient(self, gradient_fn: GradientFn, params: Tree, opt_state: Tree) -> tuple[Tree, Any]:
        """The gradient of the wrapped optimizer at y."""
        point = self.gradient_params(params, opt_state)
        return self.optimizer.gradient(gradient_fn, point, opt_state.base_optimizer_state)

    def gradient_params(self, params: Tree, state: ScheduleFreeState) -> Tree:
        """The parameters y at which the gradient is taken."""
        return jax.tree.map(lambda x, z: (1.0 - self.b1) * z + self.b1 * x, params, state.z)


class PlateauState(NamedTuple):
    """State of `ReduceOnPlateau`."""

    state: Tree  # Of the wrapped optimizer.
    scale: jax.Array  # []
    count: jax.Array  # [], evaluations since the last improvement or reduction.


@typechecked
@dataclasses.dataclass(frozen=True)
class ReduceOnPlateau(OptimizerWrapper):
    """A learning rate that is reduced where validation gets no better.

    The updates of the wrapped optimizer, times `factor^k` after k plateaus. An evaluation, of the
    raw or averaged parameters, is better if the run would select it (`Evaluation.selection`), for
    each seed by itself. As in optax's `reduce_on_plateau` with a tolerance of 0.

    Attributes:
      optimizer: the optimizer whose updates are scaled, with its schedule if it has one.
      factor: factor of the learning rate at a plateau.
      patience: number of evaluations without a better one that make a plateau.
      min_scale: smallest product of the factors.

    Raises:
      BadInput: for a factor or `min_scale` outside [0, 1], or a patience below 1.
    """

    factor: float = 0.1
    patience: int = 10
    min_scale: float = 0.0

    learning_rate = None  # It depends on the state.
    observes_validation = True

    def __post_init__(self):
        require_number(self, factor=(0.0, 1.0), min_scale=(0.0, 1.0))
        require_int(self, patience=1)

    def build(self, steps: int, rules: ParamRules = ()) -> optax.GradientTransformation:
        """The optax transformation for a run of `steps` steps, with scales by parameter rules."""
        inner = self.optimizer.build(steps, rules)

        def init(params):
            return PlateauState(inner.init(params), jnp.ones(()), jnp.zeros((), jnp.int32))

        def update(updates, state, params=None, **extra):
            updates, new_state = inner.update(updates, state.state, params)
            updates = jax.tree.map(lambda u: state.scale.astype(u.dtype) * u, updates)
            return updates, state._replace(state=new_state)

        return optax.GradientTransformation(init, update)

    def check(self, run: Any) -> None:
        """Requires a run that selects by validation, of one model."""
        rule = "must be by validation with ReduceOnPlateau"
        selection = run.evaluation.selection
        require(not selection.startswith("last"), run, "evaluation.selection", rule, selection)
        others = [each.name for each in run.extensions if each.extra_models]
        rule = "with ReduceOnPlateau must have no model of their own"
        require(not others, run, "extensions", rule, others)
        self.optimizer.check(run)

    def gradient(self, gradient_fn: GradientFn, params: Tree, opt_state: Tree) -> tuple[Tree, Any]:
        """The gradient of the wrapped optimizer."""
        return self.optimizer.gradient(gradient_fn, params, opt_state.state)

    def observe(self, opt_state: PlateauState, improved: jax.Array) -> PlateauState:
        """The state after an evaluation: one more without improvement, or a reduction."""
        count = jnp.where(improved, 0, opt_state.count + 1)
        reduce = count >= self.patience
        scale = jnp.where(reduce, opt_state.scale * self.factor, opt_state.scale)
        return PlateauState(
            self.optimizer.observe(opt_state.state, improved),
            jnp.maximum(scale, self.min_scale),
            jnp.where(reduce, 0, count),
        )
