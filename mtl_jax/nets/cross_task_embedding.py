"""A small network that embeds predictions and labels of all tasks, for each pair of tasks."""

import functools

import flax.linen as nn
import jax


class Embedding(nn.Module):
    """`W2 s_p(relu(s_p(W_t v)))` of values v of a task t for a pair p, `[N, *P, C_t] -> [N, *P, D]`.

    `s_p(h) = h (1 + a_p) + b_p`, with a separate scale and shift for each layer and ordered pair.
    With positions P, `W_t` and `W2` are convolutions of size 3.

    Attributes:
      sizes: number of outputs of each task, by name.
      width: width of the hidden layer.
      outputs: D.
    """

    sizes: tuple[tuple[str, int], ...]
    width: int
    outputs: int

    @nn.compact
    def __call__(self, values: dict[str, jax.Array], pair: int) -> dict[str, jax.Array]:
        """Maps values of any of the tasks to their embeddings."""
        inner, outer = Scaled(self.width, len(self.sizes)), Scaled(self.outputs, len(self.sizes))
        (axes,) = {v.ndim - 2 for v in values.values()}  # Of positions.
        layer = functools.partial(nn.Conv, kernel_size=(3,) * axes) if axes else nn.Dense
        last = layer(self.outputs, name="last")
        first = {name: layer(self.width, name=f"first_{name}") for name, _ in self.sizes}
        hidden = {name: nn.relu(inner(first[name](v), pair)) for name, v in values.items()}
        return {name: outer(last(h), pair) for name, h in hidden.items()}


class Scaled(nn.Module):
    """A scale and a shift of channels `[N, ..., width]`, for each of the pairs of K tasks.

    Attributes:
      width: width of the vectors.
      tasks: K.
    """

    width: int
    tasks: int

    @nn.compact
    def __call__(self, x: jax.Array, pair: int) -> jax.Array:
        """Scales and shifts the last axis."""
        shape = (self.tasks**2, 2, self.width)
        scale, shift = self.param("film", nn.initializers.normal(0.1), shape)[pair]
        scale, shift = (each.reshape(*(1,) * (x.ndim - 1), -1) for each in (scale, shift))
        return x * (1.0 + scale) + shift
