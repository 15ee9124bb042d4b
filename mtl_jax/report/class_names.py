"""Names of the classes of a task."""

from mtl_jax.config.run import Run
from mtl_jax.config.task import Task
from mtl_jax.storage.class_name_checks import classes_of


def class_names(run: Run, task: Task) -> list[str]:
    """The names that a run's data gives to the classes of a task, or else their numbers.

    A task with one output, a logit, has two classes.
    """
    count = max(2, task.num_outputs)
    names = [str(name) for name in classes_of(run.data).get(task.name, ())]
    distinct = len(names) == count == len({*names})
    return names if distinct else [str(index) for index in range(count)]
