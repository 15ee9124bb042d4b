"""Submits rows to SLURM by submitit: a job for each, and one that writes the table."""

import argparse
import contextlib
import importlib.util
import io
import math
import os
import pathlib
import re
import shlex
import shutil
import signal
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

from mtl_jax.config.option_values import option_values
from mtl_jax.config.run import Run
from mtl_jax.core.validation import BadInput, few
from mtl_jax.runner.console import exit_process, set_up_console
from mtl_jax.runner.distributed import AUTO
from mtl_jax.runner.input_digests import Row, row_dependencies
from mtl_jax.runner.jobs import Launch, row_options
from mtl_jax.runner.mesh import require_divisible
from mtl_jax.runner.rows import check_rows, lock_rows
from mtl_jax.runner.slurm_queue import TABLE, job_folder, job_states, read_job_ids, write_job_ids
from mtl_jax.runner.train_programs import Sweep, archive

# Options of sbatch.
RESOURCES = (
    "account", "constraint", "cpus-per-task", "exclude", "gpus", "gpus-per-node", "gres", "mem",
    "nodelist", "nodes", "ntasks-per-node", "partition", "qos", "reservation", "time",
)  # fmt: skip
COUNTS = ("nodes", "ntasks-per-node")
SOURCE = pathlib.Path(__file__).parent.parent.parent  # Of the package, which may not be installed.
TIME = re.compile(r"(\d+-)?\d+(:\d+){0,2}")
MIN_MINUTES = 3  # Submitit asks for SIGUSR2 90 s before the end.
MAX_TIMEOUTS = 100  # Of a job, which each time goes on where it was.


class Resources(NamedTuple):
    """What a job asks for.

    Attributes:
      options: options of sbatch, such as `{"partition": "gpu", "gpus": "1"}`.
      counts: numbers of nodes and of tasks on each; the tasks of a job train a row together.
      minutes: the time limit, after which a job goes back into the queue.
    """

    options: dict[str, str]
    counts: tuple[int, int]
    minutes: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses `partition=gpu,gpus=1,time=4:00:00`; values may contain commas.

        Raises:
          BadInput: for an unknown, repeated or empty option, or without a time.
        """
        options = option_values("--slurm", text, RESOURCES, "is no option")
        time = options.pop("time", "")
        if TIME.fullmatch(time) is None or minutes_of(time) < MIN_MINUTES:
            rule = f"must be a limit of sbatch, such as 4:00:00, of at least {MIN_MINUTES} minutes"
            raise BadInput(f"--slurm time: {rule}, not {time!r}")
        counts = {name: options.pop(name, "1") for name in COUNTS}
        for name, count in counts.items():
            if not count.isdecimal() or int(count) < 1:
                rule = f"must be an integer of at least 1, not {count!r}"
                raise BadInput(f"--slurm {name}: {rule}")
        nodes, tasks = map(int, counts.values())
        return cls(options, (nodes, tasks), minutes_of(time))


def minutes_of(text: str) -> int:
    """Minutes of a time `M`, `M:S`, `H:M:S`, `D-H`, `D-H:M` or `D-H:M:S`, rounded up."""
    days, _, clock = text.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if not days and len(parts) < 3:
        parts.insert(0, 0)
    hours, minutes, seconds = [*parts, 0, 0][:3]
    return math.ceil((int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60)


class Job:
    """What a job executes: a launch with some options."""

    def __init__(self, launch: Launch, options: argparse.Namespace):
        self.launch, self.options = launch, options

    def __call__(self) -> None:
        """Launches; a job that a signal stopped goes back into the queue."""
        set_up_console()
        code = self.launch(self.options)
        if code == 128 + signal.SIGUSR2 or (code == 128 + signal.SIGTERM and is_wanted()):
            # The row has its checkpoint; the handler of submitit now puts the job back and exits.
            signal.raise_signal(signal.SIGUSR2)
            return  # In another process than the first, which puts the job back.
        if code != 0:
            exit_process(code)

    def checkpoint(self) -> Any:
        """What the job executes when it starts again: the same, which resumes."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def is_wanted() -> bool:
    """Whether this job, which got SIGTERM, was neither cancelled nor put back into the queue.

    If it is preempted with a grace time, its state stays RUNNING in that time, and a job that ends
    by itself then counts as done.
    """
    return job_states().get(os.environ["SLURM_JOB_ID"]) == "RUNNING"


