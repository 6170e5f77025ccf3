"""The pages of `synth score` and `synth gate` in a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from synth.metrics.gate.page import gate_page
from synth.metrics.pages.page import score_page
from tests.metrics.pages.test_page import card, result

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.chromium import Browser

# Text that is drawn beyond the edge of its plot.
CUT = (
    "[...document.querySelectorAll('svg text')].filter(text => { const a = text.getBoundingClientRect(), "
    "b = text.closest('svg').getBoundingClientRect(); return a.left < b.left - 1 || a.right > b.right + 1; })"
    ".map(text => text.textContent)"
)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("page", ["scores", "gate"])
def test_pages_of_scores(browser: Browser, tmp_path: Path, page: str, width: int) -> None:
    path = tmp_path / "page.html"
    path.write_text(score_page(card()) if page == "scores" else gate_page(result()), encoding="utf-8")
    browser.open(path, width=width)
    assert browser.run("document.querySelectorAll('svg').length") == 3
    assert browser.run(CUT) == []
    assert browser.run("document.documentElement.scrollWidth") <= width
