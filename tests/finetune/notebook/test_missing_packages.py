"""What a machine lacks is found and installed; what is there stays as it is."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from zipfile import ZipFile

import pytest

from app.errors import MachineError
from finetune.notebook.missing_packages import (
    install_missing_packages,
    installed_versions,
    missing_packages,
    requirements,
)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip installs from, into another folder, without a network."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "installed"))
    (tmp_path / "wheels").mkdir()
    return tmp_path / "wheels"


def write_wheel(folder: Path, name: str, needs: str = "") -> None:
    with ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        about = f"{name}-1.0.dist-info"
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


def test_the_requirements_are_those_of_the_included_files_too(tmp_path: Path) -> None:
    (tmp_path / "container.in").write_text("# All of it.\nnumpy  # sampling\n")
    (tmp_path / "training.in").write_text("-c container.txt\n-r container.in\nkeras[all]==3  # the network\n\n")
    assert list(requirements(tmp_path / "training.in")) == ["numpy", "keras[all]==3"]


def test_only_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.in").write_text("numpy\nabsent_package==1.0\ngoogle-cloud-bigquery[bqstorage]\nPyYAML\n")
    assert missing_packages(tmp_path / "some.in") == ["absent_package==1.0"]


def test_all_packages_of_the_verbs_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them are installed where tests run, so nothing is done."""
    install_missing_packages()
    assert capsys.readouterr().out == "All packages are here.\n"


@pytest.mark.slow
def test_what_is_missing_is_installed(tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_wheel(wheels, "absent_package")
    (tmp_path / "some.in").write_text("numpy\nabsent_package\n")
    install_missing_packages(tmp_path / "some.in")
    assert sorted(path.name for path in (tmp_path / "installed").glob("*.py")) == ["absent_package.py"]
    assert "Installing absent_package:" in capsys.readouterr().out


def test_nothing_that_is_there_is_replaced(tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The notebook once replaced Colab's TensorFlow, NumPy and protobuf by other versions, three gigabytes of them."""
    write_wheel(wheels, "absent_package", needs="Requires-Dist: numpy==1.0\n")
    write_wheel(wheels, "numpy")
    (tmp_path / "some.in").write_text("absent_package\n")
    with pytest.raises(MachineError, match="could not install what is missing"):
        install_missing_packages(tmp_path / "some.in")
    assert "depends on numpy==1.0" in capsys.readouterr().out
    assert not (tmp_path / "installed").exists()


def test_what_is_there_is_pinned() -> None:
    assert f"numpy=={importlib.metadata.version('numpy')}" in list(installed_versions())
