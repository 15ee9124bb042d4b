"""A message-passing network for dense graphs, such as molecules."""

from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp

from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import require, require_int

INPUTS = "a dict of atoms [N, A, F], edges [N, A, A, E] and mask [N, A]"


class MPNN(Trunk, nn.Module):
    """Message-passing neural network, a batch of complete graphs to `[N, D]`.

    The inputs are a dict of "atoms" `[N, A, F]`, "edges" `[N, A, A, E]`, features of the edge to
    atom i from atom j, and "mask" `[N, A]`, 1 for atoms and 0 for padding. With
    `h_i^0 = s_i^0 = relu(W x_i + b)`, each step is

    - messages `m_i = relu(W_0 h_i + mean_{j != i} A(e_ij) h_j + b_0)`, where the matrix
      `A(e) = reshape(W_2 relu(W_1 e + b_1) + b_2)` is made by an edge network (NNConv), and
    - states `h_i = GRU(h_i, m_i)`.

    The features are `relu(W_3 q* + b_3)` of `q*`, the readout by `Set2Set`. The weights are the
    same in all steps. Features depend neither on the order of the atoms nor on the padding.

    It is the network of the QM9 benchmark of multi-task learning, with F = 11 and E = 5: four
    types of bonds and the distance. It has 616,576 parameters without heads there, PyTorch's
    616,960: PyTorch's GRU and LSTM have two biases where only their sum matters.

    A(e) is never stored, which would take D^2 numbers for each edge: with hidden units k of the
    edge network, `sum_j A(e_ij) h_j = sum_k W_2k (sum_j u_ijk h_j) + B_2 sum_j h_j`.

    Attributes:
      width: D.
      edge_width: hidden units of the edge network.
      steps: number of messages that every atom receives.
      readout_steps: number of steps of `Set2Set`.

    Raises:
      BadInput: for a number below 1; when called, for other inputs.

    Reference: Gilmer et al., Neural Message Passing for Quantum Chemistry, ICML 2017, Section 5
      (https://arxiv.org/abs/1704.01212); Navon et al., Nash-MTL, ICML 2022, Section 6.2
      (https://arxiv.org/abs/2202.01017), and its code (github.com/AvivNavon/nash-mtl,
      experiments/quantum_chemistry/models.py).

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mtl_jax import nets
      >>> graphs = {"atoms": (2, 9, 11), "edges": (2, 9, 9, 5), "mask": (2, 9)}
      >>> graphs = {name: jnp.ones(shape) for name, shape in graphs.items()}
      >>> features, _ = jax.eval_shape(
      ...     lambda x: nets.MPNN().init_with_output(jax.random.key(0), x, train=False), graphs
      ... )
      >>> features.shape
      (2, 64)
    """

    width: int = 64
    edge_width: int = 128
    steps: int = 3
    readout_steps: int = 3

    convolutional = False

    def __post_init__(self):
        require_int(self, width=1, edge_width=1, steps=1, readout_steps=1)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Mapping[str, jax.Array], *, train: bool) -> jax.Array:
        """Maps graphs to features `[N, D]`."""
        require_graphs(self, x)
        mask = x["mask"].astype(x["atoms"].dtype)
        state = nn.relu(nn.Dense(self.width, name="embed")(x["atoms"]))
        pairs = mask[:, :, None] * mask[:, None, :] * (1.0 - jnp.eye(mask.shape[1]))[None]
        conv = EdgeConv(self.width, self.edge_width, name="conv")
        gru = nn.GRUCell(self.width, name="gru")
        units = conv.edge_units(x["edges"], pairs)
        for _ in range(self.steps):
            message = nn.relu(conv(state, units, pairs))
            state, _ = gru(state, message)
        readout = Set2Set(self.readout_steps, name="readout")(state, mask)
        return nn.relu(nn.Dense(self.width, name="last")(readout))


def require_graphs(owner: MPNN, x: Mapping[str, jax.Array]) -> None:
    """Requires the inputs of an `MPNN`.

    Raises:
      BadInput: for inputs that lack an array, or whose shapes do not fit.
    """
    names = ("atoms", "edges", "mask")
    given = sorted(x) if isinstance(x, Mapping) else type(x).__name__
    require({*names} <= {*given}, owner, "x", f"must be {INPUTS}", given)
    atoms, edges, mask = (x[name].shape for name in names)
    fits = len(atoms) == 3 and mask == atoms[:2] and edges[:-1] == (*mask, mask[-1])
    require(fits, owner, "x", f"must be {INPUTS}", {"atoms": atoms, "edges": edges, "mask": mask})


class EdgeConv(nn.Module):
    """`W_0 h_i + mean_j A(e_ij) h_j + b_0` (NNConv), `[N, A, D] -> [N, A, D]`.

    Attributes:
      width: D.
      edge_width: hidden units of the edge network.
    """

    width: int
    edge_width: int

    def setup(self):
        """Makes the layers."""
        self.hidden = nn.Dense(self.edge_width)
        self.root = nn.Dense(self.width)
        init, shape = nn.initializers.lecun_normal(), (self.edge_width, self.width**2)
        self.kernel = self.param("kernel", init, shape)
        self.bias = self.param("bias", nn.initializers.zeros, shape[1:])

    def edge_units(self, edges: jax.Array, pairs: jax.Array) -> jax.Array:
        """Hidden units of the edge network `[N, A, A, K]`, 0 where there is no pair `[N, A, A]`."""
        return nn.relu(self.hidden(edges)) * pairs[..., None]

    def __call__(self, state: jax.Array, units: jax.Array, pairs: jax.Array) -> jax.Array:
        """Maps states to messages."""
        shape = (-1, self.width, self.width)
        by_unit = jnp.einsum("nijk,njd->nikd", units, state)
        messages = jnp.einsum("nikd,kdo->nio", by_unit, self.kernel.reshape(shape))
        plain = jnp.einsum("nij,njd->nid", pairs, state)
        messages = messages + plain @ self.bias.reshape(shape[1:])
        return self.root(state) + messages / jnp.maximum(pairs.sum(2), 1.0)[..., None]


class Set2Set(nn.Module):
    """A readout that does not depend on the order, `[N, A, D] -> [N, 2 D]`.

    From `q* = 0`, each step is `q = LSTM(q*)`, `a = softmax_i(h_i . q)` over the atoms, and
    `q* = [q, sum_i a_i h_i]`.

    Attributes:
      steps: number of steps.

    Reference: Vinyals et al., Order Matters: Sequence to Sequence for Sets, ICLR 2016,
      Section 4.2 (https://arxiv.org/abs/1511.06391).
    """

    steps: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """Maps atoms, and a mask of those that are no padding, to vectors."""
        width = x.shape[-1]
        lstm = nn.OptimizedLSTMCell(width, name="lstm")
        readout = jnp.zeros((x.shape[0], 2 * width), x.dtype)
        carry = (readout[:, :width], readout[:, :width])
        for _ in range(self.steps):
            carry, query = lstm(carry, readout)
            scores = jnp.einsum("nad,nd->na", x, query)
            weights = nn.softmax(jnp.where(mask > 0, scores, -1e9), axis=1)
            readout = jnp.concatenate([query, jnp.einsum("na,nad->nd", weights, x)], -1)
        return readout
