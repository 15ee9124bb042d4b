"""Random transforms of an image with its labels; `Joint` applies them to one `Example`.

Example:
  >>> import jax
  >>> import jax.numpy as jnp
  >>> from mtl_jax.augment import example
  >>> joint = example.Joint((example.RandomScaleCrop(), example.HorizontalFlip()))
  >>> labels = {"parts": jnp.zeros((2, 6, 8), jnp.int32), "weight": jnp.ones(2)}
  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> out = jax.jit(jax.vmap(joint))(keys, example.Example(jnp.ones((2, 6, 8, 3)), labels))
  >>> out.inputs.shape, out.labels["parts"].shape
  ((2, 6, 8, 3), (2, 6, 8))
"""

from mtl_jax.augment.example.cutmix import cutmix_examples as cutmix_examples
from mtl_jax.augment.example.horizontal_flip import HorizontalFlip as HorizontalFlip
from mtl_jax.augment.example.joint import Joint as Joint
from mtl_jax.augment.example.on_image import OnImage as OnImage
from mtl_jax.augment.example.random_affine import RandomAffine as RandomAffine
from mtl_jax.augment.example.random_resized_crop import RandomResizedCrop as RandomResizedCrop
from mtl_jax.augment.example.random_scale_crop import RandomScaleCrop as RandomScaleCrop
from mtl_jax.augment.example.resize import Resize as Resize
from mtl_jax.augment.example.vertical_flip import VerticalFlip as VerticalFlip
from mtl_jax.core import typechecked
from mtl_jax.core.example_transform import Example as Example

typechecked.typecheck_exports(globals())
