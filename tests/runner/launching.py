"""Launches in this process, as the command line would."""

import contextlib
import io

import launch
from mtl_jax.runner.launch import launch as run_launch


def launched(file, *options):
    """Exit code, stdout and stderr of a launch."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_launch(launch.parse([str(file), *map(str, options)]))
    return code, out.getvalue(), err.getvalue()


def experiment_file(tmp_path_factory, text):
    """An experiment file with a text, in a folder of its own."""
    path = tmp_path_factory.mktemp("file") / "tiny.py"
    path.write_text(text)
    return path
