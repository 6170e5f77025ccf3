"""The helper itself: it hears what a page complains of, and presses what is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.chromium import chromium

if TYPE_CHECKING:
    from pathlib import Path


def test_complaints_are_heard(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        "<!DOCTYPE html><title>t</title><img src='http://127.0.0.1:9/a.png'><button id='a'>a</button>"
        "<div id='b' style='position:fixed;inset:0;display:none'></div>"
        "<script>console.error('first'); a.onclick = () => { document.title = 'pressed'; b.style.display = 'block'; };"
        "setTimeout(() => { throw new Error('second') });</script>"
    )
    with chromium() as browser:
        browser.open(page)
        browser.click("#a")
        assert browser.run("document.title") == "pressed"
        with pytest.raises(AssertionError, match="#a is covered"):
            browser.click("#a")
        heard = "\n".join(browser.complaints)
    for said in ("first", "second", "loads http://127.0.0.1:9/a.png"):
        assert said in heard
