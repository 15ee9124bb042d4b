"""Exports a run from the command line."""

import argparse
import pathlib
from typing import Literal

from mtl_jax.config.experiment import Experiment
from mtl_jax.config.run import Run
from mtl_jax.config.toy import ToyExperiment
from mtl_jax.core.validation import BadInput, did_you_mean
from mtl_jax.export import Choice, export_run
from mtl_jax.runner import input_digests
from mtl_jax.runner.error_messages import explain_errors, has_user_code
from mtl_jax.runner.run_selection import override, topological_order
from mtl_jax.runner.trial_search import request
from mtl_jax.storage.run_directory import RunDirectory


def launch(experiment: Experiment | ToyExperiment, options: argparse.Namespace) -> int:
    """Executes `--export RUN`; returns the exit code.

    `--out` is the folder that a launch writes, here that of the model; `--results` has the finished
    run.

    Raises:
      BadInput: for a run that does not exist or is not finished, or as in `export_run`.
    """
    if isinstance(experiment, ToyExperiment):
        raise BadInput("--export is for runs that train a model, not for toy runs")
    name = options.experiment.stem + ("-smoke" if options.smoke else "")
    root = options.results or pathlib.Path("results") / name
    experiment = override(experiment, options.set, options.only)
    run = run_named(request(experiment, options, root).every_run, options.export)
    folder = RunDirectory(root, run)
    folder.check()
    if not folder.is_finished():
        raise BadInput(f"--export {run.name}: the run is not finished in {root} (--results)")
    input_digests.check(folder, reload=True)  # The preprocessing is that of these data.
    out = options.out or folder.path / "export"
    choice = Choice(options.parameters or "selected", parse_seed(options.seed))
    with explain_errors(f"run {run.name!r}", always=has_user_code(run)):
        difference = export_run(run, folder, choice, out, options.onnx)
    print(
        f"{run.name} is in {out}; its outputs differ by {difference:.1e} from the training code's"
    )
    return 0


def run_named(experiment: Experiment, name: str) -> Run:
    """The run of a name, possibly one that others start from.

    Raises:
      BadInput: if there is none.
    """
    runs = {run.name: run for run in topological_order(experiment)}
    if name not in runs:
        raise BadInput(f"--export {name} is no run of the experiment ({did_you_mean(name, runs)})")
    return runs[name]


def parse_seed(text: str | None) -> int | Literal["soup"] | None:
    """The value of `--seed`.

    Raises:
      BadInput: if it is neither a number nor "soup".
    """
    if text is None or text == "soup":
        return None if text is None else "soup"
    if not text.isdecimal():
        raise BadInput(f'--seed must be a seed of the run, or "soup", not {text!r}')
    return int(text)
