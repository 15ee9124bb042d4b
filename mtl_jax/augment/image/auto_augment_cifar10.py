"""The policy that AutoAugment found for CIFAR-10."""

from mtl_jax.augment.image.auto_augment import AutoAugment
from mtl_jax.augment.image.operations import (
    AutoContrast,
    Brightness,
    Color,
    Contrast,
    Equalize,
    Invert,
    Posterize,
    Rotate,
    Sharpness,
    ShearY,
    Solarize,
    TranslateX,
    TranslateY,
)


def autoaugment_cifar10() -> AutoAugment:
    """25 sequences of two operations each; the paper also trains with flips and Cutout.

    Levels are tenths of: 30 degrees, shears of 0.3, 10 of 32 pixels, 8 to 4 bits, thresholds
    from 256 down, factors 0.1 to 1.9. The fill is gray.

    Reference: Cubuk et al., AutoAugment, CVPR 2019, the table "AutoAugment policy found on
      reduced CIFAR-10" of the appendix (https://arxiv.org/abs/1805.09501).
    """
    contrast, equalize, invert = AutoContrast(), Equalize(), Invert()
    bright, color, strong, sharp = Brightness(), Color(), Contrast(), Sharpness()
    turn, shear, solar, bits = Rotate(), ShearY(), Solarize(), Posterize()
    across, down = TranslateX(fraction=10 / 32), TranslateY(fraction=10 / 32)
    # Operations without a level have level 0.
    return AutoAugment(
        (
            ((invert, 0.1, 0.0), (strong, 0.2, 0.6)),
            ((turn, 0.7, 0.2), (across, 0.3, 0.9)),
            ((sharp, 0.8, 0.1), (sharp, 0.9, 0.3)),
            ((shear, 0.5, 0.8), (down, 0.7, 0.9)),
            ((contrast, 0.5, 0.0), (equalize, 0.9, 0.0)),
            ((shear, 0.2, 0.7), (bits, 0.3, 0.7)),
            ((color, 0.4, 0.3), (bright, 0.6, 0.7)),
            ((sharp, 0.3, 0.9), (bright, 0.7, 0.9)),
            ((equalize, 0.6, 0.0), (equalize, 0.5, 0.0)),
            ((strong, 0.6, 0.7), (sharp, 0.6, 0.5)),
            ((color, 0.7, 0.7), (across, 0.5, 0.8)),
            ((equalize, 0.3, 0.0), (contrast, 0.4, 0.0)),
            ((down, 0.4, 0.3), (sharp, 0.2, 0.6)),
            ((bright, 0.9, 0.6), (color, 0.2, 0.8)),
            ((solar, 0.5, 0.2), (invert, 0.0, 0.0)),
            ((equalize, 0.2, 0.0), (contrast, 0.6, 0.0)),
            ((equalize, 0.2, 0.0), (equalize, 0.6, 0.0)),
            ((color, 0.9, 0.9), (equalize, 0.6, 0.0)),
            ((contrast, 0.8, 0.0), (solar, 0.2, 0.8)),
            ((bright, 0.1, 0.3), (color, 0.7, 0.0)),
            ((solar, 0.4, 0.5), (contrast, 0.9, 0.0)),
            ((down, 0.9, 0.9), (down, 0.7, 0.9)),
            ((contrast, 0.9, 0.0), (solar, 0.8, 0.3)),
            ((equalize, 0.8, 0.0), (invert, 0.1, 0.0)),
            ((down, 0.7, 0.9), (contrast, 0.9, 0.0)),
        )
    )
