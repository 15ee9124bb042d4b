"""Runs the toy runs of an experiment, each once, and writes a table and a figure."""

import argparse
import functools
import pathlib
import sys
import time
from collections.abc import Collection, Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.toy import ToyExperiment, ToyRun
from mtl_jax.core.validation import BadInput
from mtl_jax.html_report.environment import describe_environment
from mtl_jax.html_report.page import Page, write_page
from mtl_jax.html_report.results import text_table
from mtl_jax.html_report.settings import settings
from mtl_jax.report import provenance
from mtl_jax.report.plotting import save
from mtl_jax.report.table import latex, markdown
from mtl_jax.report.trajectories import figure
from mtl_jax.runner.divergence import Diverged
from mtl_jax.runner.failures import Failures, exit_code
from mtl_jax.runner.input_digests import progress_of
from mtl_jax.runner.overrides import apply_overrides
from mtl_jax.runner.run_selection import SMOKE_STEPS, docstring, filter_by_name
from mtl_jax.runner.signals import StopSignals
from mtl_jax.runner.table_rows import refuse_lost, rows_there
from mtl_jax.storage.files import lock_output_dir, require_file_names, write_json, write_text
from mtl_jax.storage.run_directory import RunDirectory
from mtl_jax.storage.run_metadata import changes, fields_text
from mtl_jax.train import optimize_trajectory

NOTE = (
    "Where each start ended, and the mean of its losses; ✓ is on the Pareto set, within the "
    "run's tolerance. Seconds are of all starts together, compilation included."
)


def launch(experiment: ToyExperiment, options: argparse.Namespace, root: pathlib.Path) -> int:
    """Executes the command-line options; returns the exit code."""
    every_run, runs = (select_runs(experiment, options, only) for only in (None, options.only))
    if options.list:
        for folder in (RunDirectory(root, run) for run in runs):
            print(f"{folder.fingerprint}  {progress_of(folder):24}  {folder.run.name}")
        return 0
    if options.dry:
        shapes = {
            run.name: jax.eval_shape(functools.partial(all_trajectories, run)) for run in runs
        }
        for name, (points, losses, _) in shapes.items():
            size, dimension = points.shape[0], points.shape[-1]
            print(f"{name:32} {size} starts, {losses.shape[-1]} losses of {dimension}")
        return 0
    require_file_names(run.name for run in runs)
    question, failures = docstring(options.experiment), Failures(options.debug)
    with lock_output_dir(root), StopSignals():
        every_folder = [RunDirectory(root, run) for run in every_run]
        for folder in every_folder:
            with failures.catch_damage(folder.run.name):
                if folder.run in runs and not options.fresh:
                    folder.check()
                require_readable(folder)
        folders = [RunDirectory(root, run) for run in runs if run.name not in failures]
        if not (options.fresh or options.retry):
            failures.add_earlier(folders)
        failed = failures.reasons(every_folder)
        names = {*failed, *(run.name for run in runs), *finished_names(every_run, root, failures)}
        refuse_lost(root, [name for name in rows_there(root) if name not in names])
        for folder in folders:
            if folder.run.name not in failures:
                with failures.catch(folder):
                    run_trajectories(folder.run, folder, options.fresh)
        done = finished_names(every_run, root, failures)
        failed = failures.reasons(every_folder)
        kept = [run for run in every_run if run.name in done]
        write(experiment, kept, root, failed, question)
    return exit_code(failures)


def require_readable(folder: RunDirectory) -> None:
    """Requires files that the table and the figure can read, if a run is finished.

    Raises:
      Damaged: naming the file.
    """
    if not folder.is_finished():
        return
    shapes = {
        "result.json": {"point": 2, "losses": 2, "gap": 1},
        "paths.json": {"points": 3, "losses": 3, "weights": 3},
    }
    for name, ndims in shapes.items():
        found = folder.read(name) or {}
        try:
            if any(np.ndim(np.asarray(found[key], float)) != n for key, n in ndims.items()):
                raise folder.damaged(folder.path / name)
        except (KeyError, TypeError, ValueError):
            raise folder.damaged(folder.path / name) from None


def finished_names(
    runs: Iterable[ToyRun], root: pathlib.Path, failures: Collection[str]
) -> set[str]:
    """Names of the runs that are finished."""
    others = [run for run in runs if run.name not in failures]
    return {run.name for run in others if RunDirectory(root, run).is_finished()}


