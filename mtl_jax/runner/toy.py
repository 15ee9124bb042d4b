"""Runs the toy runs of an experiment, each once, and writes a table and a figure."""

import argparse
import functools
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.toy import ToyExperiment, ToyRun
from mtl_jax.core.validation import BadInput
from mtl_jax.report import provenance
from mtl_jax.report.table import latex, markdown
from mtl_jax.report.trajectories import figure
from mtl_jax.runner.evaluation import Diverged
from mtl_jax.runner.input_digests import progress_of
from mtl_jax.runner.overrides import apply_overrides
from mtl_jax.runner.run_selection import SMOKE_STEPS, filter_by_name
from mtl_jax.runner.table_rows import refuse_lost, rows_there
from mtl_jax.storage.files import lock_output_dir, require_file_names, write_json, write_text
from mtl_jax.storage.run_directory import RunDirectory, changes, fields_text
from mtl_jax.train import optimize_trajectory

NOTE = (
    "Where each start ended, and the mean of its losses; ✓ is on the Pareto set, within the "
    "descent's tolerance. Seconds are of all starts together, compilation included."
)


def launch(whole: ToyExperiment, options: argparse.Namespace, root: pathlib.Path) -> int:
    """Executes the command-line options; returns the exit code."""
    every, runs = (select_runs(whole, options, only) for only in (None, options.only))
    if options.list:
        for folder in (RunDirectory(root, run) for run in runs):
            print(f"{folder.fingerprint}  {progress_of(folder):24}  {folder.run.name}")
        return 0
    checked = (
        {run.name: jax.eval_shape(functools.partial(all_trajectories, run)) for run in runs}
        if options.dry
        else {}
    )
    for name, (points, losses, _) in checked.items():
        print(
            f"{name:32} {points.shape[0]} starts, {losses.shape[-1]} losses of {points.shape[-1]}"
        )
    if options.dry:
        return 0
    require_file_names(run.name for run in runs)
    with lock_output_dir(root):
        for run in runs:
            if not options.fresh:
                RunDirectory(root, run).check()
        names = {run.name for run in runs}
        names |= {run.name for run in every if RunDirectory(root, run).finished()}
        refuse_lost(root, [name for name in rows_there(root) if name not in names])
        for run in runs:
            run_trajectories(run, RunDirectory(root, run), options.fresh)
        write(whole, [run for run in every if RunDirectory(root, run).finished()], root)
    return 0


def select_runs(
    whole: ToyExperiment, options: argparse.Namespace, only: str | None
) -> list[ToyRun]:
    """The toy runs requested on the command line, with its overrides applied.

    Args:
      whole: the experiment of the file.
      options: the command-line options.
      only: pattern of run names; None selects all.

    Raises:
      BadInput: if an override is invalid, no run matches, or seeds are requested.
    """
    if options.seeds is not None:
        raise BadInput("--seeds does not apply: a descent has starts")
    runs = apply_overrides(whole.runs, options.set)
    if options.smoke:
        runs = tuple(run.replace(steps=SMOKE_STEPS, num_records=SMOKE_STEPS // 2) for run in runs)
    return list(filter_by_name(runs, only))


def run_trajectories(run: ToyRun, folder: RunDirectory, fresh: bool) -> None:
    """Computes all trajectories of a toy run and writes its result, unless it is finished."""
    if fresh:
        folder.archive()
    elif folder.finished():
        return
    folder.create()
    folder.add_history(0)
    began = time.perf_counter()
    points, losses, weights = jax.tree.map(
        np.asarray, jax.jit(all_trajectories, static_argnums=0)(run)
    )
    seconds = time.perf_counter() - began
    if not np.isfinite(points).all():
        raise Diverged(f"descent {run.name!r} diverged: a point is not finite")
    result = {"name": run.name, "point": points[:, -1].tolist(), "losses": losses[:, -1].tolist()}
    result["gap"] = np.asarray(
        jax.vmap(run.problem.distance_to_pareto)(points[:, -1]), np.float64
    ).tolist()
    kept = {"points": points.tolist(), "losses": losses.tolist(), "weights": weights.tolist()}
    write_json(folder.path / "paths.json", kept)
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


def write(whole: ToyExperiment, done: list[ToyRun], root: pathlib.Path) -> None:
    """Writes `table.md`, `table.tex` and `paths.png` of the finished runs.

    All of them report the fields changed on the command line.
    """
    head, body = cells(whole, done, root)
    said = changed(whole, done)
    note = f"{NOTE} {said}" if said else NOTE
    note += provenance.provenance_note(RunDirectory(root, run) for run in done)
    write_text(root / "table.md", markdown(head, body) + f"\n{note}\n")
    write_text(root / "table.tex", latex(head, body) + (f"% {said}\n" if said else ""))
    if done and len(done[0].initial_points[0]) == 2:
        drawn = figure(done, [RunDirectory(root, run).read("paths.json") for run in done])
        drawn.suptitle(said, fontsize=7)
        drawn.savefig(root / "paths.png", dpi=120)


def changed(whole: ToyExperiment, done: list[ToyRun]) -> str:
    """A sentence listing the fields of runs that differ from the file; "" if there are none."""
    file = {run.name: fields_text(run) for run in whole.runs}
    texts = dict.fromkeys(changes(file[run.name], fields_text(run)) for run in done)
    said = "; ".join(text for text in texts if text)
    return f"Changed on the command line: {said}." if said else ""


def cells(whole: ToyExperiment, done: list[ToyRun], root: pathlib.Path) -> tuple[list, list]:
    """The header and the rows of the table."""
    most = max((len(run.initial_points) for run in done), default=0)
    head = ["run", "reached", *[f"start {i + 1}" for i in range(most)], "seconds"]
    head += ["paper"] if whole.published else []
    body = []
    for run in done:
        result = RunDirectory(root, run).result()
        seconds = RunDirectory(root, run).read("timing.json")["seconds"]
        on = [gap <= run.tolerance for gap in result["gap"]]
        ends = [
            f"{', '.join(f'{x:.1f}' for x in point)}: {np.mean(losses):.2f}{' ✓' if reached else ''}"
            for point, losses, reached in zip(result["point"], result["losses"], on, strict=True)
        ]
        said = [f"{o.text} ({o.source})" for o in whole.published if o.descent == run.name]
        body.append([run.name, f"{sum(on)} of {len(on)}", *ends, *[""] * (most - len(ends))])
        body[-1] += [f"{seconds:.0f}"] + (["; ".join(said)] if whole.published else [])
    return head, body
