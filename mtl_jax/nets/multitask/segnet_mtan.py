"""MTAN as published for dense tasks: attention in the encoder and the decoder of a SegNet."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import MultitaskTrunk
from mtl_jax.core.validation import require_widths
from mtl_jax.nets.backbones.segnet import WIDTHS, Convolutions, Level, segnet_levels
from mtl_jax.nets.multitask.mtan import Mask
from mtl_jax.nets.resize import resize_between_corners

INIT = nn.initializers.glorot_normal()


class SegNetMTAN(MultitaskTrunk, nn.Module):
    """Multi-task attention network over a SegNet, `[N, H, W, C] -> {task: [N, H, W, D]}`.

    With u_j and p_j the outputs of the first and the last convolution of level j of a shared
    `SegNet`, each task t computes in the encoder `a_tj = m_tj * p_j`,
    `m_tj = sigmoid(norm(V relu(norm(W [u_j, f_j-1(a_t,j-1)]))))` with 1x1 convolutions V and W;
    f_j is `relu(norm(conv3x3))` to the width of the next level and a 2x2 max pool. In the decoder
    u_j is the unpooled input of the level, and `f_j` resizes the attended map of the level before
    bilinearly, with corners that stay in place, before its convolution. The features are the last
    a_t. Masks belong to the tasks; the SegNet and f are shared. Nash-MTL's code and those after it
    count the masks among the shared parameters.

    With the default widths, three tasks and RGB images it has 44,117,184 parameters without
    heads. The authors' heads are `nets.heads.SegNetHead`.

    Attributes:
      widths: channels of each level of the encoder; the first is D.
      tasks: names, set by `make_model`.

    Raises:
      BadInput: as `SegNet`.

    Reference: Liu, Johns and Davison, End-to-End Multi-Task Learning with Attention, CVPR
      2019, Section 3 (https://arxiv.org/abs/1803.10704), and its code
      (github.com/lorenmt/mtan, im2im_pred/model_segnet_mtan.py).

    Example:
      >>> import jax
      >>> from mtl_jax import nets
      >>> trunk = nets.SegNetMTAN((4, 8), tasks=("depth", "normals"))
      >>> features, _ = jax.eval_shape(
      ...     lambda x: trunk.init_with_output(jax.random.key(0), x, train=False),
      ...     jax.numpy.zeros((2, 16, 24, 3)),
      ... )
      >>> features["depth"].shape
      (2, 16, 24, 4)
    """

    widths: tuple[int, ...] = WIDTHS
    tasks: tuple[str, ...] = ()

    convolutional = True

    def __post_init__(self):
        require_widths(self, "widths")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> dict[str, jax.Array]:
        """Maps images to a map of the same size for each task."""
        levels = segnet_levels(self, x, train)
        depth = len(self.widths)
        features = self.attend_encoder(levels[:depth], train)
        return self.attend_decoder(levels[depth:], features, train)

    @nn.nowrap
    def attend_encoder(self, levels: list[Level], train: bool) -> dict[str, jax.Array]:
        """Each task's attended map after the last pool."""
        following = (*self.widths[1:], self.widths[-1])
        features: dict[str, jax.Array] = {}
        for number, (level, width) in enumerate(zip(levels, following, strict=True)):
            bring = Convolutions(width, name=f"encoder_bring{number}")
            for task in self.tasks:
                parts = [level.first, features[task]] if task in features else [level.first]
                name = f"task_encoder_mask{number}_{task}"
                attended = self.attend(name, parts, level.last, train)
                features[task] = nn.max_pool(bring(attended, train=train).last, (2, 2), (2, 2))
        return features

    @nn.nowrap
    def attend_decoder(
        self, levels: list[Level], features: dict[str, jax.Array], train: bool
    ) -> dict[str, jax.Array]:
        """Each task's attended map of the last level, from those after the encoder."""
        for step, level in enumerate(levels):
            number = len(levels) - 1 - step
            width = level.last.shape[-1] if step else self.widths[-1]
            bring = Convolutions(width, name=f"decoder_bring{number}")
            for task in self.tasks:
                resized = resize_between_corners(features[task], level.inputs.shape[1:3])
                parts = [level.inputs, bring(resized, train=train).last]
                name = f"task_decoder_mask{number}_{task}"
                features[task] = self.attend(name, parts, level.last, train)
        return features

    @nn.nowrap
    def attend(
        self, name: str, parts: list[jax.Array], shared: jax.Array, train: bool
    ) -> jax.Array:
        """The shared map times the named mask, which is made of the parts."""
        mask = Mask(shared.shape[-1], INIT, name=name)
        return shared * mask(jnp.concatenate(parts, -1), train=train)
