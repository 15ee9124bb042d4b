"""Files from the Hugging Face hub."""

from mtl_jax.core.validation import BadInput


def download(repo: str, file: str, revision: str) -> str:
    """Fetches a file of weights once, and gives where it lies.

    Hosts without a network find what an earlier call has fetched.

    Args:
      repo: `owner/name`.
      file: path inside it, such as `model.safetensors`.
      revision: commit, 40 hexadecimal digits; a branch would be another file some day.

    Returns:
      The path, for `Pretrained`.

    Raises:
      BadInput: without the package `huggingface_hub`, for a revision that is no commit, or if the
        file can neither be fetched nor is there already.
    """
    if len(revision) != 40 or set(revision) - set("0123456789abcdef"):
        raise BadInput(f"download.revision must be a commit of 40 digits, not {revision!r}")
    try:
        import huggingface_hub
    except ImportError:
        rule = "needs the package huggingface_hub: pip install mtl_jax[hub]"
        raise BadInput(f"download of {repo!r} {rule}") from None
    try:
        return huggingface_hub.hf_hub_download(repo, file, revision=revision)
    except (OSError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise BadInput(f"{file!r} of {repo!r} at {revision} must be there ({reason})") from error
