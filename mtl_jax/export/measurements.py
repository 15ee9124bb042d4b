"""What is known of an exported model: the metrics of its parameters, its speed and its size."""

import pathlib
import statistics
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.run import Run
from mtl_jax.core.metric import Metric
from mtl_jax.core.tree import Tree, num_examples
from mtl_jax.export.function import apply, flat_outputs
from mtl_jax.export.trained_model import Choice, TrainedModel, seed_index
from mtl_jax.predict import ExportedModel
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.train import evaluate

BATCH_SIZES = (1, 8, 64)
REPEATS = 10
EXAMPLES = 17  # Test inputs whose outputs are compared with those of the training code.


class Score(NamedTuple):
    """A metric of a task, in the unit of tables; None where it was not measured."""

    task: str
    metric: str
    validation: float | None
    test: float | None
    test_mean: float | None  # over all seeds, None for a soup


def scores_of_seed(run: Run, folder: RunDirectory, choice: Choice) -> list[Score]:
    """The metrics of one seed's parameters, as the run measured them."""
    splits = ("validation", "test")
    if choice.parameters == "selected":
        selected = folder.result()["selected"]
        found = {split: [entry[split] for entry in selected] for split in splits}
    else:
        last = folder.records()[-1]["validation"][choice.parameters]
        found = {
            "validation": [
                {
                    task: {name: values[seed] for name, values in by_name.items()}
                    for task, by_name in last.items()
                }
                for seed in range(run.num_seeds)
            ],
            "test": [entry[choice.parameters] for entry in folder.result()["last"]],
        }
    index = seed_index(run, choice)
    return [
        Score(
            task.name,
            metric.name,
            *(metric.scale * found[s][index][task.name][metric.name] for s in splits),
            metric.scale * float(np.mean([e[task.name][metric.name] for e in found["test"]])),
        )
        for task in run.tasks
        for metric in task.metrics
    ]


def scores_of_soup(run: Run, trained: TrainedModel, splits: Mapping[str, Any]) -> list[Score]:
    """The metrics of a mean of several seeds, measured here; those of the host are left out."""
    soup = (trained.params, trained.batch_stats, dict(splits))
    found = jax.jit(lambda p, s, d: evaluate(trained.model, run.tasks, p, s, d).metrics)(
        *jax.tree.map(jnp.asarray, soup)
    )
    return [
        Score(
            task.name,
            metric.name,
            *(
                metric.scale * float(found[split][task.name][metric.name])
                if isinstance(metric, Metric)
                else None
                for split in ("validation", "test")
            ),
            None,
        )
        for task in run.tasks
        for metric in task.metrics
    ]


def rows_of(inputs: Tree, count: int) -> Tree:
    """The first inputs, repeated if there are fewer."""
    index = np.arange(count) % num_examples(inputs)
    return jax.tree.map(lambda leaf: leaf[index], inputs)


def largest_difference(trained: TrainedModel, exported: ExportedModel, inputs: Tree) -> float:
    """Largest absolute difference of an exported model's outputs from those of the training code."""
    some = rows_of(inputs, min(EXAMPLES, num_examples(inputs)))
    outputs = jax.jit(lambda p, s, x: apply(trained.model, p, s, x))(
        trained.params, trained.batch_stats, jax.tree.map(jnp.asarray, some)
    )
    wanted, found = flat_outputs(outputs), flat_outputs(exported(some))
    # Boxes are among the outputs of an exported model alone.
    pairs = ((np.asarray(array), found[name]) for name, array in wanted.items())
    return max(float(np.abs(one - other).max(initial=0.0)) for one, other in pairs)


def latencies(exported: ExportedModel, inputs: Tree) -> dict[int, float]:
    """Median seconds of a call by batch size, without compilation."""
    found = {}
    for size in BATCH_SIZES:
        some, seconds = rows_of(inputs, size), []
        for _ in range(1 + REPEATS):  # The first call compiles.
            start = time.perf_counter()
            exported(some)
            seconds.append(time.perf_counter() - start)
        found[size] = statistics.median(seconds[1:])
    return found


def file_sizes(folder: pathlib.Path) -> dict[str, int]:
    """Bytes of the files of a folder by name."""
    return {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
