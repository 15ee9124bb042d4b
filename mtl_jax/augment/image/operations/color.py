"""Operations that change the levels of pixels."""

import dataclasses

import jax
import jax.numpy as jnp

from mtl_jax.augment.image.autocontrast import autocontrast
from mtl_jax.augment.image.blend import brightness, color, contrast
from mtl_jax.augment.image.filters import blur, sharpness, smooth
from mtl_jax.augment.image.pointwise import equalize, invert, posterize, solarize
from mtl_jax.core.validation import require, require_int, require_number


@dataclasses.dataclass(frozen=True)
class Identity:
    """Identity."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Returns the gray levels unchanged."""
        return gray


@dataclasses.dataclass(frozen=True)
class AutoContrast:
    """Stretches the levels of each channel over the whole range."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `autocontrast`."""
        return autocontrast(gray)


@dataclasses.dataclass(frozen=True)
class Equalize:
    """Makes all levels of a channel about as frequent."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `equalize`."""
        return equalize(gray)


@dataclasses.dataclass(frozen=True)
class Invert:
    """Inverts the levels."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `invert`."""
        return invert(gray)


@dataclasses.dataclass(frozen=True)
class Posterize:
    """Keeps `max_bits - floor(level (max_bits - min_bits))` bits of each level.

    Attributes:
      max_bits: bits at level 0.
      min_bits: bits at level 1; levels below 1 keep at least one more.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import operations
      >>> gray = jnp.array([[[100.0]]])
      >>> float(operations.Posterize()(gray, 1.0, 1.0, jnp.array([0.0]))[0, 0, 0])  # 4 bits.
      96.0
    """

    max_bits: int = 8
    min_bits: int = 4

    def __post_init__(self):
        require_int(self, min_bits=0, max_bits=1)
        require(self.max_bits <= 8, self, "max_bits", "must be at most 8", self.max_bits)
        require(
            self.min_bits <= self.max_bits,
            self,
            "min_bits",
            "must not be above max_bits",
            self.min_bits,
        )

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `posterize`."""
        return posterize(gray, self.max_bits - jnp.floor(level * (self.max_bits - self.min_bits)))


@dataclasses.dataclass(frozen=True)
class Solarize:
    """Inverts levels not below `256 - level * strength`.

    Attributes:
      strength: how far the threshold goes down at level 1, 0..256.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import operations
      >>> gray = jnp.array([[[100.0], [200.0]]])
      >>> operations.Solarize()(gray, 0.5, 1.0, jnp.array([0.0]))[0, :, 0].tolist()
      [100.0, 55.0]
    """

    strength: float = 256.0

    def __post_init__(self):
        require_number(self, strength=(0.0, 256.0))

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `solarize`."""
        return solarize(gray, 256.0 - level * self.strength)


@dataclasses.dataclass(frozen=True)
class Enhancement:
    """Base class of operations with a factor from `low` at level 0 to `high` at level 1."""

    low: float = 0.1
    high: float = 1.9

    def __post_init__(self):
        require_number(self, low=(0.0, 10.0))
        require_number(self, high=(self.low, 10.0))

    def factor(self, level: jax.Array) -> jax.Array:
        """The factor at a level."""
        return self.low + level * (self.high - self.low)


@dataclasses.dataclass(frozen=True)
class Brightness(Enhancement):
    """Blends with black by a factor from `low` at level 0 to `high` at level 1; 1 is neutral.

    Example:
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import operations
      >>> gray, fill = jnp.array([[[100.0]]]), jnp.array([0.0])
      >>> float(operations.Brightness(low=0.5, high=1.5)(gray, 1.0, 1.0, fill)[0, 0, 0])
      150.0
    """

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `brightness`."""
        return brightness(gray, self.factor(level))


@dataclasses.dataclass(frozen=True)
class Contrast(Enhancement):
    """Blends with the mean by a factor from `low` at level 0 to `high` at level 1."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `contrast`."""
        return contrast(gray, self.factor(level))


@dataclasses.dataclass(frozen=True)
class Color(Enhancement):
    """Blends with the gray image by a factor from `low` at level 0 to `high` at level 1."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `color`."""
        return color(gray, self.factor(level))


@dataclasses.dataclass(frozen=True)
class Sharpness(Enhancement):
    """Blends with the smoothed image by a factor from `low` at level 0 to `high` at level 1."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `sharpness`."""
        return sharpness(gray, self.factor(level))


@dataclasses.dataclass(frozen=True)
class Smooth:
    """Blends with the means over 3 x 3 pixels, by a fraction `level`."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `smooth`."""
        return smooth(gray, level)


@dataclasses.dataclass(frozen=True)
class Blur:
    """Blends with the means over the rim of 5 x 5 pixels, by a fraction `level`."""

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `blur`."""
        return blur(gray, level)
