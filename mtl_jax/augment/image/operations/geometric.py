"""Settings of operations that move pixels."""

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
    """Turns by up to so many `degrees` either way."""

    degrees: float = 30.0

    def __post_init__(self):
        require_number(self, degrees=(0.0, 180.0))

    def __call__(self, grey, level, sign, fill) -> jax.Array:
        """Grey levels after `rotate`."""
        return rotate(grey, sign * level * self.degrees, fill)


@dataclasses.dataclass(frozen=True)
class ShearX:
    """Moves each row by up to `shear` times its height in the image, either way."""

    shear: float = 0.3

    def __post_init__(self):
        require_number(self, shear=(0.0, 1.0))

    def __call__(self, grey, level, sign, fill) -> jax.Array:
        """Grey levels after `shear_x`."""
        return shear_x(grey, sign * level * self.shear, fill)


@dataclasses.dataclass(frozen=True)
class ShearY:
    """Moves each column by up to `shear` times its place in the image, either way."""

    shear: float = 0.3

    def __post_init__(self):
        require_number(self, shear=(0.0, 1.0))

    def __call__(self, grey, level, sign, fill) -> jax.Array:
        """Grey levels after `shear_y`."""
        return shear_y(grey, sign * level * self.shear, fill)


@dataclasses.dataclass(frozen=True)
class TranslateX:
    """Moves to a side by up to a `share` of the width, either way."""

    share: float = 0.3

    def __post_init__(self):
        require_number(self, share=(0.0, 1.0))

    def __call__(self, grey, level, sign, fill) -> jax.Array:
        """Grey levels after `translate_x`."""
        return translate_x(grey, sign * level * (self.share * grey.shape[1]), fill)


@dataclasses.dataclass(frozen=True)
class TranslateY:
    """Moves up or down by up to a `share` of the height."""

    share: float = 0.3

    def __post_init__(self):
        require_number(self, share=(0.0, 1.0))

    def __call__(self, grey, level, sign, fill) -> jax.Array:
        """Grey levels after `translate_y`."""
        return translate_y(grey, sign * level * (self.share * grey.shape[0]), fill)
