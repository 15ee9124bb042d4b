"""CelebA, 40 attributes as 40 tasks: does one net with balanced tasks beat a net for each?

Each attribute of a face is a binary task; 162,770 training, 19,867 validation and 19,962 test
images of 64 x 64. The protocol is that of FAMO and later papers: nine layers, 15 epochs of
batches of 256, Adam with a rate of 3e-4, no augmentation; the mean F1 on validation selects the
epoch. The rows "alone" are 40 runs. Meant for a GPU.

    python -c "from mtl_jax.data import prepare; prepare('celeb_a', 'data')"
    python launch.py experiments/celeba.py --only LS

Departures: kernels are initialized as He et al. do, theirs by PyTorch's default. The code of
Nash-MTL and FAMO clips the gradients of CAGrad and FAMO to norm 1, weighs the heads of Nash-MTL
too, and has windows of 25 steps for DWA, here an epoch.
"""

import flax.linen as nn
import jax

from experiments.nyuv2 import as_nash_mtl
from experiments.office31 import alone, published, rows
from mtl_jax import Evaluation, Experiment, Run, Task, data, losses, metrics, optimizers, weighting
from mtl_jax.core.trunk import Trunk
from mtl_jax.data.datasets.celeba import ATTRIBUTES
from mtl_jax.nets.backbones.fast_conv import Conv
from mtl_jax.nets.backbones.norm import BatchNorm

EPOCH = 636


class FaceNet(Trunk, nn.Module):
    """FAMO's network, `[N, H, W, 3] -> [N, 8 width]`: seven convolutions, two dense layers.

    Attributes:
      width: channels of the first convolution.
    """

    width: int = 64

    convolutional = True

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        """Maps images to features."""
        for level, depth in enumerate((1, 2, 2, 2)):
            x = nn.max_pool(x, (2, 2), (2, 2)) if level else x
            for _ in range(depth):
                conv = Conv(
                    self.width * 2**level,
                    (3, 3),
                    use_bias=False,
                    kernel_init=nn.initializers.he_normal(),
                )
                x = nn.relu(BatchNorm()(conv(x), use_running_average=not train))
        x = x.mean((1, 2))
        for _ in range(2):
            dense = nn.Dense(x.shape[-1], use_bias=False, kernel_init=nn.initializers.he_normal())
            x = nn.relu(BatchNorm()(dense(x), use_running_average=not train))
        return x


def attribute(name: str) -> Task:
    """Whether a face has an attribute."""
    return Task(name=name, num_outputs=1, loss=losses.binary_cross_entropy, metrics=(metrics.F1(),))


LS = Run(
    name="LS",
    data=data.CelebA("data"),
    tasks=tuple(map(attribute, ATTRIBUTES)),
    trunk=FaceNet(),
    balance=weighting.Equal(),
    optimizer=optimizers.Adam(3e-4),
    batch_size=256,
    steps=15 * EPOCH,
    evaluation=Evaluation(every=EPOCH, checkpoint_every=EPOCH, ema_decay=0.0),
    num_seeds=3,
)
SINGLE = alone(LS)
EXPERIMENT = Experiment(
    runs=(*SINGLE, *rows(LS, as_nash_mtl(EPOCH))),
    baselines=tuple(run.name for run in SINGLE),
    published=published("celeba"),
)
