"""CGC: shared experts in addition to task-specific experts."""

import flax.linen as nn
import jax

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_int
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import copies, gate, mixed, require_trunk


class CGC(MultitaskTrunk, nn.Module):
    """Customized gate control, `[N, ...] -> {task: [N, D]}`.

    `f_t(x) = sum_e g_te(x) S_te(x)`, `g_t(x) = softmax(W_t x)`, where S_t are the experts of
    task t followed by the shared ones; x is flattened for the gates, which have no bias. Gates
    and task-specific experts belong to the task, and no other task reads them.

    Attributes:
      expert: the trunk that every expert is a copy of.
      shared: number of shared experts.
      own: number of experts of each task.
      tasks: names, set by `compose`.

    Raises:
      BadInput: for an expert that is not a plain trunk, or a number below 1.

    Reference: Tang et al., Progressive Layered Extraction (PLE), RecSys 2020, Section 4.1
      (https://doi.org/10.1145/3383313.3412236).
    """

    expert: nn.Module = MLP()
    shared: int = 2
    own: int = 2
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "expert")
        require_int(self, shared=1, own=1)
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
    common: jax.Array,
    train: bool,
    number: int = 0,
    above: int = 0,
) -> tuple[dict[str, jax.Array], list[jax.Array]]:
    """One level of experts with the gates of the tasks.

    Args:
      parent: the architecture, with numbers of experts `shared` and `own`.
      expert: the trunk that every expert of this level is a copy of.
      inputs: inputs of the experts and the gate of each task.
      common: input of the shared experts.
      train: whether this is training.
      number: index of the level, for the names of its parameters.
      above: number of levels above this one; where a shared gate follows, other tasks also read
        the task's experts and, one level lower, the output of its gate, so these are not named as
        parameters of the task.

    Returns:
      Features `[N, D]` for each task; and the outputs of all experts, those of each task in
      order and then the shared ones.
    """
    experts_of, gate_of = "" if above else "task_", "" if above > 1 else "task_"

    def run(name, count, x):
        return [each(x, train=train) for each in copies(parent, expert, name, count)]

    own = {
        task: run(f"{experts_of}expert_{number}_{task}", parent.own, x)
        for task, x in inputs.items()
    }
    shared = run(f"expert_{number}", parent.shared, common)
    count = parent.own + parent.shared
    features = {
        task: mixed(gate(x, count, f"{gate_of}gate_{number}_{task}"), [*own[task], *shared])
        for task, x in inputs.items()
    }
    return features, [*(output for outputs in own.values() for output in outputs), *shared]
