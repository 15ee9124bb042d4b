"""Geometric operations, which move pixels."""

import dataclasses

import jax

from mtl_jax.augment.image.geometric import (
    rotate,
    shear_x,
    shear_y,
    translate_x,
    translate_y,
)
from mtl_jax.core.validation import require_number


@dataclasses.dataclass(frozen=True)
class Rotate:
    """Rotates by up to `degrees` either way.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import operations
      >>> gray, fill = jnp.array([[[1.0], [2.0]], [[3.0], [4.0]]]), jnp.array([0.0])
      >>> jax.jit(operations.Rotate(degrees=90.0))(gray, 1.0, 1.0, fill)[..., 0].tolist()
      [[2.0, 4.0], [1.0, 3.0]]
    """

    degrees: float = 30.0

    def __post_init__(self):
        require_number(self, degrees=(0.0, 180.0))

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `rotate`."""
        return rotate(gray, sign * level * self.degrees, fill)


@dataclasses.dataclass(frozen=True)
class ShearX:
    """Shifts each row by up to `shear` times its vertical position, either way."""

    shear: float = 0.3

    def __post_init__(self):
        require_number(self, shear=(0.0, 1.0))

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `shear_x`."""
        return shear_x(gray, sign * level * self.shear, fill)


@dataclasses.dataclass(frozen=True)
class ShearY:
    """Shifts each column by up to `shear` times its horizontal position, either way."""

    shear: float = 0.3

    def __post_init__(self):
        require_number(self, shear=(0.0, 1.0))

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `shear_y`."""
        return shear_y(gray, sign * level * self.shear, fill)


@dataclasses.dataclass(frozen=True)
class TranslateX:
    """Translates horizontally by up to a `fraction` of the width, either way.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax.augment import operations
      >>> gray, fill = jnp.array([[[1.0], [2.0], [3.0], [4.0]]]), jnp.array([0.0])
      >>> jax.jit(operations.TranslateX(fraction=0.5))(gray, 0.5, 1.0, fill)[0, :, 0].tolist()
      [2.0, 3.0, 4.0, 0.0]
    """

    fraction: float = 0.3

    def __post_init__(self):
        require_number(self, fraction=(0.0, 1.0))

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `translate_x`."""
        return translate_x(gray, sign * level * (self.fraction * gray.shape[1]), fill)


@dataclasses.dataclass(frozen=True)
class TranslateY:
    """Translates vertically by up to a `fraction` of the height, either way."""

    fraction: float = 0.3

    def __post_init__(self):
        require_number(self, fraction=(0.0, 1.0))

    def __call__(self, gray, level, sign, fill) -> jax.Array:
        """Gray levels after `translate_y`."""
        return translate_y(gray, sign * level * (self.fraction * gray.shape[0]), fill)
