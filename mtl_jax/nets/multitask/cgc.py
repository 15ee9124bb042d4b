"""CGC: shared experts in addition to task-specific experts."""

import itertools

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import clone_trunk, gate, mixture, require_trunk


class CGC(MultitaskTrunk, nn.Module):
    """Customized gate control, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = sum_e g_te(x) S_te(x)`, `g_t(x) = softmax(W_t x)`, where S_t are the experts of
    task t followed by the shared ones; x is flattened for the gates, which have no bias. Gates
    and task-specific experts belong to the task, and no other task reads them.

    Attributes:
      expert: the trunk that every expert is a copy of.
      shared: number of shared experts.
      task_specific: number of experts of each task.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: for an expert that is not a plain trunk, or a number below 1.

    Reference: Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, Section 4.1
      (https://doi.org/10.1145/3383313.3412236).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.CGC(nets.MLP((8,)), shared=1, task_specific=1), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> sorted(params["shared"]), sorted(params["tasks"]["own"])[:2]
      (['expert_0_0'], ['task_expert_0_color_0', 'task_expert_0_digit_0'])
    """

    expert: nn.Module = MLP()
    shared: int = 2
    task_specific: int = 2
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "expert")
        require_int(self, shared=1, task_specific=1)
        super().__post_init__()

    inner_trunks = ("expert",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        return level(self, self.expert, dict.fromkeys(self.tasks, x), x, train)[0]


def level(
    parent: nn.Module,
    expert: nn.Module,
    inputs: dict[str, jax.Array],
    shared_input: jax.Array,
    train: bool,
    number: int = 0,
    above: int = 0,
) -> tuple[dict[str, jax.Array], list[jax.Array]]:
    """One level of experts with the gates of the tasks.

    Args:
      parent: the architecture, with numbers of experts `shared` and `task_specific`.
      expert: the trunk that every expert of this level is a copy of.
      inputs: inputs of the experts and the gate of each task.
      shared_input: input of the shared experts.
      train: whether this is training.
      number: index of the level, for the names of its parameters.
      above: number of levels above this one; where a shared gate follows, other tasks also read
        the task's experts and, one level lower, the output of its gate, so these are not named as
        parameters of the task.

    Returns:
      Features `[N, D]` for each task; and the outputs of all experts, those of each task in
      order and then the shared ones.
    """
    expert_prefix, gate_prefix = "" if above else "task_", "" if above > 1 else "task_"

    def apply_experts(name, count, x):
        return [clone(x, train=train) for clone in clone_trunk(parent, expert, name, count)]

    task_outputs = {
        task: apply_experts(f"{expert_prefix}expert_{number}_{task}", parent.task_specific, x)
        for task, x in inputs.items()
    }
    shared_outputs = apply_experts(f"expert_{number}", parent.shared, shared_input)
    count = parent.task_specific + parent.shared
    features = {
        task: mixture(
            gate(x, count, f"{gate_prefix}gate_{number}_{task}"),
            [*task_outputs[task], *shared_outputs],
        )
        for task, x in inputs.items()
    }
    return features, [*itertools.chain(*task_outputs.values()), *shared_outputs]
