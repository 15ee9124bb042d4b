"""Opening of builders of TensorFlow Datasets, with the errors of missing packages."""

from typing import Any

from mtl_jax.core.validation import BadInput
from mtl_jax.data.files.paths import expand_path


def open_builder(name: str, data_dir: str, **settings: Any) -> Any:
    """The TFDS builder of a data set, prepared or not."""
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=str(expand_path(data_dir)), **settings)
    except ImportError as error:
        raise tensorflow_missing(name, error) from error
    except (ValueError, AssertionError) as error:  # Unknown, malformed, or of another version.
        text = f"{name!r} cannot be opened in {data_dir}: {error}"
        raise BadInput(text.partition("\n")[0]) from error


def tensorflow_missing(name: str, error: ImportError) -> ImportError | BadInput:
    """The error to raise for a failed import; explains how to install TensorFlow if needed."""
    if "No module named 'tensorflow'" not in f"{error} {error.__cause__}":
        return error
    return BadInput(f"{name!r} needs TensorFlow for this: pip install mtl_jax[tensorflow]")
