"""Runs an experiment: python launch.py experiments/digits.py."""

import argparse
import pathlib
import sys
import warnings

from mtl_jax.core.validation import DataWarning

formatted, said = warnings.formatwarning, set()


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as everything else does."""

    def error(self, message: str):
        """Ends with exit code 2."""
        self.exit(2, f"error: {message} (--help lists the options)\n")


class Once(argparse.Action):
    """Stores an option that may be given once, or the first would be lost without a word."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Refuses a second one."""
        if getattr(namespace, self.dest) is not None:
            parser.error(f"argument {option_string}: is given twice")
        setattr(namespace, self.dest, values)


def some(text: str) -> str:
    """A text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def folder(text: str) -> pathlib.Path:
    """The path of a folder."""
    return pathlib.Path(some(text))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; a wrong one ends with exit code 2."""
    parser = Parser(prog="launch.py", description=__doc__)
    parser.add_argument("experiment", type=pathlib.Path, help="file that ends in EXPERIMENT = ...")
    parser.add_argument("--list", action="store_true", help="runs, fingerprints, what is done")
    parser.add_argument(
        "--dry", action="store_true", help="check shapes, print sizes, train nothing"
    )
    parser.add_argument("--smoke", action="store_true", help="every run for a handful of steps")
    parser.add_argument(
        "--only", action=Once, type=some, metavar="PATTERN", help="only runs whose names match"
    )
    parser.add_argument(
        "--seeds", action=Once, type=int, metavar="N", help="another number of seeds"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE",
        help="change a field of every run that has it, such as optimizer.learning_rate=0.01",
    )  # fmt: skip
    parser.add_argument(
        "--out", action=Once, type=folder, metavar="DIR", help="default: results/NAME"
    )
    parser.add_argument("--fresh", action="store_true", help="set old results aside, train anew")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error too")
    return parser.parse_args(arguments)


def one_line(message: Warning, category: type[Warning], *place) -> str:
    """A warning about data in one line and once; any other one as Python has it."""
    if not issubclass(category, DataWarning):
        return formatted(message, category, *place)
    told = "" if str(message) in said else f"warning: {' '.join(str(message).split())}\n"
    said.add(str(message))
    return told


if __name__ == "__main__":
    warnings.formatwarning = one_line
    for stream in (sys.stdout, sys.stderr):  # A name may have letters that a locale lacks.
        stream.reconfigure(errors="backslashreplace")
    options = parse()
    from mtl_jax.runner.sweep import launch

    sys.exit(launch(options))
