"""Downloads from the Hugging Face hub."""

from mtl_jax.core.validation import BadInput


def download(repo: str, file: str, revision: str) -> str:
    """Downloads a file of weights once, and returns its local path.

    Hosts without a network use the file of an earlier call.

    Args:
      repo: `owner/name`.
      file: path inside it, such as `model.safetensors`.
      revision: commit, 40 hexadecimal digits; the file of a branch may change.

    Returns:
      The path, for `Pretrained`.

    Raises:
      BadInput: without the package `huggingface_hub`, for a revision that is not a commit, or if
        the file is neither cached nor can be downloaded.
    """
    if len(revision) != 40 or set(revision) - set("0123456789abcdef"):
        raise BadInput(f"download.revision must be a commit of 40 digits, not {revision!r}")
    try:
        import huggingface_hub  # ty: ignore[import-not-found]  # An optional package.
    except ImportError:
        rule = "needs the package huggingface_hub: pip install mtl_jax[hub]"
        raise BadInput(f"download of {repo!r} {rule}") from None
    try:
        return huggingface_hub.hf_hub_download(repo, file, revision=revision)
    except (OSError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"{file!r} of {repo!r} at {revision} must be there ({reason})") from error
