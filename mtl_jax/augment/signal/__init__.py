"""Random augmentations of one signal, `(key, signal [T, C]) -> signal`; the caller vmaps them."""

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
