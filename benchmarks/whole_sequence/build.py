"""A loop's kernel compiled by nvcc, and known to JAX."""

import ctypes
import functools
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile

import jax

from rnnzoo.errors import UserError

HERE = pathlib.Path(__file__).parent
CACHE = pathlib.Path(tempfile.gettempdir()) / "rnnzoo_whole_sequence"


@functools.cache
def targets(source: str) -> tuple[str, str]:
    """The names by which `jax.ffi.ffi_call` finds a loop's forward and backward kernel.

    Args:
      source: of `Unit.source`.

    Raises:
      UserError: there is no nvcc, or it refuses the kernel.
    """
    library = ctypes.cdll.LoadLibrary(str(compiled(source)))
    names = []
    for handler in ("Forward", "Backward"):
        name = f"rnnzoo_{handler}_{_digest(source)}"
        capsule = jax.ffi.pycapsule(getattr(library, handler))
        jax.ffi.register_ffi_target(name, capsule, platform="CUDA")
        names.append(name)
    return names[0], names[1]


def compiled(source: str) -> pathlib.Path:
    """The shared library of a loop's kernels."""
    path = CACHE / f"{_digest(source)}.so"
    if path.exists():
        return path
    nvcc = os.environ.get("NVCC") or shutil.which("nvcc")
    if nvcc is None:
        raise UserError("the whole-sequence kernel needs CUDA's compiler, nvcc, which is not found")
    CACHE.mkdir(exist_ok=True)
    text = path.with_suffix(f".{os.getpid()}.cu")
    text.write_text(source + "\n" + (HERE / "kernel.cu").read_text())
    part = text.with_suffix(".so")
    flags = ["-O3", "-std=c++17", "-arch=sm_90", "-shared", "-Xcompiler=-fPIC", "-Xptxas=-v"]
    command = [nvcc, *flags, f"-I{jax.ffi.include_dir()}", "-o", str(part), str(text)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"nvcc refuses the kernel: {done.stderr[-2000:]}")
    part.with_suffix(".txt").write_text(done.stderr)  # registers, spills
    part.replace(path)
    return path


def _digest(source: str) -> str:
    return hashlib.sha256((source + (HERE / "kernel.cu").read_text()).encode()).hexdigest()[:16]
