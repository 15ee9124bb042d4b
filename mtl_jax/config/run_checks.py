"""Rules on the fields of a run and of an experiment together; their types are held elsewhere."""

from collections.abc import Callable
from typing import Any

from mtl_jax.config.init_checks import require_start
from mtl_jax.config.study_design import check_design
from mtl_jax.config.task import asks_teacher, require_views
from mtl_jax.core.protocols import BilevelWeighting, CrossWeighting, LossWeighting
from mtl_jax.core.validation import (
    near,
    require,
    require_choice,
    require_count,
    require_name,
    require_number,
)

MOST_STEPS = 2**31 - 1  # A step is counted in 32 bits.
MOST_SEEN = 2**32  # So is a place in the stream of examples.
MOST_SEEDS = 10_000
MOST_ROWS = 10_000
LONGEST_CHAIN = 50


def check_run(run: Any, classes: Callable, sources: tuple, taught: dict) -> None:
    """Refuses a run whose fields do not fit together.

    Args:
      run: a run whose fields are of their types.
      classes: the loss of tasks that a coach can teach.
      sources: the run that it starts from, if it is a run.
      taught: its teachers by task and number of outputs.

    Raises:
      BadInput: naming the field.
    """
    require_name(run)
    check_counts(run)
    require(len(run.tasks) > 0, run, "tasks", "must hold at least one task", run.tasks)
    names = [task.name for task in run.tasks]
    require(len(set(names)) == len(names), run, "tasks", "must have different names", names)
    check_chain(run)
    alone = isinstance(run.balance, LossWeighting | BilevelWeighting)
    rule = "needs a balance that weighs losses, since some tasks have no gradient"
    require(run.scheme is None or alone, run, "scheme", rule, run.balance)
    rule = "needs at least two tasks"
    require(run.cross_task is None or len(names) > 1, run, "cross_task", rule, names)
    if run.scheme is not None:
        run.scheme.check(len(run.tasks))
    require_choice(run, selection=("joint", "per_task", "last", "last_ema"))
    fine = run.selection.startswith("last") or any(task.selects for task in run.tasks)
    require(fine, run, "tasks", "must have one that selects", names)
    require_views(run)
    if run.coach is not None:
        run.coach.check(run, classes)
    require_start(run)
    for field, others in (("source", sources), ("teachers", run.teachers)):
        seeds = [(other.seeds, other.first_seed) for other in others]
        alike = all(pair == (run.seeds, run.first_seed) for pair in seeds)
        require(alike, run, field, f"must have this run's {run.seeds} seeds", seeds)
    for task in run.tasks:
        fine = asks_teacher(task) is None or (task.name, task.outputs) in taught
        rule = f"must teach {task.name!r} with {task.outputs} outputs"
        require(fine, run, "teachers", rule, sorted(taught))


def check_counts(run: Any) -> None:
    """Refuses numbers out of range, and lengths that 32 bits cannot count."""
    require_count(run, steps=1, batch=1, unlabelled_ratio=1, evaluate_every=1)
    require_count(run, checkpoint_every=1, seeds=1, first_seed=0)
    require_number(run, ema=(0.0, 1.0))
    if run.labelled is not None:
        require_count(run, labelled=1)
    require(run.steps <= MOST_STEPS, run, "steps", "must be below 2^31", run.steps)
    check_seeds(run)
    unlabelled = any(task.consistency is not None for task in run.tasks) or run.coach is not None
    parts = 3 if isinstance(run.balance, CrossWeighting) else 1
    seen = run.steps * run.batch * parts * (run.unlabelled_ratio if unlabelled else 1)
    rule = "times the examples of a step must stay below 2^32, where batches would begin anew"
    require(seen < MOST_SEEN, run, "steps", rule, seen)


def check_seeds(row: Any) -> None:
    """Refuses more seeds than anybody waits for, or than 32 bits can count."""
    require(row.seeds <= MOST_SEEDS, row, "seeds", f"must be at most {MOST_SEEDS}", row.seeds)
    last = row.first_seed + row.seeds - 1
    require(last < 2**32, row, "first_seed", "and seeds must stay below 2^32", last)


def check_chain(run: Any) -> None:
    """Refuses a long chain of runs that need each other, and one that branches without end.

    What a run is told by has all that it needs in it, each as often as there are ways to it.
    """
    known = {}

    def measured(one: Any) -> tuple[int, int]:
        """Length of the longest chain that ends in a run, and how many ways lead through it."""
        if id(one) not in known:
            needs = [each for each in (one.source, *one.teachers) if hasattr(each, "teachers")]
            found = list(map(measured, needs))
            length = 1 + max((length for length, _ in found), default=0)
            known[id(one)] = (length, 1 + sum(ways for _, ways in found))
        return known[id(one)]

    length, ways = measured(run)
    field = "teachers" if run.teachers else "source"
    rule = f"must end a chain of at most {LONGEST_CHAIN} runs that need each other"
    require(length <= LONGEST_CHAIN, run, field, rule, length)
    rule = f"must need at most {MOST_ROWS} runs, each counted as often as it is needed"
    require(ways <= MOST_ROWS, run, field, rule, ways)


def check_experiment(experiment: Any, lineage: Callable) -> None:
    """Refuses rows that bear one name, and what is said of rows that are not there.

    Args:
      experiment: one whose fields are of their types.
      lineage: gives the runs that a run needs, and itself.

    Raises:
      BadInput: naming the field.
    """
    rows = (*experiment.runs, *experiment.classics)
    require(len(rows) > 0, experiment, "runs", "must hold at least one run", experiment.runs)
    rule = f"must hold at most {MOST_ROWS} rows"
    require(len(rows) <= MOST_ROWS, experiment, "runs", rule, len(rows))
    for row in experiment.classics:
        check_seeds(row)
    seen = {}
    read = [row.features for row in experiment.classics if row.features is not None]
    for run in (run for row in (*experiment.runs, *read) for run in lineage(row)):
        same = seen.setdefault(run.name, run) == run
        require(same, experiment, "runs", "must have different names", run.name)
    names = [row.name for row in rows]
    twice = len(set(names)) < len(names)
    require(not twice, experiment, "runs", "must have different names", names)
    named = dict(zip(names, rows, strict=True))
    told = (
        ("baselines", experiment.baselines),
        ("published", [n.run for n in experiment.published]),
    )
    for field, name in ((field, name) for field, each in told for name in each):
        if name not in named:
            require(False, experiment, field, f"must name runs ({near(name, names)})", name)
    for name in experiment.baselines:
        single = len(named[name].tasks) == 1
        require(single, experiment, "baselines", "must name single-task runs", name)
    check_design(experiment)
