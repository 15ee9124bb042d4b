"""The weak augmentation of FixMatch and its kin."""

from mtl_jax.augment.image.reflect_crop import ReflectCrop


def weak_crop_flip(pixels: int = 4, flip: bool = True) -> ReflectCrop:
    """Mirrors left to right in half of all cases, then moves by up to some pixels.

    Args:
      pixels: as of `ReflectCrop`; 4 for images of 32 x 32.
      flip: whether it mirrors. FixMatch does not on SVHN; USB and TorchSSL do.

    Returns:
      `ReflectCrop(pixels, flip=0.5)`, or without the flip.

    Raises:
      BadInput: for a number of pixels that is not whole or is negative.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.3
      (https://arxiv.org/abs/2001.07685).
    """
    return ReflectCrop(pixels, flip=0.5 if flip else None)
