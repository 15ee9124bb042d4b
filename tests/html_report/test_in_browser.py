"""The page in a real browser, on desktop and phone, light and dark."""

import csv
import shutil

import numpy as np
import pytest

from tests.finished_runs import writer
from tests.html_report.example import LONG, write

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic")
SIZES = {"desktop": 1440, "phone": 390}

# Elements with a text or picture of their own, each with the box in which it is seen.
BOXES = """() => {
  const clip = (box, element) => {
    for (let parent = element.parentElement; parent; parent = parent.parentElement) {
      if (getComputedStyle(parent).overflowX !== "visible") {
        const edge = parent.getBoundingClientRect();
        box = [Math.max(box[0], edge.left), Math.max(box[1], edge.top),
               Math.min(box[2], edge.right), Math.min(box[3], edge.bottom)];
      }
    }
    return box;
  };
  const kinds = "h1, h2, p, li, dt, dd, summary, figcaption, img, th, td, button, .panel";
  return [...document.querySelectorAll(kinds)]
    .filter(element => element.checkVisibility() && !element.closest("pre"))
    .map((element, index) => {
      element.dataset.index = index;
      const { left, top, right, bottom } = element.getBoundingClientRect();
      const parents = [];
      for (let parent = element.parentElement; parent; parent = parent.parentElement)
        if (parent.dataset.index !== undefined) parents.push(Number(parent.dataset.index));
      const text = element.textContent.slice(0, 40);
      return { index, parents, text, box: clip([left, top, right, bottom], element) };
    });
}"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield found
        found.close()


@pytest.fixture(params=["light", "dark"])
def scheme(request):
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page and the table."""
    root = tmp_path_factory.mktemp("page")
    write(writer(root), root)
    return root


@pytest.fixture
def opened(browser, folder):
    """Opens the page; afterwards there must be no error, and no request but for the file."""
    contexts, errors, requests = [], [], []

    def open_page(width, scheme="light"):
        contexts.append(
            browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        )
        page = contexts[-1].new_page()
        page.on("console", lambda message: errors.append(message.text) if is_bad(message) else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((folder / "report.html").as_uri())
        page.wait_for_selector(".dt-container")
        page.wait_for_selector(".bk-Figure")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    outside = [url for url in requests if not url.startswith(("data:", "blob:"))]
    assert {*outside} == {(folder / "report.html").as_uri()}


def is_bad(message):
    return message.type in ("error", "warning")


@pytest.mark.parametrize("size", SIZES)
def test_nothing_overlaps_and_the_page_is_no_wider_than_the_screen(opened, size, scheme):
    page = opened(SIZES[size], scheme)
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]
    elements = page.evaluate(BOXES)
    assert len(elements) > 60
    assert [pair for pair in pairs(elements) if overlap(*pair)] == []


def pairs(elements):
    """All pairs of elements of which none is in the other."""
    for place, first in enumerate(elements):
        for second in elements[place + 1 :]:
            if first["index"] not in second["parents"]:
                yield first, second


def overlap(first, second):
    """Whether two boxes share more than a pixel in both directions."""
    (a, b, c, d), (e, f, g, h) = first["box"], second["box"]
    return min(c, g) - max(a, e) > 1 and min(d, h) - max(b, f) > 1


def test_text_stands_out_from_the_ground(opened, scheme):
    page = opened(1440, scheme)
    texts = page.evaluate(
        """() => {
          const rgb = color => color.match(/[\\d.]+/g).map(Number);
          const ground = element => {
            for (let each = element; each; each = each.parentElement) {
              const found = rgb(getComputedStyle(each).backgroundColor);
              if (found.length === 3 || found[3] === 1) return found;
            }
          };
          return [...document.querySelectorAll("h1, p, th, td, li, dt, dd, a, button, figcaption")]
            .filter(each => each.checkVisibility())
            .map(each => [rgb(getComputedStyle(each).color), ground(each)]);
        }"""
    )
    assert min(contrast(*pair) for pair in texts) >= 4.5  # WCAG 2.2, level AA.


def contrast(first, second):
    """WCAG's contrast of two colors."""
    lights = sorted(luminance(color) for color in (first, second))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(color):
    channels = np.array(color[:3]) / 255.0
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def read_table(page):
    head = page.locator("#results thead th").all_inner_texts()
    lines = page.locator("#results tbody tr").all()
    body = [line.locator("th, td").all_inner_texts() for line in lines]
    return [name.strip() for name in head], {line[0]: line for line in body}


def test_numbers_are_those_of_the_csv_file(opened, folder):
    head, body = read_table(opened(1440))
    with open(folder / "table.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    values = {}
    for line in lines:
        heading = f"{line['task']} {line['metric']} % ↑"
        values.setdefault((line["run"], heading), []).append(float(line["selected"]))
    assert len(values) == 6
    for (run, heading), by_seed in values.items():
        text = body[run][head.index(heading)].split("±")[0].strip()
        digits = len(text.partition(".")[2])
        assert text == f"{np.mean(by_seed):.{digits}f}"


def test_a_heading_sorts_by_the_numbers(opened):
    page = opened(1440)
    heading = page.locator("#results thead th", has_text="column accuracy")
    for expected in (["both", "column alone", LONG], [LONG, "column alone", "both"]):
        heading.click()
        _, body = read_table(page)
        assert [name for name in body if name in expected] == expected


def test_columns_can_be_shown_and_hidden_by_keyboard(opened):
    page = opened(1440)
    assert "memory" not in read_table(page)[0]
    page.locator(".dt-buttons button").first.focus()
    page.keyboard.press("Enter")
    page.locator(".dt-button-collection button", has_text="memory").focus()
    page.keyboard.press("Enter")
    assert "memory" in read_table(page)[0]


def test_the_best_is_bold_and_verdicts_have_names(opened):
    page = opened(1440)
    bold = "[...document.querySelectorAll('.best .value')].map(x => getComputedStyle(x).fontWeight)"
    assert set(page.evaluate(bold)) == {"700"}
    assert page.get_by_label("helped", exact=True).count() == 1
    assert page.get_by_label("hurt", exact=True).count() == 1
    assert page.get_by_text("paper 91.5 (A 2018, Table 1), ours -0.483").count() == 1


def test_a_reader_without_a_screen_finds_headings_and_texts(opened):
    page = opened(390)
    assert page.locator("h1").count() == 1
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(x => x.tagName)")
    assert levels == ["H1", *["H2"] * (len(levels) - 1)]
    pictures = page.locator("img").all()
    assert len(pictures) >= 2
    assert all(picture.get_attribute("alt") for picture in pictures)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the results"
