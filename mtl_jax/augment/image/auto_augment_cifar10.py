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

    Example:
      >>> from mtl_jax import augment
      >>> len(augment.autoaugment_cifar10().sequences)
      25
    """
    autocontrast, equalize, invert = AutoContrast(), Equalize(), Invert()
    brightness, color, contrast, sharpness = Brightness(), Color(), Contrast(), Sharpness()
    rotate, shear_y, solarize, posterize = Rotate(), ShearY(), Solarize(), Posterize()
    translate_x, translate_y = TranslateX(fraction=10 / 32), TranslateY(fraction=10 / 32)
    # Operations without a level have level 0.
    return AutoAugment(
        (
            ((invert, 0.1, 0.0), (contrast, 0.2, 0.6)),
            ((rotate, 0.7, 0.2), (translate_x, 0.3, 0.9)),
            ((sharpness, 0.8, 0.1), (sharpness, 0.9, 0.3)),
            ((shear_y, 0.5, 0.8), (translate_y, 0.7, 0.9)),
            ((autocontrast, 0.5, 0.0), (equalize, 0.9, 0.0)),
            ((shear_y, 0.2, 0.7), (posterize, 0.3, 0.7)),
            ((color, 0.4, 0.3), (brightness, 0.6, 0.7)),
            ((sharpness, 0.3, 0.9), (brightness, 0.7, 0.9)),
            ((equalize, 0.6, 0.0), (equalize, 0.5, 0.0)),
            ((contrast, 0.6, 0.7), (sharpness, 0.6, 0.5)),
            ((color, 0.7, 0.7), (translate_x, 0.5, 0.8)),
            ((equalize, 0.3, 0.0), (autocontrast, 0.4, 0.0)),
            ((translate_y, 0.4, 0.3), (sharpness, 0.2, 0.6)),
            ((brightness, 0.9, 0.6), (color, 0.2, 0.8)),
            ((solarize, 0.5, 0.2), (invert, 0.0, 0.0)),
            ((equalize, 0.2, 0.0), (autocontrast, 0.6, 0.0)),
            ((equalize, 0.2, 0.0), (equalize, 0.6, 0.0)),
            ((color, 0.9, 0.9), (equalize, 0.6, 0.0)),
            ((autocontrast, 0.8, 0.0), (solarize, 0.2, 0.8)),
            ((brightness, 0.1, 0.3), (color, 0.7, 0.0)),
            ((solarize, 0.4, 0.5), (autocontrast, 0.9, 0.0)),
            ((translate_y, 0.9, 0.9), (translate_y, 0.7, 0.9)),
            ((autocontrast, 0.9, 0.0), (solarize, 0.8, 0.3)),
            ((equalize, 0.8, 0.0), (invert, 0.1, 0.0)),
            ((translate_y, 0.7, 0.9), (autocontrast, 0.9, 0.0)),
        )
    )
