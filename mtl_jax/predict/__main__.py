"""Predicts files with an exported model: python -m mtl_jax.predict DIR INPUT --out FILE."""

import argparse
import pathlib
import sys

from mtl_jax.core.validation import BadInput
from mtl_jax.predict.exported_model import load
from mtl_jax.predict.input_files import read_batches
from mtl_jax.predict.write import write_predictions


def main(arguments: list[str] | None = None) -> int:
    """Executes the command-line options; returns the exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(prog="python -m mtl_jax.predict", description=__doc__)
    parser.add_argument("model", type=pathlib.Path, metavar="DIR", help="folder of the model")
    parser.add_argument(
        "input", type=pathlib.Path, metavar="INPUT",
        help="a folder of images, an image, .csv, .tsv, .jsonl, .json, .npz or .npy",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("predictions.csv"), metavar="FILE",
        help="default: predictions.csv",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        model = load(options.model)
        batches = read_batches(options.input, model.description.inputs, options.model)
        count = write_predictions(model, batches, options.out)
    except BadInput as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(f"{count} predictions in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
