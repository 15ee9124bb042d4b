"""DSelect-k: sparse gates over shared experts, smooth in binary codes of the experts."""

import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.tree import Tree
from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import BadInput, require, require_int, require_number
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import clone_trunk, flatten, mixture, require_trunk


class DSelectK(MultitaskTrunk, nn.Module):
    """Mixture of experts with differentiable sparse gates, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = sum_e q_e f_e(x)`, `q = sum_{i<=k} softmax(a)_i r(z_i)`: k selectors weighted by
    logits a, each of which selects one expert by a code z_i with `m = ceil(log2 E)` entries,
    `r(z)_e = prod_j (S(z_j) if bit j of e else 1 - S(z_j))`, with the smooth step S. Codes
    beyond the width of S are exactly 0 or 1, select one expert and have no gradient. Experts
    are shared, `a` and `z` belong to the tasks: parameters, or linear in the flattened input.

    If E is not a power of 2, the weights q may sum to less than 1, since some codes do not
    correspond to an expert. `SelectorEntropy` drives static selectors to one expert each, and
    away from such codes. Codes are initialized uniformly in +-gamma/100, logits and their linear
    maps in +-0.05, as in the authors' code.

    Attributes:
      expert: the trunk that every expert is a copy of.
      experts: number of experts, E.
      num_selected: number of selectors, k: the final gates have at most k experts.
      gamma: width of the smooth step.
      static_gates: whether gates are the same for all inputs.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for an expert that is not a plain trunk, a setting outside its range, or
        `num_selected` above `experts`.

    Reference: Hazimeh et al., DSelect-k, NeurIPS 2021, Section 3
      (https://arxiv.org/abs/2106.03760).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.DSelectK(nets.MLP((8,)), experts=8, num_selected=2), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["own"]["task_gate_digit"]["codes"].shape
      (2, 3)
    """

    expert: nn.Module = MLP()
    experts: int = 4
    num_selected: int = 2
    gamma: float = 1.0
    static_gates: bool = True
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "expert")
        require_int(self, experts=2, num_selected=1)
        require(
            self.num_selected <= self.experts,
            self,
            "num_selected",
            "must not exceed experts",
            self.num_selected,
        )
        require_width(self)
        super().__post_init__()

    inner_trunks = ("expert",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        experts = clone_trunk(self, self.expert, "expert", self.experts)
        outputs = [expert(x, train=train) for expert in experts]
        return {
            task: mixture(expert_weights(self, x, f"task_gate_{task}"), outputs)
            for task in self.tasks
        }


def expert_weights(parent: DSelectK, x: jax.Array, name: str) -> jax.Array:
    """Expert weights of the named gate, `[E]` for a static one, else `[N, E]`."""
    gate = Selectors(
        parent.num_selected,
        code_length(parent.experts),
        parent.gamma,
        parent.static_gates,
        name=name,
    )
    logits, codes = gate(x)
    selectors = selector_weights(codes, parent.experts, parent.gamma)
    return jnp.einsum("...k,...ke->...e", nn.softmax(logits), selectors)


class Selectors(nn.Module):
    """Logits `[..., k]` and codes `[..., k, m]` of one gate, with or without leading `N`."""

    num_selected: int
    code_length: int
    gamma: float
    static_gates: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps inputs `[N, ...]` to the logits and the codes."""
        logits = self.gate_values(x, "logits", (self.num_selected,), 0.05)
        shape = (self.num_selected, self.code_length)
        return logits, self.gate_values(x, "codes", shape, self.gamma / 100)

    @nn.nowrap
    def gate_values(
        self, x: jax.Array, name: str, shape: tuple[int, ...], bound: float
    ) -> jax.Array:
        """A parameter of a shape if gates are static, else a linear map of the inputs."""
        init = uniform_init(bound)
        if self.static_gates:
            return self.param(name, init, shape)
        return nn.DenseGeneral(shape, kernel_init=init, bias_init=init, name=name)(flatten(x))


@dataclasses.dataclass(frozen=True)
class SelectorEntropy:
    """Penalty on static selectors of `DSelectK` that do not select a single expert.

    `weight * sum_ti H(r(z_ti))`, `H(r) = -sum_e r_e log r_e`, over tasks t and selectors i,
    and, if E is not a power of 2, `reach * sum_ti 1 / sum_e r_e(z_ti)`, so that no selector ends
    at a code without an expert (the sum is clipped below at 1e-6, to stay finite). The entropy
    is exact where the authors' code has `log(r + 1e-6)`. The anchor is unused.

    Attributes:
      weight: weight of the entropies; the authors' default is 1e-6.
      gamma: width of the smooth step, as in the trunk.
      reach: weight of the second term; 1 in the authors' code.

    Raises:
      BadInput: for a negative weight or a width that is not positive; when called, if there
        are no static gates.

    Reference: Hazimeh et al., DSelect-k, NeurIPS 2021, Section 3
      (https://arxiv.org/abs/2106.03760).

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax import nets
      >>> gates = {"task_gate_digit": {"codes": jnp.zeros((1, 1))}}  # r = (1/2, 1/2).
      >>> params = {"shared": {"expert_0": {}, "expert_1": {}}, "tasks": {"own": gates}}
      >>> round(float(nets.SelectorEntropy(weight=1.0)(params, anchor=None)), 3)
      0.693
    """

    weight: float = 1e-6
    gamma: float = 1.0
    reach: float = 1.0

    def __post_init__(self):
        require_number(self, weight=(0.0, math.inf), reach=(0.0, math.inf))
        require_width(self)

    def __call__(self, params: Tree, anchor: Tree) -> jax.Array:
        """Maps parameters to the penalty `[]`."""
        codes = jnp.stack(static_codes(params["tasks"].get("own", {})))
        experts = sum(name.startswith("expert_") for name in params["shared"])
        selectors = selector_weights(codes, experts, self.gamma)
        penalty = self.weight * entropy(selectors).sum()
        if experts == 2 ** codes.shape[-1]:
            return penalty
        return penalty + self.reach * (1.0 / jnp.maximum(selectors.sum(-1), 1e-6)).sum()


def static_codes(task_params: Tree) -> list[jax.Array]:
    """Codes `[k, m]` of the gates of all tasks.

    Raises:
      BadInput: if there are none, or they depend on the input.
    """
    gates = [params for params in task_params.values() if isinstance(params, dict)]
    codes = [params["codes"] for params in gates if "codes" in params]
    if not codes or any(isinstance(code, dict) for code in codes):
        raise BadInput("SelectorEntropy needs static gates: trunk=nets.DSelectK(...)")
    return codes


def selector_weights(codes: jax.Array, experts: int, gamma: float) -> jax.Array:
    """Weights of each selector for each expert, `[..., E]`, from codes `[..., m]`."""
    steps = smooth_step(codes, gamma)[..., None, :]
    bits = jnp.arange(experts)[:, None] >> jnp.arange(codes.shape[-1])[None]
    ones = jnp.broadcast_to((bits & 1).astype(bool), steps.shape[:-2] + bits.shape)
    steps = jnp.broadcast_to(steps, ones.shape)
    return jnp.where(ones, steps, 1.0 - steps).prod(-1)


def smooth_step(t: jax.Array, gamma: float) -> jax.Array:
    """`S(t) = -2 (t/gamma)^3 + 3/2 (t/gamma) + 1/2` within +-gamma/2, else exactly 0 or 1."""
    t = jnp.clip(t / gamma, -0.5, 0.5)
    return -2.0 * t**3 + 1.5 * t + 0.5


def entropy(probabilities: jax.Array) -> jax.Array:
    """`-sum p log p` over the last axis; value and gradient are 0 where p is 0."""
    positive = probabilities > 0
    logs = jnp.log(jnp.where(positive, probabilities, 1.0))
    return -jnp.where(positive, probabilities * logs, 0.0).sum(-1)


def code_length(experts: int) -> int:
    """Length of the binary code of an expert, `ceil(log2 E)`."""
    return (experts - 1).bit_length()


def uniform_init(bound: float):
    """An initializer, uniform in `+-bound`."""

    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def require_width(owner: DSelectK | SelectorEntropy) -> None:
    """Requires a finite `gamma` above 0."""
    require_number(owner, gamma=(0.0, math.inf))
    require(owner.gamma > 0, owner, "gamma", "must be above 0", owner.gamma)
