"""Checks that tables and figures can read the files of a finished row."""

from mtl_jax.config.run import Run
from mtl_jax.report.scores import scores
from mtl_jax.storage.run_directory import Damaged, RunDirectory

# What reading a value of another type or place raises.
ERRORS = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def require_readable(folder: RunDirectory) -> None:
    """Requires files that tables and figures can read, if the row of a folder is finished.

    Raises:
      Damaged: naming the file.
    """
    if not folder.is_finished():
        return
    try:
        scores(folder.run, folder)
    except Damaged:
        raise
    except ERRORS:
        raise folder.damaged(folder.path / "result.json") from None
    if not isinstance(folder.run, Run):
        return
    tasks = {task.name: task.selection_metric.name for task in folder.run.tasks}
    try:
        for record in folder.records():
            for values in record["validation"].values():
                numbers = [float(v) for name, metric in tasks.items() for v in values[name][metric]]
                if len(numbers) != len(tasks) * folder.run.num_seeds:
                    raise ValueError
    except Damaged:
        raise
    except ERRORS:
        raise folder.damaged(folder.path / "metrics.jsonl") from None
