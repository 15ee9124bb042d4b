"""Runs the descents of an experiment, each once, and leaves a table and a figure."""

import argparse
import functools
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from mtl_jax.config.toy import Descent, Descents
from mtl_jax.core.validation import BadInput
from mtl_jax.report import provenance
from mtl_jax.report.table import latex, markdown
from mtl_jax.report.trajectories import figure
from mtl_jax.runner.input_digests import progress_of
from mtl_jax.runner.overrides import edited
from mtl_jax.runner.run_selection import SMOKE_STEPS, named_like
from mtl_jax.runner.table_rows import refuse_lost, rows_there
from mtl_jax.runner.train_loop import Diverged
from mtl_jax.storage.files import open_root, require_file_names, write_json, write_text
from mtl_jax.storage.run_directory import Folder, changes, fields_text
from mtl_jax.train import path

NOTE = (
    "Where each start ended, and the mean of its losses; ✓ is on the Pareto set, within the "
    "descent's tolerance. Seconds are of all starts together, compilation included."
)


def launch(whole: Descents, options: argparse.Namespace, root: pathlib.Path) -> int:
    """Does what the command line asks; returns the exit code."""
    every, runs = (asked(whole, options, only) for only in (None, options.only))
    if options.list:
        for folder in (Folder(root, run) for run in runs):
            print(f"{folder.fingerprint}  {progress_of(folder):24}  {folder.run.name}")
        return 0
    checked = (
        {run.name: jax.eval_shape(functools.partial(paths, run)) for run in runs}
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
    with open_root(root):
        for run in runs:
            if not options.fresh:
                Folder(root, run).check()
        names = {run.name for run in runs}
        names |= {run.name for run in every if Folder(root, run).finished()}
        refuse_lost(root, [name for name in rows_there(root) if name not in names])
        for run in runs:
            descend(run, Folder(root, run), options.fresh)
        write(whole, [run for run in every if Folder(root, run).finished()], root)
    return 0


def asked(whole: Descents, options: argparse.Namespace, only: str | None) -> list[Descent]:
    """The descents that the command line asks for, as it changes them.

    Args:
      whole: as the file has them.
      options: of the command line.
      only: pattern of names; None is all.

    Raises:
      BadInput: if a change does not fit, none matches, or seeds are asked for.
    """
    if options.seeds is not None:
        raise BadInput("--seeds does not apply: a descent has starts")
    runs = edited(whole.runs, options.set)
    if options.smoke:
        runs = tuple(run.but(steps=SMOKE_STEPS, records=SMOKE_STEPS // 2) for run in runs)
    return list(named_like(runs, only))


def descend(run: Descent, folder: Folder, fresh: bool) -> None:
    """Goes all paths of a descent and writes what came out, unless that is there."""
    if fresh:
        folder.set_aside()
    elif folder.finished():
        return
    folder.claim()
    folder.add_history(0)
    began = time.perf_counter()
    points, losses, weights = jax.tree.map(np.asarray, jax.jit(paths, static_argnums=0)(run))
    seconds = time.perf_counter() - began
    if not np.isfinite(points).all():
        raise Diverged(f"descent {run.name!r} diverged: a point is not finite")
    result = {"name": run.name, "point": points[:, -1].tolist(), "losses": losses[:, -1].tolist()}
    result["gap"] = np.asarray(jax.vmap(run.problem.gap)(points[:, -1]), np.float64).tolist()
    kept = {"points": points.tolist(), "losses": losses.tolist(), "weights": weights.tolist()}
    write_json(folder.path / "paths.json", kept)
    folder.finish(result, {"seconds": round(seconds, 3)})
    print(
        f"{run.name}: {run.steps} steps from {len(run.starts)} starts, {seconds:.1f} s",
        file=sys.stderr,
    )


def paths(run: Descent) -> tuple:
    """Points `[S, T, D]`, losses and weights `[S, T, K]` of all starts."""
    starts = jnp.array(run.starts, jnp.float32)
    keys = jax.random.split(jax.random.key(run.seed), len(run.starts))
    return jax.vmap(lambda start, key: path(run, start, key))(starts, keys)


def write(whole: Descents, done: list[Descent], root: pathlib.Path) -> None:
    """Writes `table.md`, `table.tex` and `paths.png` of what is done.

    All of them say what the command line has changed.
    """
    head, body = cells(whole, done, root)
    said = changed(whole, done)
    note = f"{NOTE} {said}" if said else NOTE
    note += provenance.note(Folder(root, run) for run in done)
    write_text(root / "table.md", markdown(head, body) + f"\n{note}\n")
    write_text(root / "table.tex", latex(head, body) + (f"% {said}\n" if said else ""))
    if done and len(done[0].starts[0]) == 2:
        drawn = figure(done, [Folder(root, run).read("paths.json") for run in done])
        drawn.suptitle(said, fontsize=7)
        drawn.savefig(root / "paths.png", dpi=120)


def changed(whole: Descents, done: list[Descent]) -> str:
    """A sentence on the fields of descents that are not as the file has them; "" if none is."""
    file = {run.name: fields_text(run) for run in whole.runs}
    texts = dict.fromkeys(changes(file[run.name], fields_text(run)) for run in done)
    said = "; ".join(text for text in texts if text)
    return f"Changed on the command line: {said}." if said else ""


def cells(whole: Descents, done: list[Descent], root: pathlib.Path) -> tuple[list, list]:
    """The heading and the rows of the table."""
    most = max((len(run.starts) for run in done), default=0)
    head = ["run", "reached", *[f"start {i + 1}" for i in range(most)], "seconds"]
    head += ["paper"] if whole.published else []
    body = []
    for run in done:
        result = Folder(root, run).result()
        seconds = Folder(root, run).read("timing.json")["seconds"]
        on = [gap <= run.within for gap in result["gap"]]
        ends = [
            f"{', '.join(f'{x:.1f}' for x in point)}: {np.mean(losses):.2f}{' ✓' if reached else ''}"
            for point, losses, reached in zip(result["point"], result["losses"], on, strict=True)
        ]
        said = [f"{o.text} ({o.source})" for o in whole.published if o.descent == run.name]
        body.append([run.name, f"{sum(on)} of {len(on)}", *ends, *[""] * (most - len(ends))])
        body[-1] += [f"{seconds:.0f}"] + (["; ".join(said)] if whole.published else [])
    return head, body
