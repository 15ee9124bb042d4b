"""What a linear net sees of random features of both domains, and gradients of methods."""

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax import domain_adaptation
from mtl_jax.core.aux_inputs import AuxInputs, DatasetSizes
from mtl_jax.core.head_specs import AuxMLP
from mtl_jax.core.views import view_key
from mtl_jax.domain_adaptation.adda import SOURCE_VIEW
from mtl_jax.losses import cross_entropy

B, U, D, C = 6, 8, 5, 3
SIZES = DatasetSizes(C, 20, 12)
RANDOM = np.random.default_rng(0)


def drawn(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


SHAPES = {"labelled": B, "weak": U, view_key(SOURCE_VIEW): B}
FEATURES = {view: drawn(size, D) for view, size in SHAPES.items()}
LABELS = np.arange(B, dtype=np.int32) % C
SHARP = domain_adaptation.SigmoidWarmUp(1e9)  # The coefficient is 1 at once.


def heads_of(method):
    """One matrix for each head, and the task's own under ""."""
    random = np.random.default_rng(1)
    sizes = {"": (D, C)}
    for name, head in (method.aux_heads(C)).items():
        assert isinstance(head, AuxMLP)
        sizes[name] = (head.input_size or head.input_multiple * D, head.outputs)
    return {name: random.normal(size=size).astype(np.float32) for name, size in sizes.items()}


def seen(features, heads, progress=0.7):
    """What a linear net sees of features."""
    return AuxInputs(
        logits={view: each @ heads[""] for view, each in features.items()},
        labels=LABELS,
        mask=np.ones(B, bool),
        unlabelled_index=np.arange(U),
        labelled_index=np.arange(B),
        heads={},
        view_params={},
        progress=jnp.float32(progress),
        key=jax.random.key(0),
        features=features,
        head_fn=lambda name, x: x @ heads[name],
    )


def loss_of(method, features, heads, **how):
    """Both losses of a method."""
    views = seen(features, heads, **how)
    own = method.labelled_loss(views, cross_entropy, ()) if method.has_labelled_loss else 0.0
    return method.update(views, method.init(SIZES))[0].mean() + own


def slopes(method, **how):
    """Gradients of both losses by features and heads."""
    return jax.grad(lambda pair: loss_of(method, *pair, **how))((FEATURES, heads_of(method)))
