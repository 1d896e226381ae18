"""The pages in a browser: nothing is cut, the form decides as the library does, all is reached by keyboard."""

import itertools
import json
import re
from pathlib import Path

import pytest
from result_tables import make_tables
from test_report import build

from chromium import Browser, needed
from mlipshift.base.tables import read_table
from mlipshift.catalogue.figures import FIGURES, reported
from mlipshift.mitigate import decision
from mlipshift.show import drawing, style
from mlipshift.show.report import cells, diagnosis, left_out
from mlipshift.show.report.downloads import downloads
from mlipshift.show.report.page import page as template
from mlipshift.show.report.page import section

pytestmark = [needed, pytest.mark.slow]
REPORT = Path(__file__).parents[2] / "workflow" / "report"
PAPER, LANDSCAPE = 703, 1032  # px, the width of A4 between its margins, and of A4 on its side
CAPTION = "What is drawn here, of n = 37 structures. Dashed line: chemical accuracy, 43 meV/Å (1 kcal/mol/Å)."

# what is wider than the page or, on paper, than its own frame; a frame may scroll on a screen
CUT = """(() => {
  const wide = document.documentElement.clientWidth, paper = matchMedia("print").matches, found = [];
  const whole = document.documentElement.scrollWidth;
  if (whole > wide) found.push("the page scrolls to " + whole);
  for (const e of document.querySelectorAll("main *")) {
    if (!e.checkVisibility() || e.matches(".skip, option")) continue;
    const frame = e.parentElement.closest(".scroll, pre"), box = e.getBoundingClientRect();
    if (frame ? paper && box.right > wide + 1 : box.right > wide + 1)
      found.push(e.tagName + " " + (e.id || e.className) + " " + e.textContent.slice(0, 40) + " ends at " + box.right);
  }
  return found;
})()"""
# contrast of every visible text with what is behind it
FAINT = """(() => {
  const rgb = c => c.match(/[\\d.]+/g).map(Number);
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = new Set();
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.checkVisibility() || e.closest("script, style")) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.add(e.tagName + " " + e.className + " " + (a + 0.05) / (b + 0.05));
  }
  return [...found];
})()"""
FOCUSED = """(() => {
  const e = document.activeElement, all = [...document.querySelectorAll("*")], look = getComputedStyle(e);
  return {place: all.indexOf(e), tag: e.tagName, name: e.name || e.getAttribute("href") || e.className || e.textContent,
          seen: look.outlineStyle !== "none" && parseFloat(look.outlineWidth) >= 2};
})()"""
UNNAMED = """[...document.querySelectorAll("input, select, textarea, [role=region], nav")]
  .filter(e => !(e.getAttribute("aria-label") || e.labels?.length)).map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as started:
        yield started


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Path of a report of made-up tables, with one figure that is drawn and captions for all."""
    folder = tmp_path_factory.mktemp("page")
    paths, figures = make_tables(folder), folder / "figures"
    figures.mkdir()
    figure, _ = drawing.draw("fig_shift_axes", paths, FIGURES["fig_shift_axes"].title)
    for name in reported():
        style.save(figure, figures / f"{name}.svg")
        (figures / f"{name}.txt").write_text(CAPTION)
    build(folder, figures)
    return folder / "report.html"


def of_diagnosis(folder):
    """A page of a diagnosis without models."""
    paths = make_tables(folder)
    summary = read_table(paths["shift_summary"])
    shares = {"outside": summary, "sweep": summary.assign(sigma=1.0)}
    given = {name: read_table(paths[name]) for name in ("census", "left_out", "label_check", "duplicate_counts")}
    read = {"told": ["A line."], "tables": left_out.tables(given)}
    info = {"sigma": "1", "cutoff": "5", "run": "", "missing": ["Something."]}
    return diagnosis.render(REPORT / "diagnosis.html.j2", shares, folder / "none", [], info, read)


def of_help(folder):
    """A page on models with one very wide table and some code."""
    wide = cells.table([f"A long heading {k}" for k in range(14)], [[cells.cell("1,234.5 [1.0, 2.0]", 1.0)] * 14] * 3)
    given = {"costs": read_table(make_tables(folder)["summary"])}
    table = {"id": "t", "title": "Costs", "heading": "Costs.", "content": wide, "open": False}
    table["downloads"] = downloads(["costs"], given)
    parts = {"texts": ["A text."], "code": "word " * 60, "tables": [table]}
    words = {"title": "Models", "lead": "A lead.", "run": "", "warnings": ["A warning."]}
    answer = [{"title": "", "text": "An answer."}]
    return template(REPORT / "help.html.j2").render(**words, answer=answer, sections=[section("s", "S", **parts)])


