"""Trains the runs of an experiment, each once, and leaves the table and the figures."""

import argparse
import os
import pathlib
import sys
import traceback
import unicodedata
from collections.abc import Iterable
from typing import Any

import jax

from mtl_jax.config.run import Experiment, Run
from mtl_jax.config.sklearn_baseline import Classic
from mtl_jax.config.toy import Descents
from mtl_jax.core.tree import size
from mtl_jax.core.validation import BadInput, require
from mtl_jax.report import figures, table
from mtl_jax.report.scores import scores
from mtl_jax.runner import input_digests, sklearn_baseline, sklearn_data, table_rows, toy
from mtl_jax.runner.blas_threads import one_thread
from mtl_jax.runner.compilation_cache import cache_compilations
from mtl_jax.runner.compile_ahead import Ahead
from mtl_jax.runner.compiled_run import Program
from mtl_jax.runner.error_messages import explained, has_own
from mtl_jax.runner.memory_check import check_room
from mtl_jax.runner.predict import check_read
from mtl_jax.runner.progress import Board
from mtl_jax.runner.run_selection import asked, in_order, read
from mtl_jax.runner.train_loop import Diverged, check, first_block, train_run
from mtl_jax.storage.files import open_root, require_file_names
from mtl_jax.storage.run_data import prepare
from mtl_jax.storage.run_directory import Folder

ENDING = 12  # Bytes that a launch may add to a name (".old.123"),
BELOW = 200  # and those of a checkpoint's file below a run's folder.


def launch(options: argparse.Namespace) -> int:
    """Does what the command line asks; returns the exit code.

    Bad input, and what a user's own code raises, is one line on stderr and 2 (`--debug` shows
    its traceback too), a run that diverged one line and 1; any other error is a fault of the
    code and keeps its traceback.
    """
    cache_compilations()
    input_digests.forget()
    try:
        with explained(""):
            experiment = read(options.experiment)
        root = options.out or pathlib.Path("results") / (
            options.experiment.stem + ("-smoke" if options.smoke else "")
        )
        if isinstance(experiment, Descents):
            with explained(""):
                return toy.launch(experiment, options, root)
        whole = asked(experiment, options.set, options.seeds, None, options.smoke)
        experiment = asked(experiment, options.set, options.seeds, options.only, options.smoke)
        if options.list:
            return listing(experiment, root)
        if options.dry:
            return dry(experiment)
        return sweep(experiment, whole, root, options.fresh)
    except BadInput as wrong:
        if options.debug:
            traceback.print_exception(wrong)
        print(f"error: {' '.join(str(wrong).split())}", file=sys.stderr)
        return 2
    except Diverged as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 1


def check_folders(root: pathlib.Path, names: list[str]) -> None:
    """Refuses names that this file system cannot hold, or takes for one.

    Raises:
      BadInput: for a name or a path that is too long, or names that differ in the case of
        letters alone where it does not count.
    """
    longest, deepest = os.pathconf(root, "PC_NAME_MAX"), os.pathconf(root, "PC_PATH_MAX")
    alike = {}
    for name in names:
        alike.setdefault(unicodedata.normalize("NFC", name).casefold(), []).append(name)
        size, whole = len(os.fsencode(name)), len(os.fsencode((root / name).absolute()))
        rule = "must fit into a folder's name and path on this file system"
        fits = size + ENDING <= longest and whole + BELOW <= deepest
        require(fits, "Experiment", "runs", rule, str(root / name))
    if (root / ".LOCK").exists():
        for same in alike.values():
            rule = "must differ in more than the case of letters on this file system"
            require(len(same) == 1, "Experiment", "runs", rule, same)