def require_slurm() -> None:
    """Requires SLURM and submitit, which the extra `slurm` installs.

    Raises:
      BadInput: without one of them.
    """
    for command in ("sbatch", "squeue", "srun"):
        if shutil.which(command) is None:
            raise BadInput(f"--slurm: SLURM is not there, no command {command}")
    if importlib.util.find_spec("submitit") is None:
        raise BadInput("--slurm needs the package submitit: pip install mtl_jax[slurm]")


def submit_rows(
    launch: Launch,
    options: argparse.Namespace,
    resources: Resources,
    own: Sweep,
    rows: Sequence[Row],
) -> bool:
    """Submits rows that are not queued yet, each to start after those that it needs.

    Everything is checked before the first is submitted, but for memory and number of devices, which
    are those of another machine.

    Args:
      launch: executes command-line options.
      options: those of this launch.
      resources: what each job asks for.
      own: what the parts of a sweep share.
      rows: the unfinished rows, each after those that it needs.

    Returns:
      Whether there is nothing to wait for, so that the table is to be written.

    Raises:
      BadInput: for data or settings that do not suit, and if SLURM rejects a job.
    """
    queue = Queue(own.root, resources)
    queued = [row.name for row in rows if row.name in queue.live]
    if queued and own.fresh:
        raise BadInput(f"--fresh: {few(queued)} is in the queue of SLURM; scancel ends a job")
    new = [row for row in rows if row.name not in queue.live]
    with lock_rows(own, new):
        for row in new:
            if own.mesh is not None and isinstance(row, Run):
                require_divisible(own.mesh, row)
        check_rows(new)
        archive(own, new)
    distributed = AUTO if math.prod(resources.counts) > 1 else None
    for row in new:
        own_options = {**vars(row_options(options, row.name)), "distributed": distributed}
        job = Job(launch, argparse.Namespace(**own_options))
        queue.submit(row.name, job, "afterok", [run.name for run in row_dependencies(row)])
    if new or (queued and TABLE not in queue.live):
        job = Job(launch, table_options(options))
        queue.submit(TABLE, job, "afterany", [name for name in queue.live if name != TABLE])
    for row in rows:
        print(f"{row.name}: job {queue.live[row.name]}")
    return not rows


class Queue:
    """The jobs of a result folder.

    Attributes:
      live: the ids of the jobs that are not over, by row.
    """

    def __init__(self, root: pathlib.Path, resources: Resources):
        states = job_states()
        self.root, self.resources, self.ids = root, resources, read_job_ids(root)
        self.live = {name: job_id for name, job_id in self.ids.items() if job_id in states}

    def submit(self, name: str, job: Job, when: str, needed: Iterable[str]) -> None:
        """Submits the job of a row, and stores its id.

        Args:
          name: the row, or `TABLE`.
          job: what the job executes.
          when: "afterok" to start when others have succeeded, "afterany" when they are over.
          needed: the rows of these others.

        Raises:
          BadInput: with the answer of sbatch if it rejects the job.
        """
        import submitit  # An optional package.

        others = [self.live[other] for other in needed if other in self.live]
        cpus = self.resources.options.get("cpus-per-task")
        nodes, tasks = (1, 1) if name == TABLE else self.resources.counts
        executor = submitit.SlurmExecutor(job_folder(self.root), max_num_timeout=MAX_TIMEOUTS)
        executor.update_parameters(
            job_name=re.sub(r"[^\w.+-]", "_", name, flags=re.ASCII) or "table",
            time=self.resources.minutes,
            nodes=nodes,
            ntasks_per_node=tasks,
            dependency=":".join([when, *others]) if others else None,
            setup=[f"export PYTHONPATH={shlex.quote(str(SOURCE))}${{PYTHONPATH:+:$PYTHONPATH}}"],
            # Since SLURM 22.05, srun does not take it from sbatch.
            srun_args=[f"--cpus-per-task={cpus}"] if cpus else None,
            additional_parameters={
                **self.resources.options,
                "requeue": True,
                "kill-on-invalid-dep": "yes",
            },
        )
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # Where submitit prints the answer.
                job_id = executor.submit(job).job_id
        except RuntimeError as error:
            row = repr(name) if name else "the table"
            raise BadInput(f"{row} is not submitted: {error}") from None
        self.live[name] = self.ids[name] = job_id
        write_job_ids(self.root, self.ids)


def table_options(options: argparse.Namespace) -> argparse.Namespace:
    """The command-line options of the job that writes the table of a launch."""
    return argparse.Namespace(**{**vars(row_options(options, "")), "row": None, "table": True})
