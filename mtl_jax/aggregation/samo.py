"""SAMO: the gradient of each task at the worst point nearby, for another method."""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mtl_jax.aggregation.pullback import TaskPullback
from mtl_jax.aggregation.upgrad import UPGrad
from mtl_jax.core.balancing import Balancer, BalancerWrapper, combines_jacobian
from mtl_jax.core.prng import fold_in_name
from mtl_jax.core.tree import Tree, ascend, weighted_sum
from mtl_jax.core.validation import BadInput, require, require_number

LossFn = Callable[[Tree], jax.Array]


@dataclasses.dataclass(frozen=True)
class SAMO(BalancerWrapper):
    """Sharpness-aware multi-task optimization, around any method of losses or gradients.

    The method balances gradients that are each taken at a point of their own,
    `g_k = grad L_k(theta + rho p_k / ||p_k||, phi_k + rho h_k / ||h_k||)`, with theta the shared
    parameters, phi_k those of the task, h_k their gradient, and for each layer of theta

        p_k = (1 - beta) g + beta ||g|| z_k / ||z_k||
        z_k = (L_k(theta + epsilon u_k) - L_k(theta - epsilon u_k)) / (2 epsilon) u_k

    g is the gradient of the mean loss (global) and z_k an estimate of that of L_k (local) by a
    normal direction u_k. A step costs 2 K forward passes and K + 1 forward and backward ones. Both
    losses of z_k are in training mode, where the authors' code evaluates; batch statistics and
    other states are those of the unperturbed pass.

    Attributes:
      method: a method that weighs losses or combines the gradients of one batch.
      rho: norm of the perturbation of the shared parameters, and of those of each task.
      beta: share of the local gradient in the perturbation.
      epsilon: step of its finite differences.

    Raises:
      BadInput: for a method of another family, or a number out of range; in a step, without
        shared parameters.

    Reference: Ban, Subramani and Ji, SAMO: A Lightweight Sharpness-Aware Approach for Multi-Task
      Optimization with Joint Global-Local Perturbation, ICCV 2025
      (https://arxiv.org/abs/2507.07883), and its code (github.com/OptMN-Lab/SAMO, CelebA).
    """

    method: Balancer = dataclasses.field(default=UPGrad())
    rho: float = 0.001
    beta: float = 0.1
    epsilon: float = 0.01

    def __post_init__(self):
        require_number(self, rho=(0.0, math.inf), beta=(0.0, 1.0), epsilon=(0.0, math.inf))
        require(self.epsilon > 0, self, "epsilon", "must be above 0", self.epsilon)
        valid = isinstance(self.method, Balancer) and self.method.inner is self.method
        valid = valid and self.method.access in ("losses", "gramian", "jacobian")
        rule = "must weigh losses or combine the gradients of one batch"
        require(valid, self, "method", rule, self.method)

    @property
    def inner(self) -> Balancer:
        """The wrapped method."""
        return self.method

    def init(self, num_tasks: int, shared: Tree = None) -> Tree:
        """Initial state of the wrapped method."""
        if combines_jacobian(self.method):
            return self.method.init(num_tasks, shared)
        return self.method.init(num_tasks)

    def pre_step(self, losses: jax.Array, state: Tree) -> Tree:
        """Forwards to the wrapped method and returns the next state."""
        return self.method.pre_step(losses, state)

    def post_step(self, losses: jax.Array, state: Tree) -> Tree:
        """Forwards to the wrapped method and returns the next state."""
        return self.method.post_step(losses, state)

    def perturb(self, pullback: TaskPullback, key: jax.Array) -> TaskPullback:
        """The pullbacks of the losses, each at its own point, in place of those at one."""
        losses_fn, params = pullback.losses_fn, pullback.params
        if losses_fn is None:
            raise ValueError(f"{self!r} needs a TaskPullback with losses_fn and params")
        if not jax.tree.leaves(params["shared"]):
            raise BadInput(f"{self!r} perturbs trained shared parameters, there are none")
        num_tasks = jax.eval_shape(losses_fn, params).size
        mean = pullback.vjp(jnp.full(num_tasks, 1.0 / num_tasks))["shared"]

        def gradient(row):
            task, key = row
            own = pullback.vjp(jnp.zeros(num_tasks).at[task].set(1.0))["tasks"]
            return self.perturbed_gradient(lambda p: losses_fn(p)[task], params, mean, own, key)

        keys = jax.random.split(fold_in_name(key, "perturbation"), num_tasks)
        rows = pullback.map_tasks(gradient, (jnp.arange(num_tasks), keys))

        def vjp(cotangents):
            active = pullback.active_tasks
            return weighted_sum(
                cotangents if active is None else jnp.where(active, cotangents, 0.0), rows
            )

        def jacobian():
            return {**rows, "tasks": vjp(jnp.ones(num_tasks))["tasks"]}

        return pullback._replace(
            vjp=vjp, jacobian=jacobian, feature_jacobian=None, encoder_vjp=None, gramian_fn=None
        )

    def perturbed_gradient(
        self, loss_fn: LossFn, params: Tree, mean: Tree, own: Tree, key: jax.Array
    ) -> Tree:
        """The gradient of one task at its own point.

        Args:
          loss_fn: the task's loss `[]`, as a function of the parameters.
          params: the parameters of the step.
          mean: gradient of the mean loss, for the shared parameters.
          own: gradient of the task's loss, for the task-specific ones.
          key: key of the direction.
        """
        local = estimate_gradient(loss_fn, params, self.epsilon, key)
        direction = jax.tree.map(self.joint_direction, mean, local)
        shared = ascend(params["shared"], direction, self.rho)
        tasks = ascend(params["tasks"], own, self.rho)
        return jax.grad(loss_fn)({"shared": shared, "tasks": tasks})

    def joint_direction(self, mean: jax.Array, local: jax.Array) -> jax.Array:
        """The direction of the perturbation of one layer, from both gradients."""
        size = jnp.linalg.norm(local.ravel())
        unit = local / jnp.where(size == 0.0, 1.0, size)
        return (1.0 - self.beta) * mean + self.beta * jnp.linalg.norm(mean.ravel()) * unit


def estimate_gradient(loss_fn: LossFn, params: Tree, epsilon: float, key: jax.Array) -> Tree:
    """Gradient of the shared parameters by a central difference along a normal direction."""
    leaves, treedef = jax.tree.flatten(params["shared"])
    normal = [
        jax.random.normal(key, leaf.shape, leaf.dtype)
        for key, leaf in zip(jax.random.split(key, len(leaves)), leaves, strict=True)
    ]
    direction = jax.tree.unflatten(treedef, normal)

    def loss_at(step):
        shared = jax.tree.map(lambda w, u: w + step * u, params["shared"], direction)
        return loss_fn({**params, "shared": shared})

    slope = (loss_at(epsilon) - loss_at(-epsilon)) / (2.0 * epsilon)
    return jax.tree.map(lambda u: slope.astype(u.dtype) * u, direction)
