"""MMoE: shared experts, mixed for each task by its own gate."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import clone_trunk, gate, mixture, require_trunk


class MMoE(MultitaskTrunk, nn.Module):
    """Multi-gate mixture of experts, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = sum_e g_te(x) f_e(x)`, `g_t(x) = softmax(W_t x)`, with the input x flattened
    for the gates. Each expert f_e is a copy of one trunk; the experts are shared, the gates
    belong to the tasks. A gate has no bias, as in the paper (LibMTL's has one).

    Attributes:
      expert: the trunk that every expert is a copy of.
      experts: number of experts, E.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for an expert that is not a plain trunk, or no expert.

    Reference: Ma et al., Modeling Task Relationships in Multi-task Learning with Multi-gate
      Mixture-of-Experts, KDD 2018, Section 4.2 (https://doi.org/10.1145/3219819.3220007).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.MMoE(nets.MLP((8,)), experts=3), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> params["tasks"]["own"]["task_gate_digit"]["kernel"].shape
      (4, 3)
    """

    expert: nn.Module = MLP()
    experts: int = 4
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "expert")
        require_int(self, experts=1)
        super().__post_init__()

    inner_trunks = ("expert",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        experts = clone_trunk(self, self.expert, "expert", self.experts)
        outputs = [expert(x, train=train) for expert in experts]
        return {
            task: mixture(gate(x, self.experts, f"task_gate_{task}"), outputs)
            for task in self.tasks
        }
