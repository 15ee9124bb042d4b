"""The answer of a task: classes, probabilities or numbers, from the outputs of a model."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtl_jax.predict.description import BOXES, TaskSpec


class Answer(NamedTuple):
    """A task's answer to N inputs; P are the positions of dense outputs, if any.

    | kind       | values                         | probabilities            |
    |------------|--------------------------------|--------------------------|
    | multiclass | class `[N, *P]`                | `[N, *P, C]`, softmax    |
    | binary     | class 0 or 1 `[N, *P]`         | `[N, *P, 2]`             |
    | multilabel | labels `[N, *P, C]` as bools   | `[N, *P, C]`, sigmoid    |
    | continuous | numbers `[N, *P, D]`           | None                     |
    | boxes      | boxes, scores and classes      | None                     |
    | arrays     | None                           | None                     |

    Boxes `[N, M, 4]` are corners x0, y0, x1, y1 in pixels of the model's input, the best first, with
    scores `[N, M]`, 0 where there are fewer, and classes `[N, M]`.

    Attributes:
      outputs: the outputs of the model, `[N, *P, C]` or a dict of arrays.
      values: as above; numbers are in the unit of the data.
      probabilities: as above.
    """

    outputs: Any
    values: Any = None
    probabilities: np.ndarray | None = None


def answer(task: TaskSpec, outputs: Any) -> Answer:
    """Decodes the outputs of a task.

    Args:
      task: the task.
      outputs: host arrays `[N, *P, C]`, or a dict of arrays.

    Example:
      >>> import numpy as np
      >>> from mtl_jax.predict import TaskSpec, answer
      >>> found = answer(TaskSpec("digit", "multiclass"), np.log([[1.0, 3.0]]))
      >>> found.values, found.probabilities
      (array([1]), array([[0.25, 0.75]]))
    """
    if isinstance(outputs, Mapping):
        boxes = task.kind == "boxes"
        return Answer(outputs, {name: outputs[name] for name in BOXES} if boxes else None)
    if task.kind == "arrays":
        return Answer(outputs)
    if task.kind == "continuous":
        return Answer(outputs, unstandardize(task, outputs))
    if task.kind == "multiclass":
        return Answer(outputs, outputs.argmax(-1), softmax(outputs))
    if task.kind == "multilabel":
        return Answer(outputs, outputs >= 0.0, sigmoid(outputs))
    positive = sigmoid(outputs)
    values = (outputs[..., 0] >= 0.0).astype(int)
    return Answer(outputs, values, np.concatenate([1.0 - positive, positive], -1))


def unstandardize(task: TaskSpec, outputs: np.ndarray) -> np.ndarray:
    """Numbers in the unit of the labels, `y std + mean`."""
    if task.mean is None or task.std is None:
        return outputs
    return outputs * np.array(task.std, outputs.dtype) + np.array(task.mean, outputs.dtype)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities of the last axis."""
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities of single logits, without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0.0, 1.0, small) / (1.0 + small)
