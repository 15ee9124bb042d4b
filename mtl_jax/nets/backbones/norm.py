"""BatchNorm with the default momentum of the trunks."""

import functools

import flax.linen as nn

# Running statistics are multiplied by 0.9 per step, the default of PyTorch. Flax's 0.99 lags
# behind in a run of a few hundred steps: a CNN that fit most training images had chance accuracy
# in evaluation until its learning rate decayed.
BatchNorm = functools.partial(nn.BatchNorm, momentum=0.9)