def sweep(experiment: Experiment, whole: Experiment, root: pathlib.Path, fresh: bool) -> int:
    """Trains what is not finished; everything is checked before anything is trained.

    Args:
      experiment: the runs that were asked for.
      whole: all runs; table and figures show those of them that are finished.
      root: the folder of all results.
      fresh: whether old results of the runs asked for are set aside first.
    """
    runs = in_order(experiment)
    folders = {run.name: Folder(root, run) for run in runs}
    require_file_names(row.name for row in (*runs, *experiment.classics))
    with open_root(root):
        check_folders(root, [row.name for row in (*runs, *experiment.classics)])
        with explained(""):
            table_rows.check(experiment, whole, root, fresh)
        left = [run for run in runs if fresh or not folders[run.name].finished()]
        splits = {run.name: check_data(run) for run in left}
        for row in experiment.classics:
            check_read(row)
            if fresh or not Folder(root, row).finished():
                sklearn_data.check(row)
        alone = [row for row in experiment.classics if row.features is None]
        # What scikit-learn refuses when it fits is told before runs train; with one thread of
        # BLAS, as runs train, it would round otherwise.
        fit_classics(alone, root, fresh)
        if left:
            with one_thread(), Ahead() as ahead:
                programs = {run.name: checked(run, ahead, splits[run.name]) for run in left}
                for folder in folders.values() if fresh else ():
                    folder.set_aside()
                train(left, programs, folders, ahead)
        fit_classics([row for row in experiment.classics if row not in alone], root, fresh)
        done = table_rows.finished(whole, root)
        folders = {row.name: Folder(root, row) for row in (*done.runs, *done.classics)}
        table.write(done, folders, root)
        figures.write(done, folders, root)
    return 0


def fit_classics(rows: Iterable[Classic], root: pathlib.Path, fresh: bool) -> None:
    """Fits what is not finished of rows of other estimators."""
    for row in rows:
        folder = Folder(root, row)
        if fresh:
            folder.set_aside()
        elif folder.finished():
            continue
        folder.claim(input_digests.facts(folder, now=True))
        input_digests.check(folder, now=True)
        folder.add_history(0)
        source = None if row.features is None else Folder(root, row.features)
        with explained(f"row {row.name!r}", always=True):
            sklearn_baseline.fit(row, folder, source)


def check_data(run: Run) -> Any:
    """Whether a run can fit into memory, and its data; gives the shapes of what is judged."""
    with explained(f"run {run.name!r}", always=has_own(run.data)):
        check_room(run)
        prepared = prepare(run)
        for note in prepared.notes:
            print(f"warning: {note}", file=sys.stderr)
        shape = jax.ShapeDtypeStruct
        return jax.tree.map(lambda array: shape(array.shape, array.dtype), prepared.splits)


def checked(run: Run, ahead: Ahead, splits: Any) -> Program:
    """The program of a run that fits together; its first block will be compiled ahead."""
    steps = first_block(run)
    with explained(f"run {run.name!r}", always=has_own(run)):
        made, state, given = check(run, steps, splits)
    ahead.add(run.name, lambda: made.advance.lower(state, given, steps).compile())
    return made


def train(
    runs: list[Run], programs: dict[str, Program], folders: dict[str, Folder], ahead: Ahead
) -> None:
    """Trains runs one after the other."""
    with Board(len(runs)) as board:
        for run in runs:
            folders[run.name].claim(input_digests.facts(folders[run.name], now=True))
            input_digests.check(folders[run.name], now=True)
            board.begin(run)
            used = memory(ahead.need(run.name))
            made, folder = programs.pop(run.name), folders[run.name]
            with explained(f"run {run.name!r}"):
                train_run(run, made, folder, folders, used, board.tick, board.warn)
            board.end()


def memory(compiled: Any) -> int | None:
    """Bytes that a compiled block of steps needs beside its code; None where XLA does not say."""
    found = compiled.memory_analysis()
    if found is None:
        return None
    held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    return held + found.temp_size_in_bytes


def listing(experiment: Experiment, root: pathlib.Path) -> int:
    """Prints every row, its fingerprint, and how far it is."""
    for row in (*in_order(experiment), *experiment.classics):
        folder = Folder(root, row)
        place = table.place_of(scores(row, folder)) if folder.finished() else "-"
        told = "" if place == "-" else f"  (selected at {place})"
        print(f"{folder.fingerprint}  {input_digests.progress_of(folder):24}  {row.name}{told}")
    return 0


def dry(experiment: Experiment) -> int:
    """Shape-checks every run's start and step; prints its size. No data, no computation."""
    for run in in_order(experiment):
        parameters, flops = cost(run)
        print(f"{run.name:32} {parameters:>10,} parameters  {flops:>10.3g} FLOPs a step and seed")
    return 0


def cost(run: Run) -> tuple[int, float]:
    """Parameters of one seed, and XLA's estimate of the FLOPs of one of its steps."""
    with explained(f"run {run.name!r}", always=has_own(run)):
        check_room(run)
        made, state, given = check(run, 1)
    lowered = made.advance.lower(state, given, 1)
    flops = (lowered.cost_analysis() or {}).get("flops", float("nan"))
    return size(state.params) // run.seeds, flops / run.seeds
