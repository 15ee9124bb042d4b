"""OnImage: an augmentation policy on the image of an example."""

import dataclasses

import jax

from mtl_jax.core.example_transform import Example, ExampleTransform, Kinds
from mtl_jax.core.policy import Policy
from mtl_jax.core.validation import require


@dataclasses.dataclass(frozen=True)
class OnImage(ExampleTransform):
    """Applies a policy to the image and leaves the labels as they are.

    Meant for colors, blur and noise. A policy that moves pixels moves no label: for those
    there are transforms of examples.

    Attributes:
      policy: of images, such as `mtl_jax.augment.ColorJitter`.

    Raises:
      BadInput: for anything other than a policy, or when traced, for one that changes the shape.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import augment
      >>> dim = augment.example.OnImage(augment.ColorJitter(brightness=0.5))
      >>> scene = augment.example.Example(jnp.ones((2, 2, 3)), {"parts": jnp.ones((2, 2), jnp.int32)})
      >>> dim(jax.random.key(0), scene, {"parts": "classes"}).labels["parts"].tolist()
      [[1, 1], [1, 1]]
    """

    policy: Policy

    def __post_init__(self):
        require(isinstance(self.policy, Policy), self, "policy", "must be a policy", self.policy)

    def __call__(self, key: jax.Array, example: Example, kinds: Kinds) -> Example:
        """Maps a key `[]` and one example to one with another image."""
        return self.replace_image(example, self.policy(key, example.inputs))

    def apply_batched(self, keys: jax.Array, examples: Example, kinds: Kinds) -> Example:
        """Batched call for keys `[N]`, as efficient as the policy's."""
        return self.replace_image(examples, self.policy.apply_batched(keys, examples.inputs))

    def replace_image(self, example: Example, image: jax.Array) -> Example:
        """The example with another image of the same shape."""
        rule = f"must keep the image's shape {example.inputs.shape}"
        require(image.shape == example.inputs.shape, self, "policy", rule, image.shape)
        return example._replace(inputs=image)
