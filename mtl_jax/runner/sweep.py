"""Trains the runs of an experiment, each once, and writes the table and the figures."""

import argparse
import os
import pathlib
import sys
import traceback
import unicodedata
from collections.abc import Iterable
from typing import Any

import jax

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.sklearn_baseline import SklearnBaseline
from mtl_jax.config.toy import ToyExperiment
from mtl_jax.core.tree import num_params
from mtl_jax.core.validation import BadInput, require
from mtl_jax.report import figures, table
from mtl_jax.report.scores import scores
from mtl_jax.runner import (
    export_command,
    input_digests,
    sklearn_baseline,
    sklearn_data,
    table_rows,
    toy,
)
from mtl_jax.runner.blas_threads import limit_blas_threads
from mtl_jax.runner.compilation_cache import cache_compilations
from mtl_jax.runner.compile_ahead import CompileAhead
from mtl_jax.runner.compiled_run import CompiledRun
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.evaluation import Diverged
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.predict import check_features_from
from mtl_jax.runner.progress import ProgressDisplay
from mtl_jax.runner.run_selection import load_experiment, select_runs, topological_order
from mtl_jax.runner.trace import trace_run
from mtl_jax.runner.train_loop import first_block, train_run
from mtl_jax.storage.files import lock_output_dir, require_file_names
from mtl_jax.storage.run_data import load_run_data
from mtl_jax.storage.run_directory import RunDirectory

MAX_SUFFIX = 12  # Bytes that a launch may add to a name (".old.123").
MAX_SUBPATH = 200  # Bytes of the path of a checkpoint's file below a run's folder.


def launch(options: argparse.Namespace) -> int:
    """Executes the command-line options; returns the exit code.

    Bad input and errors in user code print one line to stderr and return 2 (`--debug` also prints
    the traceback); a diverged run prints one line and returns 1. Any other error is a bug and
    keeps its traceback.
    """
    cache_compilations()
    input_digests.forget()
    try:
        with explain_errors(""):
            experiment = load_experiment(options.experiment)
        if options.export is not None:
            return export_command.launch(experiment, options)
        root = options.out or pathlib.Path("results") / (
            options.experiment.stem + ("-smoke" if options.smoke else "")
        )
        if isinstance(experiment, ToyExperiment):
            with explain_errors(""):
                return toy.launch(experiment, options, root)
        every_run = select_runs(experiment, options.set, options.seeds, None, options.smoke)
        experiment = select_runs(
            experiment, options.set, options.seeds, options.only, options.smoke
        )
        if options.list:
            return print_progress(experiment, root)
        if options.dry:
            return print_costs(experiment)
        return sweep(experiment, every_run, root, options.fresh)
    except BadInput as error:
        if options.debug:
            traceback.print_exception(error)
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except Diverged as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def check_folders(root: pathlib.Path, names: list[str]) -> None:
    """Rejects run names that the file system cannot store or distinguish.

    Raises:
      BadInput: for a name or a path that is too long, or names that differ only in case on a
        case-insensitive file system.
    """
    max_name, max_path = os.pathconf(root, "PC_NAME_MAX"), os.pathconf(root, "PC_PATH_MAX")
    by_folded_name = {}
    for name in names:
        by_folded_name.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
        name_size, path_size = len(os.fsencode(name)), len(os.fsencode((root / name).absolute()))
        rule = "must fit into a folder's name and path on this file system"
        fits = name_size + MAX_SUFFIX <= max_name and path_size + MAX_SUBPATH <= max_path
        require(fits, "Experiment", "runs", rule, str(root / name))
    if (root / ".LOCK").exists():
        for same in by_folded_name.values():
            rule = "must differ in more than the case of letters on this file system"
            require(len(same) == 1, "Experiment", "runs", rule, same)


