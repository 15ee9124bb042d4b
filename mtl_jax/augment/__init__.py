"""Random augmentations of one image, `(key, image [H, W, C]) -> image`; the caller vmaps them.

Example:
  >>> import jax
  >>> import jax.numpy as jnp
  >>> from mtl_jax import augment
  >>> policy = augment.Chain((augment.Flip(), augment.RandomTranslate(1)))
  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> jax.jit(jax.vmap(policy))(keys, jnp.ones((2, 4, 4, 3))).shape
  (2, 4, 4, 3)
"""

from mtl_jax.augment import example as example
from mtl_jax.augment import signal as signal
from mtl_jax.augment import tokens as tokens
from mtl_jax.augment.chain import Chain as Chain
from mtl_jax.augment.image import operations as operations
from mtl_jax.augment.image.affine import Affine as Affine
from mtl_jax.augment.image.auto_augment import AutoAugment as AutoAugment
from mtl_jax.augment.image.auto_augment_cifar10 import (
    autoaugment_cifar10 as autoaugment_cifar10,
)
from mtl_jax.augment.image.blur import GaussianBlur as GaussianBlur
from mtl_jax.augment.image.brightness_contrast import BrightnessContrast as BrightnessContrast
from mtl_jax.augment.image.color_jitter import ColorJitter as ColorJitter
from mtl_jax.augment.image.ctaugment import CTAugment as CTAugment
from mtl_jax.augment.image.cutout import Cutout as Cutout
from mtl_jax.augment.image.flip import Flip as Flip
from mtl_jax.augment.image.rand_augment import RandAugment as RandAugment
from mtl_jax.augment.image.rand_augment_recipes import (
    randaugment_fixmatch as randaugment_fixmatch,
)
from mtl_jax.augment.image.rand_augment_recipes import randaugment_usb as randaugment_usb
from mtl_jax.augment.image.random_translate import RandomTranslate as RandomTranslate
from mtl_jax.augment.image.reflect_crop import ReflectCrop as ReflectCrop
from mtl_jax.augment.image.rot90 import rot90 as rot90
from mtl_jax.augment.image.weak import weak_crop_flip as weak_crop_flip
from mtl_jax.augment.learnable import LearnablePolicyChain as LearnablePolicyChain
from mtl_jax.augment.learnable import ctaugment_fixmatch as ctaugment_fixmatch
from mtl_jax.augment.mix import cutmix as cutmix
from mtl_jax.augment.mix import mixup as mixup
from mtl_jax.core import typechecked

typechecked.typecheck_exports(globals())