@pytest.fixture(scope="module", params=["report", "diagnosis", "help"])
def page(request, browser, report, tmp_path_factory):
    """Each of the pages, opened."""
    path = report
    if request.param != "report":
        path = tmp_path_factory.mktemp(request.param) / "page.html"
        path.write_text({"diagnosis": of_diagnosis, "help": of_help}[request.param](path.parent), encoding="utf-8")
    return browser.open(path)


@pytest.fixture(autouse=True)
def as_opened(request):
    """Every test finds a page on a light screen of 1280 px with its tables folded away."""
    yield
    if "page" in request.fixturenames:
        page = request.getfixturevalue("page")
        page.media()
        page.resize(1280)
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)")


@pytest.mark.parametrize("width", [1280, 1080, 400])
def test_nothing_is_wider_than_the_screen(page, width):
    page.resize(width)
    assert page.evaluate(CUT) == []
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(CUT) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_what_is_behind_it(page, scheme):
    page.media("", scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 27)")
    assert page.evaluate(FAINT) == []
    # what is drawn has black text and no ground of its own
    grounds = "[...document.querySelectorAll('figure .scroll')].map(f => getComputedStyle(f).backgroundColor)"
    assert set(page.evaluate(grounds)) <= {"rgb(255, 255, 255)"}


def test_tables_are_folded_on_a_screen_and_open_on_paper(page, tmp_path):
    each = "[...document.querySelectorAll('details')].map(d => [d, d.querySelector('table, dl')])"
    folded = f"{each}.map(([d, t]) => [d.open, t.checkVisibility()])"
    shown = f"{each}.map(([d, t]) => t.getBoundingClientRect().height)"
    assert page.evaluate(folded) and not any(open for open, _ in page.evaluate(folded))
    page.media("print", "dark")
    for width, wide in ((PAPER, "none"), (LANDSCAPE, "block")):
        page.resize(width)
        page.evaluate(f"document.querySelectorAll('details.wide').forEach(d => d.style.display = '{wide}')")
        assert page.evaluate(CUT) == []
    assert min(page.evaluate(shown)) > 20
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 31, 35)", "dark ink whatever the desktop"
    assert page.evaluate("document.querySelector('#choice-form')?.checkVisibility() ?? false") is False
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.media()
    assert not any(open for open, _ in page.evaluate(folded)), "printing leaves them as they were"


def test_all_that_can_be_used_is_reached_by_tab_in_order(page):
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    usable = (
        "[...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility()).map(e => [...document.querySelectorAll('*')].indexOf(e))"
    )
    expected, found = page.evaluate(usable), []
    for _ in expected:
        page.press("Tab", 9)
        found.append(page.evaluate(FOCUSED))
    assert [f["place"] for f in found] == expected
    assert found[0]["name"] == "#main" and all(f["seen"] for f in found)
    names = [f["name"] for f in found if f["tag"] == "INPUT"]
    assert names in ([], ["predictions", "prior_seconds", "budget", "tolerance"])


def test_headings_are_in_order_and_everything_has_a_name(page):
    assert page.evaluate("document.documentElement.lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1 and all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)) and page.evaluate(UNNAMED) == []
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))")
    assert set(links) <= set(ids)
    assert page.evaluate("[...document.images].every(i => i.alt && i.naturalWidth > 0)")


def test_every_figure_has_its_message_and_the_caption_s_words_for_those_who_do_not_see(browser, report):
    page = browser.open(report)
    found = page.evaluate("[...document.querySelectorAll('figure')].map(f => [f.id, f.querySelector('img').alt])")
    assert found == [[name, "What is drawn here, of n = 37 structures"] for name in reported()]
    messages = page.evaluate("[...document.querySelectorAll('figure > h3:first-child')].map(h => h.textContent)")
    assert len(messages) == len(found) and all(re.search(r"\d", m) for m in messages)


# the form

GRID = list(itertools.product((1, 7, 1000, 1e6), (0, 0.02, 0.3, 60), (None, 0.01, 0.5), (None, 75, 200)))
SAY = """((predictions, prior_seconds, budget, tolerance) => {
  const form = document.getElementById("choice-form"), given = {predictions, prior_seconds, budget, tolerance};
  for (const [name, value] of Object.entries(given)) form.elements[name].value = value === null ? "" : value;
  form.elements.predictions.dispatchEvent(new Event("input", {bubbles: true}));
  const chosen = [...document.querySelectorAll("tr.chosen th")].map(e => e.textContent);
  return {...document.getElementById("choice-answer").dataset, chosen,
          text: document.getElementById("choice-answer").textContent};
})"""


