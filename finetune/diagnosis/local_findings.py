"""What is found on this machine, in well under a second: no library that computes is imported."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path

from app import __version__
from app.engine.cores import cores_allowed
from app.errors import FatalError
from finetune.diagnosis.finding import Finding, broken, fine, note
from finetune.machine_memory import all_memory, free_memory
from finetune.notebook.gpu_settings import Gpu, first_gpu

CLONE = Path(__file__).parents[2]
SERVING = ("onnxruntime", "numpy", "tokenizers", "starlette", "uvicorn", "h11", "msgspec")
TRAINING = ("tensorflow", "keras", "gpt_2_simple", "onnx", "matplotlib", "jinja2", "pyarrow")
GIB = 2**30
# The packages for training, and a run of the 124M with its optimizer.
DISK_FOR_TRAINING = 8 * GIB
# What `train` takes of the 124M on a processor, as docs/performance.md has it.
MEMORY_FOR_124M = 5.3 * GIB
MEMORY_TO_SERVE = 0.4 * GIB
# Bytes of a bundle that are compared with its manifest in a fifth of a second.
QUICKLY_READ = 200_000_000


def local_findings() -> Iterator[Finding]:
    yield fine("Python", f"{platform.python_version()}, {sys.executable}")
    yield fine("gpt2", f"{__version__}, {'a clone in' if is_clone() else 'installed in'} {CLONE}")
    yield cores_found(cores_allowed(), os.cpu_count() or 1)
    yield memory_found(free_memory(), all_memory())
    yield disk_found(shutil.disk_usage(".").free)
    yield gpu_found(first_gpu(), jax_has_cuda())
    yield packages_found("serving", SERVING, needed=True)
    yield packages_found("training", TRAINING, needed=False)
    yield model_found()


def is_clone() -> bool:
    return (CLONE / "Makefile").is_file()


def cores_found(allowed: int, there: int) -> Finding:
    return fine("cores", f"{allowed}" if allowed >= there else f"{allowed} of {there}")


def memory_found(free: int | None, there: int | None) -> Finding:
    if free is None:
        return note("memory", "this system does not say")
    said = f"{free / GIB:.1f} GB free" + (f" of {there / GIB:.1f}" if there else "")
    if free < MEMORY_TO_SERVE:
        return broken("memory", f"{said}; serving a 124M needs 0.4", "close other programs")
    if free < MEMORY_FOR_124M:
        return note(
            "memory",
            f"{said}; training a 124M needs 5.3",
            "close other programs, or train in Colab: notebooks/fine_tune.ipynb",
        )
    return fine("memory", said)


def disk_found(free: int) -> Finding:
    said = f"{free / GIB:.1f} GB free here"
    if free < GIB // 2:
        return broken("disk", said, "delete something: `gpt2 list` shows how large runs and bundles are")
    if free < DISK_FOR_TRAINING:
        return note(
            "disk",
            f"{said}; the packages for training and a run of the 124M take 7",
            "`gpt2 list` shows what your runs take",
        )
    return fine("disk", said)


def jax_has_cuda() -> bool:
    plugins = entry_points(group="jax_plugins")
    return find_spec("jax") is not None and any("cuda" in plugin.name for plugin in plugins)


def gpu_found(gpu: Gpu | None, usable: bool) -> Finding:
    if gpu is None:
        return note(
            "GPU", "none: training uses the processor", "Colab's GPU is the faster way: notebooks/fine_tune.ipynb"
        )
    said = f"{gpu.name}, {gpu.memory / 1024:.0f} GB"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None and hidden.strip() in ("", "-1"):
        return note("GPU", f"{said}, hidden by CUDA_VISIBLE_DEVICES", "unset CUDA_VISIBLE_DEVICES")
    if not usable:
        return note("GPU", f"{said}, and JAX cannot use it", f'{sys.executable} -m pip install "jax[cuda12]"')
    return fine("GPU", f"{said}, used by JAX")


def packages_found(purpose: str, modules: Sequence[str], needed: bool) -> Finding:
    missing = [name for name in modules if find_spec(name) is None]
    if not missing:
        return fine(purpose, ", ".join(filter(None, map(versioned, modules[:2]))))
    mend = install_command(needed)
    lacking = f"not installed: {', '.join(missing)}"
    return broken(purpose, lacking, mend) if needed else note(purpose, lacking, mend)


def install_command(needed: bool) -> str:
    if is_clone():
        return f"make .venv/{'container' if needed else 'training'} && . .venv/bin/activate"
    return f"{sys.executable} -m pip install '.{'' if needed else '[train]'}', in the project's folder"


def versioned(module: str) -> str:
    try:
        return f"{module} {version(module)}"
    except PackageNotFoundError:
        return module


def model_found() -> Finding:
    """What `serve` and `deploy` take."""
    try:
        from app.engine.bundle import Bundle, read_manifest
        from app.engine.bundle_parts import check_parts
        from app.engine.default_bundle import RUN, deployed_model

        folder = deployed_model()
        if folder == RUN:
            return note("model", f"{RUN}, a checkpoint that is not exported", f"gpt2 export {RUN} models/run1")
        bundle = Bundle(folder, read_manifest(folder), checked=False, checksum="sha256")
        if bundle.weight_bytes < QUICKLY_READ:
            bundle.check(bundle.files)
            check_parts(bundle)
    except ImportError as error:
        return broken("model", f"cannot be read without {error.name}", install_command(needed=True))
    except FatalError as error:
        return broken("model", str(error).partition(": ")[0], str(error).partition(": ")[2] or "gpt2 list")
    manifest = bundle.manifest
    return fine("model", f"{manifest.name} in {folder}, {manifest.bits} bits, {bundle.weight_bytes / 1e6:,.1f} MB")
