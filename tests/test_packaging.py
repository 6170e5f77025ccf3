"""What is installed is what lies in the tree, and each room imports only what it may."""

from __future__ import annotations

import ast
import importlib
import inspect
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import synth

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = ("kernels", "drr", "diffusion", "metrics", "synth")
DATA = (".cu", ".cuh", ".csv", ".typed", ".json", ".safetensors", ".npz")
SETUPTOOLS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]

# What a room may import of the others (its own modules always); synth ties them all.
MAY_IMPORT = {
    "synth.kernels": (),
    "synth.core": (),
    "synth.drr": ("synth.kernels", "synth.core"),
    "synth.diffusion": ("synth.core",),
    "synth.metrics": ("synth.kernels", "synth.core"),
}
ARRAYS = {"numpy", "numba", "llvmlite", "cupy"}


def files(*suffixes: str) -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((REPOSITORY / room).rglob("*")):
            if path.suffix in suffixes and "__pycache__" not in path.parts:
                yield path.relative_to(REPOSITORY)


def package(folder: Path) -> str:
    """The import name of a folder of the tree."""
    dotted = ".".join(folder.parts)
    return dotted if folder.parts[0] == "synth" else f"synth.{dotted}"


def module(path: Path) -> str:
    parent = package(path.parent)
    return parent if path.name == "__init__.py" else f"{parent}.{path.stem}"


MODULES = sorted(module(path) for path in files(".py"))


def python(code: str, cwd: Path) -> str:
    result = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_folder_with_python_files_is_a_listed_package() -> None:
    folders = {path.parent for path in files(".py")}
    assert SETUPTOOLS["packages"] == sorted(map(package, folders))
    mapped = {name: Path(folder) for name, folder in SETUPTOOLS["package-dir"].items()}
    for folder in folders:
        assert mapped[package(Path(folder.parts[0]))] / Path(*folder.parts[1:]) == folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names of the files in a wheel built from a copy of the tree."""
    pytest.importorskip("setuptools", minversion="77", reason="setuptools builds the wheel")
    folder = tmp_path_factory.mktemp("wheel")
    for path in (*map(Path, ("pyproject.toml", "README.md", "LICENSE")), *files(".py", *DATA)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / path, folder / path)
    python("import setuptools.build_meta as build; build.build_wheel('dist')", folder)
    (built,) = (folder / "dist").glob("radsynth-*.whl")
    return zipfile.ZipFile(built).namelist()


def test_the_wheel_holds_every_module_and_every_data_file(wheel: list[str]) -> None:
    expected = {str(Path(*package(path.parent).split("."), path.name)) for path in files(".py", *DATA)}
    assert {name for name in wheel if ".dist-info/" not in name} == expected
    assert "synth/py.typed" in wheel
    assert "synth/kernels/joseph.cu" in wheel


def test_the_wheel_has_one_top_level_name(wheel: list[str]) -> None:
    assert {name.split("/")[0] for name in wheel if ".dist-info/" not in name} == {"synth"}


def test_a_bare_checkout_runs() -> None:
    command = [sys.executable, "-m", "synth", "--version"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, f"radsynth {synth.__version__}\n")


def test_the_versions_agree() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["version"] == synth.__version__


def test_the_checkout_does_not_shadow_another_package_kernels(tmp_path: Path) -> None:
    (tmp_path / "kernels").mkdir()
    (tmp_path / "kernels" / "__init__.py").write_text("whose = 'theirs'\n")
    code = "import sys; sys.path.append({!r}); import kernels; print(getattr(kernels, 'whose', 'ours'))"
    assert python(code.format(str(tmp_path)), REPOSITORY) == "theirs\n"
    assert not (REPOSITORY / "kernels" / "__init__.py").exists()


def imports(name: str) -> set[str]:
    """All modules that a module's source imports, also inside functions and for type checkers."""
    path = Path(importlib.util.find_spec(name).origin)  # type: ignore[union-attr, arg-type]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_no_arrow_runs_back_up(room: str) -> None:
    allowed = (room, *MAY_IMPORT[room], "synth.__version__")
    for name in (name for name in MODULES if name.startswith(room)):
        for found in imports(name):
            inside = any(found == one or found.startswith(f"{one}.") for one in allowed)
            assert inside or found.split(".")[0] != "synth", f"{name} imports {found}"
            assert found.split(".")[0] not in ROOMS[:-1], f"{name} imports {found}"


def test_kernels_know_arrays_only() -> None:
    for name in (name for name in MODULES if name.startswith("synth.kernels")):
        foreign = {found.split(".")[0] for found in imports(name)} - {*sys.stdlib_module_names, *ARRAYS, "synth"}
        assert not foreign, f"{name} imports {foreign}"


def test_core_loads_no_other_room() -> None:
    core = [name for name in MODULES if name.startswith("synth.core")]
    code = f"import sys, {', '.join(core)}; print(*sorted(name for name in sys.modules if name.startswith('synth.')))"
    assert all(name.startswith("synth.core") for name in python(code, REPOSITORY).split())


def is_ours(thing: object, name: str) -> bool:
    return (inspect.isclass(thing) or callable(thing)) and getattr(thing, "__module__", None) == name


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("synth", "synth.__main__")])
def test_all_names_what_is_public(name: str) -> None:
    loaded = importlib.import_module(name)
    listed = getattr(loaded, "__all__", [])
    assert len(listed) == len(set(listed))
    assert not [one for one in listed if not hasattr(loaded, one)]
    public = {one for one, thing in vars(loaded).items() if not one.startswith("_") and is_ours(thing, name)}
    assert not public - set(listed)
