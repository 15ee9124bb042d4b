"""What the trained net of a run makes of images: features and outputs, for every seed."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.checks import BadInput, require
from mtl_jax.host.checkpoint import Checkpoints
from mtl_jax.host.folder import Folder
from mtl_jax.run import Run
from mtl_jax.train import net_of, read_for
from mtl_jax.transfer import estimates


class ReadOut(NamedTuple):
    """Features and probabilities of the first task's classes."""

    features: np.ndarray  # [S, N, D]
    probabilities: np.ndarray  # [S, N, Z]


def read_out(run: Run, folder: Folder, images: np.ndarray) -> ReadOut:
    """Features and probabilities of images `[N, ...]` by the last parameters of a finished run.

    Raises:
      BadInput: if its checkpoint is missing or damaged, or images are not of its data's shape.
    """
    try:
        tree = Checkpoints(folder.checkpoints, print).tree(run.steps)
    except ValueError as wrong:
        raise BadInput(f"{wrong}; a row reads its features, --fresh trains it again") from None
    shapes = run.data.shapes()
    own = shapes.get("image", next(iter(shapes.values())))
    if hasattr(own, "shape"):
        rule = f"must read images of {own.shape[1:]}"
        require(images.shape[1:] == own.shape[1:], run, "data", rule, images.shape[1:])
    net, name = net_of(run), run.tasks[0].name
    alone = jax.jit(lambda params, stats, images: read_for(net, params, stats, images))
    found = []
    for seed in range(run.seeds):
        params, stats = jax.tree.map(lambda leaf, s=seed: leaf[s], (tree["params"], tree["stats"]))
        features, logits = alone(params, stats, jnp.asarray(images))
        found.append((features[name], jax.nn.softmax(logits[name])))
    return ReadOut(*(np.stack(jax.device_get(each)) for each in zip(*found, strict=True)))


def promises(features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """What is told of how well a source may transfer, of one seed's labelled examples.

    A score that cannot be computed of so few examples is None.

    Args:
      features: `[N, D]`.
      probabilities: of the source's classes, `[N, Z]`.
      labels: of the target, `[N]`.
    """
    scores = {
        "H-score": lambda: estimates.h_score(features, labels),
        "regularised H-score": lambda: estimates.regularised_h_score(features, labels),
        "LEEP": lambda: estimates.leep(probabilities, labels),
        "NCE": lambda: estimates.nce(probabilities.argmax(1), labels),
        "LogME": lambda: estimates.logme(features, labels),
        "TransRate": lambda: estimates.transrate(features, labels),
    }
    return {name: told(score) for name, score in scores.items()}


def told(score: Callable[[], float]) -> float | None:
    """A score, or None where it is refused."""
    try:
        return float(score())
    except BadInput:
        return None
