"""Cascaded: tasks read levels of one stack of trunks, low tasks first."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import flat, require_trunk


class Cascaded(nn.Module):
    """A stack of trunks, one level a task, `[N, ...] -> {task: [N, D]}`.

    `f_1(x) = h_1(x)`, `f_k(x) = h_k([x, f_k-1(x)])`, tasks in the order of the run: the first
    reads the lowest level, and every level sees the input too (shortcut). Levels are copies
    of one trunk. Where it convolves, the lower features are laid on the input as channels that
    are the same at all pixels; else both are flattened side by side. In JMT a level also reads
    the predictions of the lower tasks; here heads are beyond the stack.

    Levels that a higher task reads too are shared; the top one belongs to the last task. The
    lone level of a single task is shared, as any trunk is.

    Successive regularisation of JMT, `delta ||theta - theta'||^2` of what lower tasks learnt
    before, is `transfer.L2SP(2 * delta)` in a run with `source`: the anchor is what the run
    started from, and of that the levels below the top. A source has the same shared levels:
    as many tasks, or the first of two tasks alone. JMT trains one task after the other and
    anchors, heads too, at the parameters after the one before; here the anchor is fixed and
    tasks are trained together.

    Attributes:
      trunk: what every level is a copy of.
      tasks: names from low to high, filled by `compose`.

    Raises:
      BadInput: for what is no plain trunk.

    Reference: Sogaard and Goldberg, Deep multi-task learning with low level tasks supervised
      at lower layers, ACL 2016 (https://doi.org/10.18653/v1/P16-2038); Hashimoto et al., A
      Joint Many-Task Model, EMNLP 2017, Sections 2 and 3 (https://arxiv.org/abs/1611.01587).
    """

    trunk: nn.Module = MLP()
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        super().__post_init__()

    @property
    def convolutional(self) -> bool:
        """Whether the trunk convolves, which decides how steps are dispatched."""
        return self.trunk.convolutional

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        features, inputs, top = {}, x, len(self.tasks) - 1
        for number, task in enumerate(self.tasks):
            owner = "task_" if number == top > 0 else ""
            level = self.trunk.clone(parent=self, name=f"{owner}level_{number}")
            features[task] = level(inputs, train=train)
            inputs = joined(x, features[task], self.convolutional)
        return features


def joined(x: jax.Array, features: jax.Array, convolutional: bool) -> jax.Array:
    """Inputs `[N, ...]` with features `[N, D]` as channels, or flat `[N, ... + D]`."""
    if not convolutional:
        return jnp.concatenate([flat(x), features], -1)
    planes = features.reshape(len(x), *(1,) * (x.ndim - 2), -1)
    return jnp.concatenate([x, jnp.broadcast_to(planes, (*x.shape[:-1], planes.shape[-1]))], -1)
