"""Other people's programs for the same model, each in an environment of its own, and the weights as each wants them.

`python -m benchmarks.peers` makes all of it with uv in .venv/peers, or in the folder that PEERS names. It takes half an hour, as
llama.cpp is compiled here, and five gigabytes. One that cannot be made says why, and the others are measured without it.
`python -m benchmarks.peers NAME` makes one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.subject import CHECKPOINT, PEERS, WORK

# The lowest priority: compiling must not disturb anybody.
NICE = ("nice", "-n", "19")
TORCH = "torch==2.13.0"
PACKAGES: dict[str, Sequence[str]] = {
    "llama.cpp": ("llama-cpp-python",),
    "ctranslate2": ("ctranslate2", "numpy"),
    # CTranslate2's converter reads what transformers reads.
    "transformers": (TORCH, "transformers", "ctranslate2"),
    "openvino": (TORCH, "transformers", "optimum-intel[openvino]"),
}
# It comes with optimum and fails beside PyTorch for CPUs.
UNWANTED = {"openvino": "torchvision"}
COMPILED = {"CMAKE_BUILD_PARALLEL_LEVEL": "1", "CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"}


class PeerMissing(Exception):
    """A peer, or its weights, cannot be made here."""


def python(peer: str) -> Path:
    """The Python of a peer's environment. Raises PeerMissing where `python -m benchmarks.peers` has not made it."""
    folder = PEERS / peer
    if not (folder / "made").exists():
        raise PeerMissing(f"{peer} is not here: run `python -m benchmarks.peers {peer}`.")
    return folder / "bin" / "python"


def make_environment(peer: str) -> None:
    """Make an environment with the newest version of a peer. Raises PeerMissing."""
    folder = PEERS / peer
    if (folder / "made").exists():
        return
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    run("env", "UV_LINK_MODE=copy", uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    variables = [f"{name}={value}" for name, value in COMPILED.items()]
    install = [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    run("env", *variables, *install, *PACKAGES[peer])
    if peer in UNWANTED:
        run(uv, "pip", "uninstall", "--quiet", "--python", str(folder / "bin" / "python"), UNWANTED[peer])
    (folder / "made").touch()


def run(*command: str) -> None:
    """Run a command at the lowest priority. Raises PeerMissing with the last thing that it said."""
    try:
        ended = subprocess.run([*NICE, *command], capture_output=True, text=True, check=False)
    except OSError as error:
        raise PeerMissing(f"{command[0]}: {error.strerror}") from None
    if ended.returncode:
        said = [line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        raise PeerMissing(f"`{' '.join(command)[:80]}` failed: {said[-1][:200] if said else 'it said nothing'}")


# The same weights, as each program wants them.


def once(make: Callable[[Path], None], name: str) -> Path:
    """A folder in WORK that `make` has filled, now or before."""
    folder = WORK / name
    if not folder.exists():
        make(folder)
    return folder


def hugging_face() -> Path:
    return once(lambda out: export(out, "--format", "huggingface"), "random-124M-hf")


def gguf(bits: int) -> Path:
    name = f"random-124M-q{bits}"
    folder = once(lambda out: export(out, "--format", "gguf", "--bits", str(bits)), name)
    return folder / f"{name}.gguf"


def ctranslate2() -> Path:
    def convert(out: Path) -> None:
        program = python("transformers").with_name("ct2-transformers-converter")
        run(str(program), "--model", str(hugging_face()), "--output_dir", str(out), "--quantization", "int8")

    return once(convert, "random-124M-ct2")


def openvino() -> Path:
    def convert(out: Path) -> None:
        program = python("openvino").with_name("optimum-cli")
        kind = ("--task", "text-generation-with-past", "--weight-format", "int8")
        run(str(program), "export", "openvino", "--model", str(hugging_face()), *kind, str(out))

    return once(convert, "random-124M-ov")


def export(out: Path, *options: str) -> None:
    run(sys.executable, "-m", "finetune", "export", str(CHECKPOINT), str(out), *options)


def main(names: Sequence[str]) -> int:
    failed = 0
    for name in names or PACKAGES:
        print(f"{name}: {', '.join(PACKAGES[name])}", flush=True)
        try:
            make_environment(name)
        except PeerMissing as error:
            failed += 1
            print(f"  left out: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
