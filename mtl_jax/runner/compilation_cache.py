"""Persistent compilation cache, with a size limit."""

import contextlib
import os
import pathlib
import zlib

import jax

MAX_BYTES = 4 * 2**30  # The least recently used entries are evicted first.
SUFFIX = "-cache"
STAMP = "checked"


def cache_compilations() -> None:
    """Enables the persistent compilation cache, so that a second launch compiles nothing.

    A cache directory that the user has configured in JAX is used unchanged and not cleaned up.
    """
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # JAX defines its options at run time.
    if jax.config.jax_compilation_cache_dir is not None:  # ty: ignore[missing-attribute]
        return
    folder = home() / "mtl_jax" / "compiled"
    with contextlib.suppress(OSError):  # No caching where the directory is not writable.
        folder.mkdir(parents=True, exist_ok=True)
        tidy(folder, MAX_BYTES)
        jax.config.update("jax_compilation_cache_dir", str(folder))


def home() -> pathlib.Path:
    """The cache directory by the XDG specification, which ignores an empty or relative path."""
    path = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
    return path if path.is_absolute() else pathlib.Path(os.path.expanduser("~")) / ".cache"


def tidy(folder: pathlib.Path, max_bytes: int) -> None:
    """Removes truncated entries, and the least recently used ones beyond `max_bytes`.

    JAX would warn about a broken entry at every launch and never rewrite it. Only entries written
    since the start of the last complete check are read.
    """
    stamp, begun = folder / STAMP, folder / f"{STAMP}.half"
    since = stamp.stat().st_mtime if stamp.is_file() else 0.0
    begun.touch()
    entries = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # Another launch may clean up concurrently.
            stat = path.stat()
            if stat.st_mtime >= since and is_broken(path):
                path.unlink()
            else:
                entries.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
    with contextlib.suppress(FileNotFoundError):
        begun.replace(stamp)  # A launch that is killed before has checked nothing.
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= max_bytes:
            return
        path.unlink(missing_ok=True)
        total -= size


def is_broken(path: pathlib.Path) -> bool:
    """Whether an entry is empty or a truncated zlib stream."""
    data = path.read_bytes()
    if data[:1] != b"\x78":  # Another compression, which is not checked.
        return not data
    try:
        zlib.decompress(data)
    except zlib.error:
        return True
    return False
