"""Runs an experiment: python launch.py experiments/digits.py."""

import argparse
import pathlib
import signal
import sys
from typing import NoReturn

from mtl_jax.runner.console import exit_process, set_up_console


class Parser(argparse.ArgumentParser):
    """A parser that prints errors as one line."""

    def error(self, message: str) -> NoReturn:
        """Prints an error and exits with code 2."""
        self.exit(2, f"error: {message} (--help lists the options)\n")


class StoreOnce(argparse.Action):
    """Stores an option that may be given only once."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Stores the value, or rejects a second one."""
        if getattr(namespace, self.dest) is not None:
            parser.error(f"argument {option_string}: is given twice")
        setattr(namespace, self.dest, values)


def nonempty(text: str) -> str:
    """Parses a text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def positive(text: str) -> int:
    """Parses a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, not {text!r}")
    return int(text)


def folder(text: str) -> pathlib.Path:
    """Parses the path of a folder."""
    return pathlib.Path(nonempty(text))


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parses the command line; exits with code 2 if it is invalid."""
    parser = Parser(prog="launch.py", description=__doc__)
    parser.add_argument(
        "experiment", nargs="?", type=pathlib.Path, help="file that ends in EXPERIMENT = ..."
    )
    parser.add_argument("--list", action="store_true", help="runs, fingerprints, what is done")
    parser.add_argument(
        "--dry", action="store_true", help="check shapes, print sizes, train nothing"
    )
    parser.add_argument("--smoke", action="store_true", help="every run for a handful of steps")
    parser.add_argument(
        "--only",
        action=StoreOnce,
        type=nonempty,
        metavar="PATTERN",
        help="only runs whose names match",
    )
    parser.add_argument(
        "--seeds", action=StoreOnce, type=int, metavar="N", help="another number of seeds"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE",
        help="change a field of every run that has it, such as optimizer.learning_rate=0.01",
    )  # fmt: skip
    parser.add_argument(
        "--out", action=StoreOnce, type=folder, metavar="DIR",
        help="folder to write; default: results/NAME, of --export results/NAME/RUN/export",
    )  # fmt: skip
    parser.add_argument(
        "--track", action="append", default=[], choices=("tensorboard", "wandb", "mlflow"),
        help="send measurements and figures there too; may be repeated",
    )  # fmt: skip
    parser.add_argument("--fresh", action="store_true", help="set old results aside, train anew")
    parser.add_argument("--retry", action="store_true", help="train runs again that failed")
    parser.add_argument(
        "--compare", action=StoreOnce, nargs=2, type=folder, metavar=("A", "B"),
        help="no experiment: compare two folders of results; --out DIR keeps the table",
    )  # fmt: skip
    add_diagnostic_options(parser)
    add_process_options(parser)
    add_export_options(parser)
    options = parser.parse_args(arguments)
    check_combination(parser, options)
    return options


def check_combination(parser: Parser, options: argparse.Namespace) -> None:
    """Exits with code 2 for options that do not go together."""
    if options.compare is None and options.experiment is None:
        parser.error("an experiment is required, or --compare A B")
    given = [name for name, value in vars(options).items() if value != parser.get_default(name)]
    others = [name for name in given if name not in ("compare", "out", "debug")]
    if options.compare is not None and others:
        parser.error(f"--compare allows --out and --debug beside it, not {', '.join(others)}")
    for name in ("row", "table", "status"):
        if name in given and (options.fresh or options.retry):
            parser.error(f"argument --{name}: not allowed with --fresh or --retry")
    alone = [name for name in ("jobs", "slurm", "status", "list", "dry", "table") if name in given]
    if options.distributed is not None and (alone or options.export is not None):
        parser.error(f"argument --distributed: not allowed with --{[*alone, 'export'][0]}")
    exports = [name for name in ("results", "parameters", "seed", "onnx") if name in given]
    if exports and options.export is None:
        parser.error(f"argument --{exports[0]}: is for --export")


def add_diagnostic_options(parser: Parser) -> None:
    """Adds the options that look into a launch."""
    parser.add_argument(
        "--profile", action=StoreOnce, type=positive, metavar="STEPS",
        help="trace that many training steps of each run with jax.profiler, to RUN/profile",
    )  # fmt: skip
    parser.add_argument(
        "--debug", action="store_true",
        help="show the traceback of an error, and the operation that makes the first inf or NaN",
    )  # fmt: skip


def add_process_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options for training on several devices and in several processes."""
    processes = parser.add_argument_group("devices and processes")
    processes.add_argument(
        "--mesh", action=StoreOnce, type=nonempty, metavar="AXIS=N,...",
        help="arrange all devices, such as seed=2,batch=4,model=2; default: seeds, then the batch",
    )  # fmt: skip
    processes.add_argument(
        "--distributed", action=StoreOnce, type=nonempty, metavar="HOW",
        help="train in several processes, each started with the same options: auto under SLURM or "
        "on TPUs, or coordinator=HOST:PORT,processes=N,process=I",
    )  # fmt: skip
    group = processes.add_mutually_exclusive_group()
    group.add_argument(
        "--jobs", action=StoreOnce, type=positive, metavar="N",
        help="train up to N rows at a time, each in a process of its own",
    )  # fmt: skip
    group.add_argument(
        "--slurm", action=StoreOnce, type=nonempty, metavar="OPTION=VALUE,...",
        help="submit every row as a job with these options of sbatch (extra slurm)",
    )  # fmt: skip
    group.add_argument("--status", action="store_true", help="states of rows and of their jobs")
    group.add_argument(
        "--row", action=StoreOnce, type=nonempty, metavar="NAME",
        help="train this row alone, beside other processes, and write no table; for schedulers",
    )  # fmt: skip
    group.add_argument(
        "--table", action="store_true", help="write table and figures of what is finished"
    )


def add_export_options(parser: Parser) -> None:
    """Adds the options of an export, which writes the model of a finished run to `--out`."""
    group = parser.add_argument_group("export of a finished run")
    group.add_argument(
        "--export", action=StoreOnce, type=nonempty, metavar="RUN",
        help="write its model to --out, for python -m mtl_jax.predict",
    )  # fmt: skip
    group.add_argument(
        "--results", action=StoreOnce, type=folder, metavar="DIR",
        help="folder of the finished run; default: results/NAME",
    )  # fmt: skip
    group.add_argument(
        "--parameters", action=StoreOnce, choices=("selected", "raw", "ema"),
        help="selected by validation, or of the last step; default: selected",
    )  # fmt: skip
    group.add_argument(
        "--seed", action=StoreOnce, type=nonempty, metavar="N",
        help="seed to export, or soup for the mean of all; default: the first",
    )  # fmt: skip
    group.add_argument("--onnx", action="store_true", help="write model.onnx too (extra onnx)")


if __name__ == "__main__":
    set_up_console()
    options = parse()
    try:
        from mtl_jax.runner.launch import launch

        code = launch(options)
    except KeyboardInterrupt:  # Before runs are checked, or while trackers are waited for.
        print("SIGINT: stopped; launch again to go on", file=sys.stderr)
        code = 128 + signal.SIGINT
    exit_process(code)
