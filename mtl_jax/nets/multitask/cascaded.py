"""Cascaded: tasks read successive levels of a stack of trunks, low-level tasks first."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.nets.backbones.mlp import MLP
from mtl_jax.nets.multitask.experts import flatten, require_array, require_trunk
from mtl_jax.nets.resize import resize


class Cascaded(MultitaskTrunk, nn.Module):
    """A stack of trunks with one level per task, `[N, ...] -> {task: [N, D]}`.

    `f_1(x) = h_1(x)`, `f_k(x) = h_k([x, f_k-1(x)])`, with tasks in the order of the run: the first
    reads the lowest level, and every level also receives the input (shortcut). Levels are copies
    of one trunk. A map of lower features is resized and appended to an image as channels, and so is
    a vector, constant over the pixels, if the trunk is convolutional; otherwise both are flattened
    and concatenated. In JMT a level also reads the predictions of the lower tasks; here the heads
    are outside the stack.

    Levels that a higher task also reads are shared; the top one belongs to the last task. The
    only level of a single task is shared, like any trunk.

    The successive regularisation of JMT, `delta ||theta - theta'||^2` towards the parameters that
    lower tasks learned before, is `transfer.L2SP(2 * delta)` in a run with `init_from`: the anchor
    is the run's initial parameters, restricted to the levels below the top. The source model must
    have the same shared levels: as many tasks, or only the first of two tasks. JMT trains one task
    after the other and anchors all parameters, including heads, at those after the previous task;
    here the anchor is fixed and tasks are trained jointly.

    Attributes:
      trunk: the trunk that every level is a copy of.
      tasks: names from low to high, set by `make_model`.

    Raises:
      BadInput: for anything but a plain trunk.

    Reference: Sogaard and Goldberg, Deep multi-task learning with low level tasks supervised
      at lower layers, ACL 2016 (https://doi.org/10.18653/v1/P16-2038); Hashimoto et al., A
      Joint Many-Task Model, EMNLP 2017, Sections 2 and 3 (https://arxiv.org/abs/1611.01587).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> model = nets.make_model(nets.Cascaded(nets.MLP((8,))), {"digit": 10, "color": 3})
      >>> params, _ = jax.eval_shape(model.init, jax.random.key(0), jax.numpy.zeros((1, 4)))
      >>> sorted(params["shared"]), sorted(params["tasks"]["own"])
      (['level_0'], ['task_level_1'])
    """

    trunk: nn.Module = MLP()
    tasks: tuple[str, ...] = ()

    def __post_init__(self):
        require_trunk(self, "trunk")
        super().__post_init__()

    inner_trunks = ("trunk",)

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps inputs `[N, ...]` to features `[N, D]` for each task."""
        features, inputs, top = {}, x, len(self.tasks) - 1
        for number, task in enumerate(self.tasks):
            prefix = "task_" if number == top > 0 else ""
            level = self.trunk.clone(parent=self, name=f"{prefix}level_{number}")
            features[task] = level(inputs, train=train)
            require_array(self, "trunk", features[task])
            inputs = append_features(x, features[task], self.convolutional)
        return features


def append_features(x: jax.Array, features: jax.Array, convolutional: bool) -> jax.Array:
    """Inputs `[N, ...]` with features `[N, D]` as channels, or flattened `[N, ... + D]`."""
    if features.ndim == x.ndim == 4:
        return jnp.concatenate([x, resize(features, x.shape[1:3])], -1)
    if not convolutional:
        return jnp.concatenate([flatten(x), flatten(features)], -1)
    channels = features.reshape(x.shape[0], *(1,) * (x.ndim - 2), -1)
    return jnp.concatenate([x, jnp.broadcast_to(channels, (*x.shape[:-1], channels.shape[-1]))], -1)
