"""Random changes of one image `(key, image [H, W, C]) -> image`; the caller vmaps them."""

from mtl_jax import typed
from mtl_jax.augment import operations as operations
from mtl_jax.augment import signal as signal
from mtl_jax.augment import tokens as tokens
from mtl_jax.augment.affine import Affine as Affine
from mtl_jax.augment.auto_augment import AutoAugment as AutoAugment
from mtl_jax.augment.auto_augment_cifar10 import autoaugment_cifar10 as autoaugment_cifar10
from mtl_jax.augment.blur import GaussianBlur as GaussianBlur
from mtl_jax.augment.chain import Chain as Chain
from mtl_jax.augment.color_jitter import ColorJitter as ColorJitter
from mtl_jax.augment.ctaugment import CTAugment as CTAugment
from mtl_jax.augment.cutout import Cutout as Cutout
from mtl_jax.augment.flip import Flip as Flip
from mtl_jax.augment.intensity import Intensity as Intensity
from mtl_jax.augment.learnt import Learnt as Learnt
from mtl_jax.augment.learnt import ctaugment_fixmatch as ctaugment_fixmatch
from mtl_jax.augment.looped import looped as looped
from mtl_jax.augment.mix import cutmix as cutmix
from mtl_jax.augment.mix import mixup as mixup
from mtl_jax.augment.quarter_turns import quarter_turns as quarter_turns
from mtl_jax.augment.rand_augment import RandAugment as RandAugment
from mtl_jax.augment.rand_augment_recipes import randaugment_fixmatch as randaugment_fixmatch
from mtl_jax.augment.rand_augment_recipes import randaugment_usb as randaugment_usb
from mtl_jax.augment.reflect_crop import ReflectCrop as ReflectCrop
from mtl_jax.augment.shift import Shift as Shift
from mtl_jax.augment.weak import weak_crop_flip as weak_crop_flip

typed.type_all(globals())