def sweep(experiment: Experiment, every_run: Experiment, root: pathlib.Path, fresh: bool) -> int:
    """Trains the unfinished runs; everything is checked before anything is trained.

    Args:
      experiment: the requested runs.
      every_run: all runs; the table and figures show the finished ones.
      root: the folder of all results.
      fresh: whether to set old results of the requested runs aside first.
    """
    runs = topological_order(experiment)
    folders = {run.name: RunDirectory(root, run) for run in runs}
    require_file_names(row.name for row in (*runs, *experiment.sklearn_baselines))
    with lock_output_dir(root):
        check_folders(root, [row.name for row in (*runs, *experiment.sklearn_baselines)])
        with explain_errors(""):
            table_rows.check(experiment, every_run, root, fresh)
        unfinished = [run for run in runs if fresh or not folders[run.name].is_finished()]
        splits = {run.name: check_data(run) for run in unfinished}
        for row in experiment.sklearn_baselines:
            check_features_from(row)
            if fresh or not RunDirectory(root, row).is_finished():
                sklearn_data.check(row)
        on_inputs = [row for row in experiment.sklearn_baselines if row.features_from is None]
        on_features = [row for row in experiment.sklearn_baselines if row not in on_inputs]
        # Fitted before runs train, so that errors of scikit-learn come early, and outside the limit
        # of one BLAS thread, which would change its rounding.
        fit_baselines(on_inputs, root, fresh)
        if unfinished:
            with limit_blas_threads(), CompileAhead() as ahead:
                programs = {
                    run.name: prepare_program(run, ahead, splits[run.name]) for run in unfinished
                }
                for folder in folders.values() if fresh else ():
                    folder.archive()
                train(unfinished, programs, folders, ahead)
        fit_baselines(on_features, root, fresh)
        done = table_rows.finished_rows(every_run, root)
        folders = {
            row.name: RunDirectory(root, row) for row in (*done.runs, *done.sklearn_baselines)
        }
        table.write(done, folders, root)
        figures.write(done, folders, root)
    return 0


def fit_baselines(rows: Iterable[SklearnBaseline], root: pathlib.Path, fresh: bool) -> None:
    """Fits the unfinished scikit-learn baselines."""
    for row in rows:
        folder = RunDirectory(root, row)
        if fresh:
            folder.archive()
        elif folder.is_finished():
            continue
        folder.create(input_digests.input_facts(folder, reload=True))
        input_digests.check(folder, reload=True)
        folder.add_history(0)
        source = None if row.features_from is None else RunDirectory(root, row.features_from)
        with explain_errors(f"row {row.name!r}", always=True):
            sklearn_baseline.fit(row, folder, source)


def check_data(run: Run) -> Any:
    """Checks the memory and data of a run; returns the shapes of its evaluation splits."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run.data)):
        check_room(run)
        loaded = load_run_data(run)
        for note in loaded.notes:
            print(f"warning: {note}", file=sys.stderr)
        shape = jax.ShapeDtypeStruct
        return jax.tree.map(lambda array: shape(array.shape, array.dtype), loaded.splits)


def prepare_program(run: Run, ahead: CompileAhead, splits: Any) -> CompiledRun:
    """Traces and checks a run; returns its program, whose first block is compiled ahead."""
    steps = first_block(run)
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        compiled, state, data = trace_run(run, steps, splits)
    ahead.add(run.name, lambda: compiled.train_steps.lower(state, data, steps).compile())
    return compiled


def train(
    runs: list[Run],
    programs: dict[str, CompiledRun],
    folders: dict[str, RunDirectory],
    ahead: CompileAhead,
) -> None:
    """Trains runs sequentially."""
    with ProgressDisplay(len(runs)) as display:
        for run in runs:
            folder = folders[run.name]
            folder.create(input_digests.input_facts(folder, reload=True))
            input_digests.check(folder, reload=True)
            display.begin(run)
            num_bytes = program_bytes(ahead.result(run.name))
            compiled = programs.pop(run.name)
            with explain_errors(f"run {run.name!r}"):
                train_run(run, compiled, folders, num_bytes, display)
            display.end()


def program_bytes(compiled: Any) -> int | None:
    """Bytes that a compiled block of steps needs besides code; None if XLA reports none."""
    stats = compiled.memory_analysis()
    if stats is None:
        return None
    arrays = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    return arrays + stats.temp_size_in_bytes


def print_progress(experiment: Experiment, root: pathlib.Path) -> int:
    """Prints every row with its fingerprint and progress."""
    for row in (*topological_order(experiment), *experiment.sklearn_baselines):
        folder = RunDirectory(root, row)
        place = table.format_selected(scores(row, folder)) if folder.is_finished() else "-"
        note = "" if place == "-" else f"  (selected at {place})"
        print(f"{folder.fingerprint}  {input_digests.progress_of(folder):24}  {row.name}{note}")
    return 0


def print_costs(experiment: Experiment) -> int:
    """Checks the shapes of every run without data or computation, and prints its size."""
    for run in topological_order(experiment):
        parameters, flops = cost(run)
        print(f"{run.name:32} {parameters:>10,} parameters  {flops:>10.3g} FLOPs a step and seed")
    return 0


def cost(run: Run) -> tuple[int, float]:
    """Number of parameters per seed, and XLA's estimate of the FLOPs per step and seed."""
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        check_room(run)
        compiled, state, data = trace_run(run, 1)
    lowered = compiled.train_steps.lower(state, data, 1)
    flops = (lowered.cost_analysis() or {}).get("flops", float("nan"))
    return num_params(state.params) // run.num_seeds, flops / run.num_seeds
