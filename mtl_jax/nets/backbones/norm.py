"""BatchNorm as trunks have it here."""

import functools

import flax.linen as nn

# Running statistics keep 0.9 of themselves at a step, as PyTorch's do by default. Flax's 0.99 lags
# behind a run of a few hundred steps: a CNN that was right on most training images was judged at
# chance until its rate fell.
BatchNorm = functools.partial(nn.BatchNorm, momentum=0.9)
