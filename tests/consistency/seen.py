"""Views of random outputs, with all that a method asks to see."""

import jax
import numpy as np

from mtl_jax.core.aux_inputs import AuxInputs
from mtl_jax.core.mixed_views import MixParams
from mtl_jax.core.views import CutMixView, MixedView, RotatedView, TeacherView, base_views, view_key

B, U, C, N = 4, 6, 4, 20


def seen(method, seed, sure=False, classes=C) -> AuxInputs:
    """What a method would see of a random batch; sure outputs are of every class in turn."""
    random = np.random.default_rng(seed)
    sizes = {"labelled": B}
    for view in method.views:
        parts = [B if part.startswith("labelled") else U for part in base_views(view)]
        sizes[view_key(view)] = sum(parts) or U  # What is stored is of the unlabelled images.
    heads = method.aux_heads(classes)
    return AuxInputs(
        logits={name: outputs(random, size, classes, sure) for name, size in sizes.items()},
        labels=random.integers(0, C, B, np.int32),
        mask=np.ones(B, bool),
        unlabelled_index=random.permutation(N)[:U].astype(np.int32),
        labelled_index=random.permutation(N)[:B].astype(np.int32),
        heads={
            name: {v: outputs(random, size, head.outputs, False) for v, size in sizes.items()}
            for name, head in heads.items()
        },
        view_params={
            view_key(view): drawn(random, view, sizes[view_key(view)])
            for view in method.views
            if isinstance(view, MixedView | CutMixView | RotatedView | TeacherView)
        },
        progress=np.float32(0.5),
        key=jax.random.key(seed),
    )


def outputs(random, size, classes, sure):
    """Logits `[size, classes]`."""
    drawn = 2.0 * random.normal(size=(size, classes)).astype(np.float32)
    return drawn + 9.0 * np.eye(classes, dtype=np.float32)[np.arange(size) % classes] * sure


def drawn(random, view, size):
    """What would have been drawn to make a view of so many images."""
    if isinstance(view, TeacherView):
        return np.ones(size, np.float32)
    if isinstance(view, RotatedView):
        return random.integers(0, 4, size, np.int32)
    ratio = random.uniform(0.5, 1.0, size).astype(np.float32)
    return MixParams(random.permutation(size).astype(np.int32), ratio)
