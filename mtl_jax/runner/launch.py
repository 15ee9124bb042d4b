"""The command line: which part of the package carries it out, and its exit code."""

import argparse
import dataclasses
import functools
import pathlib
import sys
import traceback

from mtl_jax.config.device_mesh import DeviceMesh
from mtl_jax.config.experiment import Experiment
from mtl_jax.config.toy import ToyExperiment
from mtl_jax.core.validation import BadInput
from mtl_jax.runner import compare, export_command, input_digests, toy
from mtl_jax.runner.compilation_cache import cache_compilations
from mtl_jax.runner.distributed import Distributed, end_on_error, print_error, require_same_options
from mtl_jax.runner.error_messages import explain_errors
from mtl_jax.runner.failures import Failures
from mtl_jax.runner.jobs import share_accelerators, train_in_processes
from mtl_jax.runner.listing import print_costs, print_progress, print_status
from mtl_jax.runner.rows import Train, train_nothing, train_rows
from mtl_jax.runner.run_selection import docstring, load_experiment, override
from mtl_jax.runner.signals import Stopped
from mtl_jax.runner.slurm import Resources, require_slurm, submit_rows
from mtl_jax.runner.sweep import SweepOptions, sweep, sweep_row
from mtl_jax.runner.tracking import Tracking, requested_trackers
from mtl_jax.runner.train_programs import archive_all
from mtl_jax.runner.trial_search import first_trials, request, select, with_next_trials
from mtl_jax.storage.processes import in_all, is_first
from mtl_jax.storage.run_directory import RunDirectory


def launch(options: argparse.Namespace) -> int:
    """Executes the command-line options; returns the exit code.

    Bad input and errors in user code print one line to stderr and return 2 (`--debug` also prints
    the traceback); if a run fails in training, the others go on and 1 is returned; a signal returns
    128 and its number. An error outside of a run is a bug and keeps its traceback.
    """
    if options.jobs is not None:
        share_accelerators()
    cache_compilations()
    input_digests.forget()
    try:
        if options.distributed is not None:
            Distributed.parse(options.distributed).start()
            require_same_options(options)
        with end_on_error(BadInput):
            return execute(options)
    except Stopped as stop:
        print(f"{stop.name}: {stop}", file=sys.stderr)
        return stop.exit_code
    except BadInput as error:
        if options.debug:
            traceback.print_exception(error)
        print_error(f"error: {' '.join(str(error).split())}")
        return 2


def execute(options: argparse.Namespace) -> int:
    """Executes the command-line options; returns the exit code.

    Raises:
      BadInput: for bad input.
      Stopped: if a signal stops it.
    """
    if options.compare is not None:
        with explain_errors(""):
            return compare.launch(*options.compare, options.out)
    with explain_errors(""):
        experiment = in_all(functools.partial(load_experiment, options.experiment))
    if options.export is not None:
        return export_command.launch(experiment, options)
    name = options.experiment.stem + ("-smoke" if options.smoke else "")
    root = options.out or pathlib.Path("results") / name
    if isinstance(experiment, ToyExperiment):
        for option in ("distributed", "jobs", "mesh", "slurm", "status", "row", "table"):
            if vars(options)[option]:
                raise BadInput(f"--{option} is for runs that train a model, not for toy runs")
        with explain_errors(""):
            return toy.launch(experiment, options, root)
    experiment = override(experiment, options.set, options.only)
    trackers = requested_trackers(experiment, options.track)
    if options.mesh is not None:
        mesh = (experiment.mesh or DeviceMesh()).with_axes(options.mesh)
        experiment = dataclasses.replace(experiment, mesh=mesh)
    if options.list:
        return print_progress(request(experiment, options, root).experiment, root)
    if options.status:
        return print_status(request(experiment, options, root).experiment, root)
    if options.dry:
        return print_costs(request(experiment, options, root).experiment)
    with Tracking(trackers if is_first() else (), name) as tracking:
        if options.row is not None:
            requested = request(experiment, options, root).experiment
            return sweep_row(requested, options.row, root, options.debug, tracking)
        return sweep_with_search(experiment, options, root, tracking)


def sweep_with_search(
    experiment: Experiment, options: argparse.Namespace, root: pathlib.Path, tracking: Tracking
) -> int:
    """Trains the requested rows, and then the trials that their results lead to.

    Returns:
      The exit code: 1 if a row failed.

    Raises:
      Stopped: if a signal stops it.
    """
    question = docstring(options.experiment)
    how = SweepOptions(
        options.fresh,
        options.retry or options.table,  # Failures of before are of this launch then.
        options.debug,
        options.profile or 0,
        make_train(options),
        Failures(options.debug),
    )
    experiment = first_trials(experiment, options, root)
    every_run, requested = select(experiment, options)
    while True:
        code = sweep(requested, every_run, root, how, tracking, question)
        known = {run.name for run in requested.runs}
        rows = [row.name for row in requested.tuned]
        count = len(experiment.trials)
        experiment = with_next_trials(experiment, options, root, rows)
        if len(experiment.trials) > count:
            every_run, requested = select(experiment, options)
        new = [run for run in requested.runs if run.name not in known]
        if not new:
            if options.slurm is not None and any(row.search for row in requested.tuned):
                print("results of these jobs may lead to further trials: launch again after them")
            return code
        if options.fresh:  # Those of before have other results, or had.
            archive_all([RunDirectory(root, run) for run in new])
        how = how._replace(fresh=False, retry=False)


def make_train(options: argparse.Namespace) -> Train:
    """How the options say that rows are trained."""
    if options.table:
        return train_nothing
    if options.slurm is not None:
        require_slurm()
        return functools.partial(submit_rows, launch, options, Resources.parse(options.slurm))
    if options.jobs is not None:
        return functools.partial(train_in_processes, launch, options)
    return train_rows
