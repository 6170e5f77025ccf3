"""report.html as a reader meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from synth.report.page import write_page
from tests.report.datasets import write_dataset, write_gated

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.chromium import Browser

THUMBS = "document.querySelectorAll('.thumb').length"
OPEN = "document.getElementById('view').open"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 60 images, 6 more that the gate refused, 24 to a page."""
    return write_page(write_gated(tmp_path_factory.mktemp("gated"), 60))


def test_it_opens_whole(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run(THUMBS) == 24
    assert browser.texts("#status") == ["Images 1 to 24 of 60 (66 on this page)"]
    assert browser.texts("h2") == [
        "Images", "", "Who and what is in it", "Before and after", "What the gate accepted",
        "Why it refused the others", "Asked of the set", "Scores", "Plots", "By sex", "Settings", "How it was made",
    ]  # fmt: skip
    assert browser.run("[...document.images].every(one => one.complete && one.naturalWidth > 50)")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_seen(browser: Browser, page: Path, tmp_path: Path, dark: bool, width: int) -> None:
    browser.open(page, width=width, dark=dark)
    seen = np.asarray(Image.open(browser.picture(tmp_path / "seen.png")).convert("RGB")).astype(float)
    assert seen.shape == (900, width, 3)
    assert (seen.mean() < 90) == dark
    red, green, blue = np.moveaxis(seen, 2, 0)
    wire = (red > 150) & (green > 140) & (blue < 0.6 * green)  # the yellow outline of the tubes
    assert 50 < wire.sum() < 0.05 * wire.size
    # Nothing sticks out at the right of a phone.
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_pages_turn(browser: Browser, page: Path) -> None:
    browser.open(page)
    first = browser.run("document.querySelector('.thumb').dataset.key")
    assert browser.run("document.getElementById('previous').disabled")
    browser.click("#next")
    browser.click("#next")
    assert browser.run("location.hash") == "#page=3"
    assert browser.run(THUMBS) == 12
    assert browser.texts("#pages") == ["3 of 3"]
    assert browser.run("document.getElementById('next').disabled")
    assert browser.run("document.querySelector('.thumb').dataset.key") != first
    browser.click("#previous")
    assert browser.run("location.hash") == "#page=2"


def test_filters_count_and_combine(browser: Browser, page: Path) -> None:
    browser.open(page)
    options = browser.texts("select[data-column=sex] option")
    assert options == ["all", "F (30)", "M (30)"]
    browser.pick("select[data-column=sex]", "F")
    assert browser.run("location.hash") == "#sex=F"
    assert browser.texts("#status") == ["Images 1 to 24 of 30 (66 on this page)"]
    # The other columns count what the first filter left; a column itself counts what it could show.
    assert browser.texts("select[data-column=finding] option") == [
        "all", "Cardiomegaly (0)", "Edema (15)", "Pneumothorax (15)", "No Finding (0)"
    ]  # fmt: skip
    assert browser.texts("select[data-column=sex] option") == options
    browser.pick("select[data-column=finding]", "Edema")
    assert browser.run(THUMBS) == 15
    assert all(" F " in said and said.endswith("Edema") for said in browser.texts(".thumb .label"))
    browser.pick("select[data-column=finding]", "Cardiomegaly")
    assert (browser.run(THUMBS), browser.texts("#status")) == (0, ["No image matches."])
    browser.click("#reset")
    assert browser.texts("#status") == ["Images 1 to 24 of 60 (66 on this page)"]


def test_what_was_refused_is_shown_only_when_asked(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.texts("select[data-column=gate] option") == [
        "accepted", "pass (48)", "rejected (6)", "undecided (12)"
    ]  # fmt: skip
    browser.pick("select[data-column=gate]", "rejected")
    assert browser.run(THUMBS) == 6
    assert all(said.endswith("rejected") for said in browser.texts(".thumb .label"))


def test_masks_are_switched(browser: Browser, page: Path) -> None:
    drawn = "document.querySelectorAll('#sheet path[data-of=lungs]').length"
    browser.open(page)
    assert browser.run(drawn) == 24
    browser.click("input[data-group=lungs]")
    assert browser.run(drawn) == 0
    assert browser.run("document.querySelectorAll('#sheet path[data-of=heart]').length") == 24
    assert "show=findings%2Cdevices%2Cheart" in browser.run("location.hash")
    browser.click("input[data-group=lungs]")
    assert (browser.run(drawn), browser.run("location.hash")) == (24, "")


def test_outlines_lie_on_what_they_outline(browser: Browser, page: Path) -> None:
    browser.open(page)
    box = browser.run(
        "(() => { const a = document.querySelector('.thumb path[data-of=heart]').getBoundingClientRect(), "
        "b = document.querySelector('.thumb img').getBoundingClientRect(); "
        "return [(a.left - b.left) / b.width, (a.right - b.left) / b.width, (a.top - b.top) / b.height, "
        "(a.bottom - b.top) / b.height]; })()"
    )
    assert box == pytest.approx([0.38, 0.72, 0.45, 0.79], abs=0.03)


def test_the_large_view_by_mouse(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click(".thumb[data-key='00000002']")
    assert browser.run(OPEN)
    assert browser.run("location.hash") == "#open=00000002"
    said = browser.texts("#view-words")[0]
    for text in ("Cardiomegaly: left, 2.5 cm", "FINDINGS: sample 2. </script>", "prompt 2", "distance 1.2", "phantom"):
        assert text in said
    assert browser.run("document.querySelectorAll('#view path').length") == 4
    browser.click("#view-masks")
    assert browser.run("document.querySelectorAll('#view path').length") == 0
    browser.click("#view-next")
    assert browser.texts("#view-title") == ["images/00/00000003.png"]
    browser.click("#view-close")
    assert not browser.run(OPEN)
    browser.wait("location.hash === ''")


def test_the_large_view_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('.thumb').focus()")
    browser.press("ArrowRight")
    browser.press("ArrowDown")
    browser.press("ArrowUp")
    browser.press("Enter")
    assert browser.texts("#view-title") == ["images/00/00000001.png"]
    browser.press("ArrowLeft")
    assert browser.texts("#view-title") == ["images/00/00000000.png"]
    browser.press("ArrowLeft")
    assert browser.texts("#view-title") == ["images/00/00000000.png"]
    browser.press("Escape")
    browser.wait(f"!{OPEN}")
    browser.wait("document.activeElement.dataset.key === '00000000'")


def test_a_view_can_be_linked(browser: Browser, page: Path) -> None:
    browser.open(page, "sex=F&view=PA&page=1&show=heart&open=00000004")
    assert browser.run(OPEN)
    assert browser.run("document.querySelector('select[data-column=view]').value") == "PA"
    assert browser.run("[...new Set([...document.querySelectorAll('path[data-of]')].map(one => one.dataset.of))]") == [
        "heart"
    ]
    browser.open(page, "sex=neither&page=99&open=none")
    assert browser.texts("#pages") == ["3 of 3"]
    assert not browser.run(OPEN)


def test_examples_of_refused_images_open(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click(".examples button[data-open]")
    assert browser.texts("#view-title")[0].startswith("rejected/00/")
    assert "is above 3" in browser.texts("#view-words")[0]


def test_a_set_without_gate_or_masks(browser: Browser, tmp_path: Path) -> None:
    root = write_dataset(tmp_path, 3)
    (root / "masks" / "annotations.json").unlink()
    browser.open(write_page(root))
    assert browser.run(THUMBS) == 3
    assert browser.texts("fieldset") == []
    browser.click(".thumb")
    assert browser.run("document.getElementById('view-masks').hidden")
