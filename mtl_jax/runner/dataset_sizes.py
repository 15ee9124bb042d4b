"""Numbers of examples and outputs of a run, by task."""

import math

from mtl_jax import train
from mtl_jax.config.run import Run
from mtl_jax.core.aux_inputs import DatasetSizes


def sizes_of(run: Run, streams: tuple[train.Stream, ...]) -> dict[str, DatasetSizes]:
    """Numbers of outputs, unlabelled and labelled examples, by task.

    The examples of an auxiliary loss may be the positions of a dense task.
    """
    positions = train.output_positions(run, train.example_spec(streams[0].inputs))
    sizes = {}
    for task in run.tasks:
        by_example = task.auxiliary is None or not task.auxiliary.per_position
        count = 1 if by_example else math.prod(positions[task.name])
        stream = next(stream for stream in streams if task.name in stream.labels)
        sizes[task.name] = DatasetSizes(
            task.num_outputs,
            count * train.num_unlabelled(stream),
            count * stream.labelled.index.shape[-1],
        )
    return sizes
