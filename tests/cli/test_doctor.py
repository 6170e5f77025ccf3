"""`synth doctor`."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

import synth
from synth.cli import doctor
from tests.end_to_end.command import Result, in_process

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    return in_process(monkeypatch, capfd)


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(doctor.metadata, "version", version)


def test_text_names_the_machine(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, torch="2.9.0")
    result = run("doctor")
    assert (result.code, result.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert lines["radsynth"].startswith(f"{synth.__version__}, Python {sys.version_info.major}.")
    assert "cores" in lines["CPU"]
    assert lines["reader"] == "phantoms"
    assert lines["torch"] == "2.9.0"
    assert lines["ray"] == "absent: pip install radsynth[ray]"


def test_json_is_all_of_stdout(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTH_THREADS", "3")
    result = run("doctor", "--json")
    about = json.loads(result.out)
    assert (about["radsynth"], about["threads"]) == (synth.__version__, 3)
    assert isinstance(about["gpu"], bool)
    assert about["reader"] is True
    assert set(about["packages"]) >= {"cupy", "torch", "xformers"}


@pytest.mark.parametrize("name", ["cupy-cuda12x", "cupy-cuda13x", "cupy"])
def test_cupy_is_found_under_each_of_its_names(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    installed(monkeypatch, **{name: "14.0.0"})
    assert json.loads(run("doctor", "--json").out)["packages"]["cupy"] == "14.0.0"


def test_every_extra_it_names_exists() -> None:
    known = metadata.metadata("radsynth").get_all("Provides-Extra")
    assert set(doctor._EXTRAS.values()) <= set(known or ())
