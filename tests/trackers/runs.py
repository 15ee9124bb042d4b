"""What a tracker is told in these tests."""

import math

import numpy as np
import PIL.Image

from mtl_jax.trackers import TrackedRun

SETTINGS = {"steps": 8, "optimizer": "SGD(0.05)", "labels.partial": True, "execution": None}
TAG, NAN = "train/loss/left, 50 %", "validation/row/accuracy"
FIRST = {TAG: 0.1, NAN: math.nan}
SECOND = {TAG: -3e-20, NAN: math.inf}
SUMMARY = {"test/row/accuracy": 0.75, "seed_0/test/row/accuracy": 0.5}


def tracked_run(folder, **changes):
    """A run that is new."""
    run = TrackedRun("digits", "hard sharing", "1f2e", folder, SETTINGS, step=0)
    return run._replace(**changes)


def log_whole(tracker, folder):
    """Logs a run that is interrupted after its first evaluation, and resumes."""
    tracker.start(tracked_run(folder))
    tracker.log(4, FIRST)
    tracker.close(finished=False)
    tracker.start(tracked_run(folder, step=4))
    tracker.log(8, SECOND)
    tracker.log_summary(8, SUMMARY)
    tracker.close(finished=True)


def figures(folder):
    """Two PNG files."""
    paths = [folder / "curves.png", folder / "gains.png"]
    for size, path in enumerate(paths, 3):
        PIL.Image.fromarray(np.full((size, 5, 4), 40 * size, np.uint8)).save(path)
    return paths
