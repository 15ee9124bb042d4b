"""Weak augmentation of FixMatch and related methods."""

from mtl_jax.augment.image.reflect_crop import ReflectCrop


def weak_crop_flip(pixels: int = 4, flip: bool = True) -> ReflectCrop:
    """Mirrors left to right with probability 1/2, then translates by up to some pixels.

    Args:
      pixels: as in `ReflectCrop`; 4 for images of 32 x 32.
      flip: whether to mirror. FixMatch does not on SVHN; USB and TorchSSL do.

    Returns:
      `ReflectCrop(pixels, flip=0.5)`, or without the flip.

    Raises:
      BadInput: for a number of pixels that is not an integer >= 0.

    Reference: Sohn et al., FixMatch, NeurIPS 2020, Section 2.3
      (https://arxiv.org/abs/2001.07685).

    Example:
      >>> from mtl_jax import augment
      >>> augment.weak_crop_flip(pixels=12)
      ReflectCrop(pixels=12, flip=0.5)
    """
    return ReflectCrop(pixels, flip=0.5 if flip else None)
