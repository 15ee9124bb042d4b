"""Dataclasses of the operations that policies sample from, each with its own range.

An operation maps `(gray, level, sign, fill)` to gray levels: `gray` holds integers 0..255
in float32, `[H, W, C]` with any C; `level` in [0, 1] is the position in its range, `sign` (-1
or 1) the direction, and `fill` `[C]` the value outside the image. Operations ignore arguments
that they do not need.

Example:
  >>> import jax.numpy as jnp
  >>> from mtl_jax.augment import operations
  >>> gray = jnp.array([[[0.0], [100.0], [255.0]]])
  >>> operations.Invert()(gray, 0.5, 1.0, jnp.array([0.0]))[0, :, 0].tolist()
  [255.0, 155.0, 0.0]
"""

from mtl_jax.augment.image.operations.color import AutoContrast as AutoContrast
from mtl_jax.augment.image.operations.color import Blur as Blur
from mtl_jax.augment.image.operations.color import Brightness as Brightness
from mtl_jax.augment.image.operations.color import Color as Color
from mtl_jax.augment.image.operations.color import Contrast as Contrast
from mtl_jax.augment.image.operations.color import Equalize as Equalize
from mtl_jax.augment.image.operations.color import Identity as Identity
from mtl_jax.augment.image.operations.color import Invert as Invert
from mtl_jax.augment.image.operations.color import Posterize as Posterize
from mtl_jax.augment.image.operations.color import Sharpness as Sharpness
from mtl_jax.augment.image.operations.color import Smooth as Smooth
from mtl_jax.augment.image.operations.color import Solarize as Solarize
from mtl_jax.augment.image.operations.geometric import Rotate as Rotate
from mtl_jax.augment.image.operations.geometric import ShearX as ShearX
from mtl_jax.augment.image.operations.geometric import ShearY as ShearY
from mtl_jax.augment.image.operations.geometric import TranslateX as TranslateX
from mtl_jax.augment.image.operations.geometric import TranslateY as TranslateY
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