def select_runs(
    experiment: ToyExperiment, options: argparse.Namespace, only: str | None
) -> list[ToyRun]:
    """The toy runs requested on the command line, with its overrides applied.

    Args:
      experiment: the experiment of the file.
      options: the command-line options.
      only: pattern of run names; None selects all.

    Raises:
      BadInput: if an override is invalid, no run matches, or another option does not apply.
    """
    if options.seeds is not None:
        raise BadInput("--seeds does not apply: a toy run has starts")
    if options.track:
        raise BadInput("--track does not apply: a toy run measures nothing by step")
    if options.profile is not None:
        raise BadInput("--profile does not apply: a toy run has no blocks of steps")
    runs = apply_overrides(experiment.runs, options.set)
    if options.smoke:
        runs = tuple(run.replace(steps=SMOKE_STEPS, num_records=SMOKE_STEPS // 2) for run in runs)
    return list(filter_by_name(runs, only))


def run_trajectories(run: ToyRun, folder: RunDirectory, fresh: bool) -> None:
    """Computes all trajectories of a toy run and writes its result, unless it is finished."""
    if fresh:
        folder.archive()
    elif folder.is_finished():
        return
    folder.create()
    folder.add_history(0)
    start_time = time.perf_counter()
    points, losses, weights = jax.tree.map(
        np.asarray, jax.jit(all_trajectories, static_argnums=0)(run)
    )
    seconds = time.perf_counter() - start_time
    if not np.isfinite(points).all():
        raise Diverged(f"run {run.name!r} diverged: a point is not finite")
    result = {"name": run.name, "point": points[:, -1].tolist(), "losses": losses[:, -1].tolist()}
    result["gap"] = np.asarray(
        jax.vmap(run.problem.distance_to_pareto)(points[:, -1]), np.float64
    ).tolist()
    paths = {"points": points.tolist(), "losses": losses.tolist(), "weights": weights.tolist()}
    write_json(folder.path / "paths.json", paths)
    folder.write_result(result, {"seconds": round(seconds, 3)})
    print(
        f"{run.name}: {run.steps} steps from {len(run.initial_points)} starts, {seconds:.1f} s",
        file=sys.stderr,
    )


def all_trajectories(run: ToyRun) -> tuple:
    """Points `[S, T, D]`, losses and weights `[S, T, K]` of all initial points."""
    starts = jnp.array(run.initial_points, jnp.float32)
    keys = jax.random.split(jax.random.key(run.seed), len(run.initial_points))
    return jax.vmap(lambda start, key: optimize_trajectory(run, start, key))(starts, keys)


def write(
    experiment: ToyExperiment,
    runs: list[ToyRun],
    root: pathlib.Path,
    failures: Mapping[str, str],
    question: str,
) -> None:
    """Writes table, figure and page of the runs that finished or failed.

    All of them report the fields changed on the command line. The question is the docstring of the
    experiment's file.
    """
    head, body = cells(experiment, runs, root)
    body += [[name, "failed", *[""] * (len(head) - 2)] for name in failures]
    text = changed_fields(experiment, runs)
    note = f"{NOTE} {text}" if text else NOTE
    folders = [RunDirectory(root, run) for run in runs]
    note += provenance.provenance_note(folders)
    note += "".join(f"\n- {name} failed: {reason}" for name, reason in failures.items())
    write_text(root / "table.md", markdown(head, body) + f"\n{note}\n")
    write_text(root / "table.tex", latex(head, body) + (f"% {text}\n" if text else ""))
    if runs and len(runs[0].initial_points[0]) == 2:
        paths = [folder.read("paths.json") for folder in folders]
        save(figure(runs, paths, text), root / "paths")
    if runs:
        table = text_table(head, body)
        environment = describe_environment(folders)
        write_page(Page(question, table, note, failures, settings(runs), environment), root)


def changed_fields(experiment: ToyExperiment, runs: list[ToyRun]) -> str:
    """A sentence listing the fields of runs that differ from the file; "" if there are none."""
    in_file = {run.name: fields_text(run) for run in experiment.runs}
    texts = dict.fromkeys(changes(in_file[run.name], fields_text(run)) for run in runs)
    text = "; ".join(text for text in texts if text)
    return f"Changed on the command line: {text}." if text else ""


def cells(
    experiment: ToyExperiment, runs: list[ToyRun], root: pathlib.Path
) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table."""
    max_starts = max((len(run.initial_points) for run in runs), default=0)
    head = ["run", "reached", *[f"start {i + 1}" for i in range(max_starts)], "seconds"]
    head += ["paper"] if experiment.published else []
    body = []
    for run in runs:
        result = RunDirectory(root, run).result()
        seconds = RunDirectory(root, run).read("timing.json")["seconds"]
        reached = [gap <= run.tolerance for gap in result["gap"]]
        ends = [
            f"{', '.join(f'{x:.1f}' for x in point)}: {np.mean(losses):.2f}{' ✓' if on_set else ''}"
            for point, losses, on_set in zip(
                result["point"], result["losses"], reached, strict=True
            )
        ]
        empty = [""] * (max_starts - len(ends))
        row = [run.name, f"{sum(reached)} of {len(reached)}", *ends, *empty, f"{seconds:.0f}"]
        published = [o for o in experiment.published if o.run == run.name]
        outcomes = "; ".join(f"{outcome.text} ({outcome.source})" for outcome in published)
        body.append([*row, outcomes] if experiment.published else row)
    return head, body
