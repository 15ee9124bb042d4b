"""Settings of the operations that a policy chooses from, each with its own range.

An operation maps `(grey, level, sign, fill)` to grey levels: `grey` are whole numbers 0..255
in float32, `[H, W, C]` with any C; `level` in [0, 1] says how much of the range, `sign` (-1 or
1) which way, and `fill` `[C]` what comes from outside. Those that need no strength or place
leave them alone.
"""

from mtl_jax import typed
from mtl_jax.augment.operations.moves import Rotate as Rotate
from mtl_jax.augment.operations.moves import ShearX as ShearX
from mtl_jax.augment.operations.moves import ShearY as ShearY
from mtl_jax.augment.operations.moves import TranslateX as TranslateX
from mtl_jax.augment.operations.moves import TranslateY as TranslateY
from mtl_jax.augment.operations.tones import AutoContrast as AutoContrast
from mtl_jax.augment.operations.tones import Blur as Blur
from mtl_jax.augment.operations.tones import Brightness as Brightness
from mtl_jax.augment.operations.tones import Color as Color
from mtl_jax.augment.operations.tones import Contrast as Contrast
from mtl_jax.augment.operations.tones import Equalize as Equalize
from mtl_jax.augment.operations.tones import Identity as Identity
from mtl_jax.augment.operations.tones import Invert as Invert
from mtl_jax.augment.operations.tones import Posterize as Posterize
from mtl_jax.augment.operations.tones import Sharpness as Sharpness
from mtl_jax.augment.operations.tones import Smooth as Smooth
from mtl_jax.augment.operations.tones import Solarize as Solarize

typed.type_all(globals())
