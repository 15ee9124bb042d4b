"""Validation of runs and experiments across fields; types are checked elsewhere."""

from collections.abc import Callable
from typing import Any

from flax import linen as nn

from mtl_jax.config.init_checks import check_init_from
from mtl_jax.config.study_design import check_design
from mtl_jax.config.task import require_views, teacher_view
from mtl_jax.core.protocols import RunSettings
from mtl_jax.core.step_extension import POLICY, POST_STEP
from mtl_jax.core.trunk import Trunk
from mtl_jax.core.validation import (
    did_you_mean,
    require,
    require_int,
    require_name,
)

MOST_STEPS = 2**31 - 1  # Steps are 32-bit integers.
MOST_SEEN = 2**32  # So are positions in the stream of examples.
MOST_SEEDS = 10_000
MOST_ROWS = 10_000
LONGEST_CHAIN = 50


def check_run(run: Any, sources: tuple, teacher_tasks: dict) -> None:
    """Requires that the fields of a run are consistent.

    Args:
      run: a run with fields of the right types.
      sources: its source model, if it is a run.
      teacher_tasks: its teachers by task and number of outputs.

    Raises:
      BadInput: naming the field.
    """
    require_name(run)
    check_counts(run)
    rule = "must be a trunk, an instance such as nets.MLP()"
    require(isinstance(run.trunk, nn.Module | Trunk), run, "trunk", rule, run.trunk)
    require(len(run.tasks) > 0, run, "tasks", "must hold at least one task", run.tasks)
    names = [task.name for task in run.tasks]
    require(len(set(names)) == len(names), run, "tasks", "must have different names", names)
    check_chain(run)
    alone = not run.balance.needs_task_gradients
    rule = "needs a balance that weighs losses, since some tasks have no gradient"
    require(run.task_schedule is None or alone, run, "task_schedule", rule, run.balance)
    if run.task_schedule is not None:
        run.task_schedule.check(len(run.tasks))
    fine = run.evaluation.selection.startswith("last") or any(task.selects for task in run.tasks)
    require(fine, run, "tasks", "must have one that selects", names)
    require_views(run)
    names = [extension.name for extension in run.extensions]
    rule = f"must have names, other than {POLICY!r} and {POST_STEP!r}"
    require(not {"", POLICY, POST_STEP} & set(names), run, "extensions", rule, names)
    rule = "must be of different kinds"
    require(len(set(names)) == len(names), run, "extensions", rule, names)
    owners = [each.name for each in run.extensions if each.optimizer is not None]
    rule = "must have at most one with an optimizer of the trained model"
    require(len(owners) < 2, run, "extensions", rule, owners)
    for extension in run.extensions:
        extension.check(run)
    check_optimizers(run)
    check_init_from(run)
    teachers = run.labels.teachers
    for field, others in (("initialization.init_from", sources), ("labels.teachers", teachers)):
        seeds = [(other.num_seeds, other.first_seed) for other in others]
        alike = all(pair == (run.num_seeds, run.first_seed) for pair in seeds)
        require(alike, run, field, f"must have this run's {run.num_seeds} seeds", seeds)
    for task in run.tasks:
        fine = teacher_view(task) is None or (task.name, task.num_outputs) in teacher_tasks
        rule = f"must teach {task.name!r} with {task.num_outputs} outputs"
        require(fine, run, "labels.teachers", rule, sorted(teacher_tasks))


def check_optimizers(run: Any) -> None:
    """Requires optimizers that suit the run, with a learning rate where another part uses it."""
    own = [each.optimizer for each in run.extensions if each.optimizer is not None]
    users = {
        "regularization.proximal": bool(run.regularization.proximal),
        "balance": run.balance.access == "heldout_losses",
        "evaluation.measure_affinity": run.evaluation.measure_affinity,
    }
    for optimizer in (run.optimizer, *own):
        optimizer.check(run)
        for field in (field for field, uses in users.items() if uses):
            rule = f"with {field} must have a learning_rate, whose steps it also takes"
            fine = optimizer.learning_rate is not None
            require(fine, run, "optimizer", rule, optimizer)


