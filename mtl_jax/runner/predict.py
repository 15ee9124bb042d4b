"""What the trained net of a run makes of images: features and outputs, for every seed."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run, Task
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.core.validation import BadInput, require
from mtl_jax.core.views import Parameters
from mtl_jax.losses.target_type import target_type
from mtl_jax.storage.run_directory import Folder
from mtl_jax.storage.trained_params import trained
from mtl_jax.train import net_of, read_for
from mtl_jax.transfer import transferability


class ReadOut(NamedTuple):
    """Features and probabilities of the first task's classes."""

    features: np.ndarray  # [S, N, D]
    probabilities: np.ndarray  # [S, N, Z]; Z is 0 for a task without classes


def read_out(
    run: Run, folder: Folder, images: Sequence[np.ndarray], by: Parameters = "selected"
) -> ReadOut:
    """Features and probabilities of each seed's images `[N, ...]` by a finished run.

    Raises:
      BadInput: if its checkpoint is missing or damaged.
    """
    task = run.tasks[0]
    why = "a row reads its features"
    features, logits = asked_of(run, folder, by, task.name, images, read_for, why)
    return ReadOut(features[task.name], probabilities_of(task, logits[task.name]))


def probabilities_of(task: Task, outputs: np.ndarray) -> np.ndarray:
    """Probabilities of a task's classes `[..., Z]`, two of one logistic output, none of numbers."""
    kind = target_type(task.loss, task.outputs)
    if kind in ("multilabel", "continuous"):
        return outputs[..., :0]
    if kind == "binary":
        outputs = np.concatenate([np.zeros_like(outputs), outputs], -1)
    return np.asarray(jax.nn.softmax(outputs))


def asked_of(
    run: Run,
    folder: Folder,
    by: Parameters,
    task: str,
    images: Sequence[np.ndarray],
    ask: Callable[..., Any],
    why: str,
) -> Any:
    """What every seed of a finished run says of images `[N, ...]` of its own, `[S, N, ...]`.

    Args:
      run: a finished one.
      folder: its folder.
      by: which of its parameters say it.
      task: for which task, where the run selects for each.
      images: of its data's shape, for every seed.
      ask: `(net, params, stats, images) -> tree`, of one seed.
      why: it is asked, for the error.

    Raises:
      BadInput: if its checkpoint is missing or damaged.
    """
    models = trained(run, folder, by, task, why)
    alone = jax.jit(functools.partial(ask, net_of(run)))
    each = [
        jax.device_get(alone(*jax.tree.map(lambda leaf, s=seed: leaf[s], models), own))
        for seed, own in enumerate(map(jnp.asarray, images))
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *each)


def check_read(row: Classic) -> None:
    """Requires of a row that reads the features of a run images of that run's shape.

    Raises:
      BadInput: for other shapes, or data of several inputs.
    """
    if row.features is None:
        return
    shapes = [data.shapes() for data in (row.data, row.features.data)]
    rule = "must have images of one input, in this row and in the run"
    require(all("image" in each for each in shapes), row, "features", rule, row.features.name)
    own, read = (each["image"].shape[1:] for each in shapes)
    require(own == read, row, "features", f"must read images of {own}", read)


def promises(features: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> dict:
    """What is told of how well a source may transfer, of one seed's labelled examples.

    A score that cannot be computed of so few examples is None.

    Args:
      features: `[N, D]`.
      probabilities: of the source's classes, `[N, Z]`; without a class, what needs them is None.
      labels: of the target, `[N]`.
    """
    scores = {
        "H-score": lambda: transferability.h_score(features, labels),
        "regularised H-score": lambda: transferability.regularised_h_score(features, labels),
        "LEEP": lambda: transferability.leep(probabilities, labels),
        "NCE": lambda: transferability.nce(most_likely(probabilities), labels),
        "LogME": lambda: transferability.logme(features, labels),
        "TransRate": lambda: transferability.transrate(features, labels),
    }
    return {name: told(score) for name, score in scores.items()}


def most_likely(probabilities: np.ndarray) -> np.ndarray:
    """The most likely class of each example, `[N]`."""
    if probabilities.shape[1] == 0:
        raise BadInput("NCE needs the classes of a source")
    return probabilities.argmax(1)


def told(score: Callable[[], float]) -> float | None:
    """A score, or None where it is refused."""
    try:
        return float(score())
    except BadInput:
        return None
