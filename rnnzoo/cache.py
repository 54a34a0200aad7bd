"""The folder for what can be had again, but not at once: fetched texts, compiled functions."""

import hashlib
import os
import pathlib
import platform
import shutil
import warnings

import jax
import pooch

VARIABLE = "RNNZOO_CACHE"
COMPILED = "compiled"
MOST_BYTES = 2**30  # of compiled functions, some hundred kilobytes for each config
WORTH_KEEPING = 0.3  # seconds of compilation


def folder(given: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """The cache folder: the given one, or RNNZOO_CACHE, or the user's own."""
    found = given or os.environ.get(VARIABLE) or pooch.os_cache("rnnzoo")
    return pathlib.Path(found).expanduser().absolute()


def keep_compiled_functions() -> None:
    """Lets JAX find on disk what it compiled in an earlier process, on the same kind of processor.

    Nothing changes where the user has said `JAX_COMPILATION_CACHE_DIR`; `JAX_ENABLE_COMPILATION_CACHE=0`
    turns it off. A folder that has grown beyond `MOST_BYTES` is emptied, one that cannot be written is
    left alone.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    path = folder() / COMPILED / _processor()
    try:
        path.mkdir(parents=True, exist_ok=True)
        if sum(file.stat().st_size for file in path.iterdir()) > MOST_BYTES:
            shutil.rmtree(path, ignore_errors=True)
    except OSError:  # among them: another process empties it
        return
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", WORTH_KEEPING)
    # An entry that another process is writing, or died while it wrote, is compiled again.
    warnings.filterwarnings(
        "ignore", message="Error (reading|writing) persistent compilation cache"
    )


def _processor() -> str:
    """A name for processors that run the same machine code: a home folder may serve several kinds."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = [platform.processor()]
    named = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return hashlib.sha256("\n".join(named or lines).encode()).hexdigest()[:16]