def check_counts(run: Any) -> None:
    """Requires numbers in range, and lengths that fit into 32 bits."""
    require_int(run, steps=1, batch_size=1, num_seeds=1, first_seed=0)
    parts = 1 if run.execution is None else run.execution.microbatches or 1
    rule = f"must be a multiple of execution.microbatches, {parts}"
    require(run.batch_size % parts == 0, run, "batch_size", rule, run.batch_size)
    require(run.steps <= MOST_STEPS, run, "steps", "must be below 2^31", run.steps)
    check_seeds(run)
    unlabelled = any(task.auxiliary is not None for task in run.tasks)
    unlabelled |= any(extension.needs_unlabelled for extension in run.extensions)
    parts = 3 if run.balance.access == "cross_gramian" else 1
    num_examples = (
        run.steps * run.batch_size * parts * (run.labels.unlabelled_ratio if unlabelled else 1)
    )
    rule = "times the examples of a step must stay below 2^32, where batches would begin anew"
    require(num_examples < MOST_SEEN, run, "steps", rule, num_examples)


def check_seeds(row: Any) -> None:
    """Requires a feasible number of seeds, which fit into 32 bits."""
    require(
        row.num_seeds <= MOST_SEEDS,
        row,
        "num_seeds",
        f"must be at most {MOST_SEEDS}",
        row.num_seeds,
    )
    last = row.first_seed + row.num_seeds - 1
    require(last < 2**32, row, "first_seed", "and num_seeds must stay below 2^32", last)


def check_chain(run: Any) -> None:
    """Requires dependency chains and trees of limited size.

    The string of a run contains all its dependencies, each once per path that leads to it.
    """

    def measure(one: Any) -> tuple[int, int]:
        """Length of the longest dependency chain of a run, and its size as a tree."""
        others = (one.initialization.init_from, *one.labels.teachers)
        found = [measure(each) for each in others if isinstance(each, RunSettings)]
        length = 1 + max((length for length, _ in found), default=0)
        return length, 1 + sum(size for _, size in found)

    length, size = measure(run)
    field = "labels.teachers" if run.labels.teachers else "initialization.init_from"
    rule = f"must end a chain of at most {LONGEST_CHAIN} runs that need each other"
    require(length <= LONGEST_CHAIN, run, field, rule, length)
    rule = f"must need at most {MOST_ROWS} runs, each counted as often as it is needed"
    require(size <= MOST_ROWS, run, field, rule, size)


def check_experiment(experiment: Any, dependency_order: Callable) -> None:
    """Requires unique row names, and fields that refer to existing rows.

    Args:
      experiment: an experiment with fields of the right types.
      dependency_order: maps a run to its dependencies and itself.

    Raises:
      BadInput: naming the field.
    """
    rows = (*experiment.runs, *experiment.sklearn_baselines)
    some = len(rows) + len(experiment.tuned) > 0
    require(some, experiment, "runs", "must hold at least one run", experiment.runs)
    rule = f"must hold at most {MOST_ROWS} rows"
    require(len(rows) <= MOST_ROWS, experiment, "runs", rule, len(rows))
    for row in experiment.sklearn_baselines:
        check_seeds(row)
    by_name = {}
    read = [
        row.features_from for row in experiment.sklearn_baselines if row.features_from is not None
    ]
    for run in (run for row in (*experiment.runs, *read) for run in dependency_order(row)):
        same = by_name.setdefault(run.name, run) == run
        require(same, experiment, "runs", "must have different names", run.name)
    names = [row.name for row in rows]
    own = [row.name for row in experiment.tuned]
    clash = sorted({*own} & {*names}) or [name for name in own if own.count(name) > 1]
    require(not clash, experiment, "tuned", "must have names that no other row has", clash)
    duplicated = len(set(names)) < len(names)
    require(not duplicated, experiment, "runs", "must have different names", names)
    named = {row.name: row for row in rows} | {row.name: row.run for row in experiment.tuned}
    references = (
        ("baselines", experiment.baselines),
        ("published", [n.run for n in experiment.published]),
    )
    for field, name in ((field, name) for field, each in references for name in each):
        if name not in named:
            rule = f"must name runs ({did_you_mean(name, named)})"
            require(False, experiment, field, rule, name)
    for name in experiment.baselines:
        single = len(named[name].tasks) == 1
        require(single, experiment, "baselines", "must name single-task runs", name)
    destinations = [tracker.destination for tracker in experiment.trackers]
    different = len(set(destinations)) == len(destinations)
    require(different, experiment, "trackers", "must have different destinations", destinations)
    check_design(experiment)
