"""Judges parameters on the whole of a split, in chunks, by sums."""

from typing import Any

import jax
import jax.numpy as jnp

from mtl_jax.protocols import Net
from mtl_jax.run import Run
from mtl_jax.train.batch import as_float
from mtl_jax.train.state import TrainState

CHUNK = 500


def judge(run: Run, net: Net, state: TrainState, splits: dict[str, Any]) -> dict[str, Any]:
    """Metrics of the raw and of the averaged parameters on every split.

    Args:
      run: what is trained.
      net: its net.
      state: of one seed; both sets of parameters use its running statistics.
      splits: by name, arrays "image" `[N, ...]` and the tasks' labels `[N, ...]`.

    Returns:
      `{split: {"raw" | "ema": {task: {metric: value []}}}}`.
    """
    return {
        name: {
            kind: scores(run, net, params, state.stats, arrays)
            for kind, params in (("raw", state.params), ("ema", state.ema))
        }
        for name, arrays in splits.items()
    }


def scores(run: Run, net: Net, params: Any, stats: Any, arrays: dict[str, jax.Array]):
    """Each task's metric over all examples; those without the task's label do not count."""
    size = arrays["image"].shape[0]
    chunks = -(-size // CHUNK)
    chunk = -(-size // chunks)

    def sums(part):
        images, labels, inside = part
        outputs, _ = net.apply(params, stats, as_float(images), train=False)
        return {
            task.name: task.metric.sums(
                outputs.logits[task.name],
                labels[task.name],
                inside & present(labels[task.name]),
            )
            for task in run.tasks
        }

    def chunked(array):
        rest = chunks * chunk - size
        padded = jnp.pad(array, [(0, rest)] + [(0, 0)] * (array.ndim - 1))
        return padded.reshape(chunks, chunk, *array.shape[1:])

    labels = {task.name: chunked(arrays[task.name]) for task in run.tasks}
    parts = (chunked(arrays["image"]), labels, chunked(jnp.ones(size, bool)))
    total = jax.tree.map(lambda leaf: leaf.sum(0), jax.lax.map(sums, parts))
    return {
        task.name: {task.metric.name: task.metric.compute(total[task.name])} for task in run.tasks
    }


def present(labels: jax.Array) -> jax.Array:
    """Whether a label is there `[N]`: not negative for classes, not NaN for numbers."""
    if jnp.issubdtype(labels.dtype, jnp.integer):
        return labels >= 0
    return ~jnp.isnan(labels.reshape(labels.shape[0], -1)).any(-1)
