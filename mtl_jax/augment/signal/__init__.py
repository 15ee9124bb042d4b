"""Random augmentations of one signal, `(key, signal [T, C]) -> signal`; the caller vmaps them.

Example:
  >>> import jax
  >>> import jax.numpy as jnp
  >>> from mtl_jax.augment import Chain, signal
  >>> policy = Chain((signal.TimeShift(2), signal.TimeMask(steps=2)))
  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> jax.eval_shape(jax.vmap(policy), keys, jnp.ones((2, 5, 3))).shape
  (2, 5, 3)
"""

from mtl_jax.augment.signal.frequency_mask import FrequencyMask as FrequencyMask
from mtl_jax.augment.signal.jitter import Jitter as Jitter
from mtl_jax.augment.signal.magnitude_warp import MagnitudeWarp as MagnitudeWarp
from mtl_jax.augment.signal.permutation import Permutation as Permutation
from mtl_jax.augment.signal.random_crop import RandomCrop as RandomCrop
from mtl_jax.augment.signal.scaling import Scaling as Scaling
from mtl_jax.augment.signal.time_mask import TimeMask as TimeMask
from mtl_jax.augment.signal.time_shift import TimeShift as TimeShift
from mtl_jax.augment.signal.time_warp import TimeWarp as TimeWarp
from mtl_jax.augment.signal.window_slice import WindowSlice as WindowSlice
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