def methods_of(path):
    """decision.Method of the rows of a table."""
    columns = ("method", "error_meV_per_A", "seconds_per_prediction", "prior_calls_per_prediction")
    columns += ("prior_calls_per_adaptation", "seconds_per_adaptation")
    return [decision.Method(*(row[c] for c in columns)) for row in read_table(path).to_dict("records")]


def test_the_form_decides_as_the_library_does(browser, report):
    page, methods = browser.open(report), methods_of(report.parent / "timings" / "decision_methods.csv")
    known = [m for m in methods if m.error == m.error]
    once = lambda m: m.adaptation_calls + m.adaptation_seconds > 0
    adapted, direct = (min((m for m in known if once(m) == kind), key=lambda m: m.error) for kind in (True, False))
    asked = ", ".join(json.dumps(case) for case in GRID)
    answers = page.evaluate(f"[{asked}].map(asked => {SAY}(...asked))")
    for (number, seconds, budget, tolerance), said in zip(GRID, answers):
        found = decision.choose(methods, number, seconds, tolerance, budget)
        assert said["choice"] == (found.name if found else ""), (number, seconds, budget, tolerance)
        assert len(said["chosen"]) == (found is not None)
        if found:
            assert float(said["error"]) == found.error
            assert float(said["seconds"]) == pytest.approx(found.cost(number, seconds), rel=1e-12)
            assert f"{found.error:.1f} meV/Å" in said["text"]
        assert float(said["breakeven"].replace("Infinity", "inf")) == pytest.approx(
            decision.breakeven(adapted, direct, seconds), rel=1e-9
        )
    assert len({said["choice"] for said in answers}) >= 5, "it changes its answer"


def test_the_form_changes_its_answer_as_one_types(browser, report):
    page = browser.open(report)
    answer = "document.getElementById('choice-answer').textContent"
    assert page.evaluate(answer).startswith("Δ-learning: 55.0 meV/Å [47.0, 63.0], 0.02 s per prediction")
    assert page.evaluate("document.getElementById('choice-form').elements.prior_seconds.value") == "0.02"
    page.evaluate("document.getElementsByName('prior_seconds')[0].select()")
    for key in "2":
        page.call("Input.insertText", text=key)
    text = page.evaluate(answer)
    assert text.startswith("Joint + distillation (4): 60.0 meV/Å [52.0, 68.0], 0.041 s per prediction, 41 s for all")
    assert "is cheaper than Δ-learning from 21 predictions on, at 5.0 meV/Å more." in text
    for name, value, said in (
        ("predictions", "0", "Give 1 or more predictions"),
        ("prior_seconds", "", "Give the seconds of a prior call"),
        ("budget", "0", "No method is that cheap."),
    ):
        page.evaluate(f"document.getElementsByName('{name}')[0].select()")
        page.call("Input.insertText", text=value) if value else page.press("Delete", 46)
        assert page.evaluate(answer).startswith(said)
        page.evaluate("document.querySelector('.reset').click(); new Promise(done => setTimeout(done, 50))")
    assert page.evaluate(answer).startswith("Δ-learning: 55.0 meV/Å"), "as measured"


def test_without_scripts_the_tables_of_the_decision_stand_open(browser, report):
    page = browser.open(report, scripts=False)
    assert page.evaluate("document.getElementById('choice-form').checkVisibility()") is False
    open_ones = "[...document.querySelectorAll('details[open] table')].map(t => [t.id, t.checkVisibility()])"
    assert page.evaluate(open_ones) == [["answers", True], ["decision", True]]
    assert "Δ-learning" in page.evaluate("document.getElementById('decision').textContent")
    assert page.evaluate(CUT) == []


def test_a_column_is_sorted_by_its_header(browser, report):
    page = browser.open(report)
    values = "[...document.querySelectorAll('#methods tbody tr')].map(r => Number(r.cells[1].dataset.sort))"
    press = "document.querySelectorAll('#methods thead button')[1].click()"
    page.evaluate(press)
    assert page.evaluate(values) == sorted(page.evaluate(values))
    page.evaluate(press)
    assert page.evaluate(values) == sorted(page.evaluate(values), reverse=True)
