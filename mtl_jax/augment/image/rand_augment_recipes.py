"""RandAugment as published in semi-supervised learning."""

from mtl_jax.augment.chain import Chain
from mtl_jax.augment.image.cutout import Cutout
from mtl_jax.augment.image.operations import (
    AutoContrast,
    Brightness,
    Color,
    Contrast,
    Equalize,
    Identity,
    Posterize,
    Rotate,
    Sharpness,
    ShearX,
    ShearY,
    Solarize,
    TranslateX,
    TranslateY,
)
from mtl_jax.augment.image.rand_augment import RandAugment


def randaugment_fixmatch(count: int = 2) -> Chain:
    """FixMatch's strong view: 2 of 14 operations, each with probability 1/2, then Cutout.

    Strengths are 1..9 tenths: up to 30 degrees, shears of 0.3, 10 of 32 pixels, 8 to 4 bits,
    thresholds from 256 down, factors 0.1 to 1.9. Cutout always covers half of the side; it and
    the fill are gray. The authors' code keeps four bits fewer than the paper, which is followed
    here, and fills the outside after the last operation.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.3 and its appendix on
      augmentations (https://arxiv.org/abs/2001.07685).

    Example:
      >>> from mtl_jax import augment
      >>> augment.randaugment_fixmatch().policies[1]
      Cutout(size=0.5, fill=0.5, random=False)
    """
    operations = (
        *(AutoContrast(), Brightness(), Color(), Contrast(), Equalize(), Identity()),
        *(Posterize(), Rotate(), Sharpness(), ShearX(), ShearY(), Solarize()),
        *(TranslateX(fraction=10 / 32), TranslateY(fraction=10 / 32)),
    )
    return Chain(
        (
            RandAugment(operations, count, probability=0.5, num_magnitude_bins=10),
            Cutout(0.5, fill=0.5),
        )
    )


def randaugment_usb(
    count: int = 3, fill: float | tuple[float, ...] = (125 / 255, 123 / 255, 114 / 255)
) -> Chain:
    """The strong view of TorchSSL and USB: 3 of 14 operations, always, then Cutout.

    Strengths are continuous: up to 30 degrees, shears and translations of 0.3 of the side, 7 to 4
    bits, thresholds 0..256, factors 0.05 to 0.95, which never brighten. The fill is black.
    Cutout's side is 0 to half of the width, in integer pixels.

    Args:
      count: operations per image.
      fill: of Cutout, in [0, 1], one for each channel or one for all; theirs has three.

    Reference: Wang et al., USB, NeurIPS 2022, and its code
      (https://github.com/microsoft/Semi-supervised-learning).

    Example:
      >>> from mtl_jax import augment
      >>> policy = augment.randaugment_usb(fill=0.5)  # For grayscale images.
      >>> policy.policies[1]
      Cutout(size=0.5, fill=0.5, random=True)
    """
    low, high = 0.05, 0.95
    operations = (
        *(AutoContrast(), Brightness(low, high), Color(low, high), Contrast(low, high)),
        *(
            Equalize(),
            Identity(),
            Posterize(max_bits=7, min_bits=3),
            Rotate(),
            Sharpness(low, high),
        ),
        *(ShearX(), ShearY(), Solarize(), TranslateX(), TranslateY()),
    )
    return Chain((RandAugment(operations, count, fill=0.0), Cutout(0.5, fill, random=True)))
