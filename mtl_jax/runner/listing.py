"""The progress of every row, in this folder and in SLURM, and what its steps cost."""

import pathlib

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.core.tree import num_params
from mtl_jax.report.result_columns import format_selected
from mtl_jax.report.scores import scores
from mtl_jax.runner import input_digests
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.input_digests import row_dependencies
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.readable import require_readable
from mtl_jax.runner.run_selection import rows_of, topological_order
from mtl_jax.runner.slurm_queue import job_states, log_file, read_job_ids
from mtl_jax.runner.trace import trace_run
from mtl_jax.storage.run_directory import Damaged, RunDirectory


def print_progress(experiment: Experiment, root: pathlib.Path) -> int:
    """Prints every row with its fingerprint and progress."""
    for row in rows_of(experiment):
        folder = RunDirectory(root, row)
        progress, place = progress_and_place(folder)
        note = f"  (selected at {place})" if place else ""
        print(f"{folder.fingerprint}  {progress:24}  {row.name}{note}")
    return 0


def print_status(experiment: Experiment, root: pathlib.Path) -> int:
    """Prints the state and the progress of every row, and its job in SLURM."""
    ids, failed = read_job_ids(root), set()
    states = job_states() if ids else {}
    for row in rows_of(experiment):
        folder, job = RunDirectory(root, row), ids.get(row.name)
        progress, _ = progress_and_place(folder)
        if job in states:
            state, note = (
                {"PENDING": "queued"}.get(states[job], states[job].lower()),
                f" (job {job})",
            )
        elif folder.failure() is not None:
            state, note = "failed", ""
        elif failed & {run.name for run in row_dependencies(row)}:
            state, note = "left out", ""
        elif progress.startswith("done"):
            state, note = "finished", ""
        else:
            state, note = "-", f" (job {job} is over: {log_file(root, job)})" if job else ""
        if state in ("failed", "left out"):
            failed.add(row.name)
        print(f"{state:10}  {progress:24}  {row.name}{note}")
    return 0


def progress_and_place(folder: RunDirectory) -> tuple[str, str]:
    """The progress of a folder's row as text, and where its parameters were selected, if known."""
    try:
        require_readable(folder)
        place = format_selected(scores(folder.run, folder)) if folder.is_finished() else "-"
    except Damaged:
        return "damaged", ""
    failed = ", failed" if folder.failure() is not None else ""
    return input_digests.progress_of(folder) + failed, "" if place == "-" else place


def print_costs(experiment: Experiment) -> int:
    """Checks the shapes of every run without data or computation, and prints its size."""
    for run in topological_order(experiment):
        parameters, flops = cost(run, experiment.mesh)
        print(f"{run.name:32} {parameters:>10,} parameters  {flops:>10.3g} FLOPs a step and seed")
    return 0


def cost(run: Run, requested: DeviceMesh | None = None) -> tuple[int, float]:
    """Number of parameters per seed, and XLA's estimate of the FLOPs per step and seed."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        check_room(run)
        compiled, state, data = trace_run(run, 1, requested=requested)
    lowered = compiled.train_steps.lower(state, data, 1)
    flops = (lowered.cost_analysis() or {}).get("flops", float("nan"))
    return num_params(state.params) // run.num_seeds, flops / run.num_seeds
