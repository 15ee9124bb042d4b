"""A small network that embeds predictions and labels of all tasks, for each pair of tasks."""

import flax.linen as nn
import jax


class Embedding(nn.Module):
    """`W2 s_p(relu(s_p(W_t v)))` of values v of a task t for a pair p, `[N, C_t] -> [N, D]`.

    `s_p(h) = h (1 + a_p) + b_p`, with a separate scale and shift for each layer and ordered pair.

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
        last = nn.Dense(self.outputs, name="last")
        first = {name: nn.Dense(self.width, name=f"first_{name}") for name, _ in self.sizes}
        hidden = {name: nn.relu(inner(first[name](v), pair)) for name, v in values.items()}
        return {name: outer(last(h), pair) for name, h in hidden.items()}


class Scaled(nn.Module):
    """A scale and a shift of vectors `[N, width]`, for each of the pairs of K tasks.

    Attributes:
      width: width of the vectors.
      tasks: K.
    """

    width: int
    tasks: int

    @nn.compact
    def __call__(self, x: jax.Array, pair: int) -> jax.Array:
        """Maps vectors to vectors."""
        shape = (self.tasks**2, 2, self.width)
        scale, shift = self.param("film", nn.initializers.normal(0.1), shape)[pair]
        return x * (1.0 + scale)[None] + shift[None]
