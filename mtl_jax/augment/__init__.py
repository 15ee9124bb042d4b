"""Random changes of one image `(key, image [H, W, C]) -> image`; the caller vmaps them."""

from mtl_jax.augment.affine import Affine as Affine
from mtl_jax.augment.chain import Chain as Chain
from mtl_jax.augment.cutout import Cutout as Cutout
from mtl_jax.augment.intensity import Intensity as Intensity
from mtl_jax.augment.shift import Shift as Shift
