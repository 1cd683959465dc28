"""The page of results: from real results, and as a browser shows it."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import bench.results
from bench.cli import main
from bench.compare.cases import measure_loading
from bench.comparison import Comparison, Comparisons, Run, Timing, Variant, measure_comparison
from bench.demo import Steps
from bench.environment import read_circumstances
from bench.page.document import SECTIONS, write_page
from bench.queries.during import During
from bench.queries.measure import measure
from bench.queries.pgbench import Pgbench, compare
from bench.queries.report import figures
from bench.queries.rows import Second
from bench.queries.run import Mix
from bench.queries.run import Run as QueryRun
from bench.queries.slo import SloSearch, SloStep
from bench.results import keep, read_results
from bench.tables import number
from bench.tune.candidates import read_candidate
from bench.tune.command import sentences
from bench.tune.trials import tune
from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.bench.support import CIRCUMSTANCES, CORE, LAYERS, MART, TABLES

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1100,900",
)  # fmt: skip
SHAPES = """
    return [...document.querySelectorAll('main > section[id]')].map(section => [
        section.id,
        [...section.querySelectorAll('figure svg')].map(svg => {
            const marks = svg.querySelectorAll('.role-mark path, .role-mark line, .role-mark text');
            const box = svg.getBoundingClientRect();
            return [box.width, box.height, marks.length, svg.checkVisibility()];
        }),
    ])
"""
COLORS = """
    const text = document.querySelector('figure svg text');
    return [getComputedStyle(document.body).backgroundColor, getComputedStyle(text).fill]
"""
FAR = """
    return [...document.querySelectorAll('figure svg')].flatMap(svg => {
        const edge = svg.getBoundingClientRect();
        return [...svg.querySelectorAll('text')].filter(text => {
            const box = text.getBoundingClientRect();
            return box.width > 0 && (box.right > edge.right + 1 || box.left < edge.left - 1);
        }).map(text => text.textContent);
    })
"""


@pytest.fixture(scope="module")
def results(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a result of every kind: measured small, but for those that take all of Ingot's tables."""
    folder = tmp_path_factory.mktemp("results")
    address = replace(server.address, database=f"test_page_{os.getpid()}")
    with connect(server.address) as connection:
        connection.execute(f"create database {address.database}")
        with connect(address) as own:
            own.execute(TABLES)
        try:
            write_results(folder, address)
            yield folder
        finally:
            connection.execute(f"drop database {address.database} with (force)")


def write_results(folder: Path, address: Address) -> None:
    here = read_circumstances(address)
    run = QueryRun(address=address, driver="asyncpg", connections=2, seconds=0.6, seed=1)
    rows = [row for benchmark in LAYERS for row in measure(benchmark, [None], run)]
    beside = compare(Pgbench.checked(Mix.of(MART), run), 1)
    keep("queries", figures(rows, run, [beside]), here, folder / "layers.json")
    for count in (1, 2, 3):
        more = replace(run, connections=count)
        keep("queries", figures(measure(MART, [None], more), more), here, folder / f"connections-{count}.json")
    scheduled = replace(run, rate=50, seconds=2.2)
    keep("queries", figures(measure(MART, [None], scheduled), scheduled), here, folder / "open.json")
    timeline = [Second(answers=9, p50_ms=1, p99_ms=2 + second % 2, max_ms=30 * second) for second in range(9)]
    watched = replace(rows[-1], rounds=(replace(rows[-1].rounds[0], timeline=timeline),))
    during = During("dbt run --full-refresh", 3.0, 6.5, 0)
    keep("queries", figures([watched], run, during=during), here, folder / "during.json")
    goal = SloSearch("older_mart", "p99<10ms", 10, 900.0, 1000.0, (SloStep(900, 2.5, 0, True),))
    keep("queries", figures(rows[-1:], run, slo=[goal]), here, folder / "slo.json")
    tuning = tune([CORE], [read_candidate("people (age)")], address, rounds=1, most_rounds=2, lock_seconds=5)
    keep("tune", replace(tuning, sentences=tuple(sentences(tuning))), here, folder / "tune.json")
    compared = {
        "records": [imagined("one call", "executemany, pool, 1 task", "COPY, pool, 1 task")],
        "load": measure_loading(["csv"], address, rows=300, rounds=1, only=["psql", "loader-2"]),
        "transform": [imagined("full refresh", "stock full refresh", "swap")],
        "many": [imagined("bound", "one connection", "run_queries, 2 threads")],
    }
    for kind, comparisons in compared.items():
        keep(kind, Comparisons(rounds=2, comparisons=tuple(comparisons)), here, folder / f"{kind}.json")
    keep("demo", steps(Load=1.5), here, folder / "demo.json")


def steps(**seconds: float) -> Comparisons:
    return Steps(seconds).figures(3)


def imagined(name: str, *titles: str) -> Comparison:
    """A comparison in which each variant takes half of the time of the one before, with two rounds of each."""

    def variant(title: str, seconds: float) -> Variant:
        def measured(turn: int) -> Run:
            return Run(seconds=seconds * (1 + turn), wal_bytes=10**6, reader_wait_seconds=0.01)

        origin: Any = "ours" if title == titles[-1] else "reference"
        return Variant(name=title, title=title, count=10, measure=measured, origin=origin)

    variants = [variant(title, 1 / 2**at) for at, title in enumerate(titles)]
    return measure_comparison(name, f"{name} of ten", "rows", variants, 2, lambda _: None)


@pytest.fixture
def page(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    target = tmp_path / "pages" / "report.html"
    assert main(["report", "--from", str(results), "--to", str(target)]) == 0
    assert capsys.readouterr().out.startswith(f"{target}: ")
    return target


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    if BROWSER is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver here: `apt-get install chromium chromium-driver` brings both")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


def test_the_page_as_a_browser_shows_it(page: Path, browser: webdriver.Chrome) -> None:
    assert page.stat().st_size < 3_000_000
    browser.get(page.as_uri())
    shapes: dict[str, list[Any]] = dict(browser.execute_script(SHAPES))
    assert [*shapes] == [*(section.name for section in SECTIONS), "circumstances"]
    for name, plots in shapes.items():
        assert plots or name == "circumstances", f"section {name} has no plot"
        for width, height, marks, is_visible in plots:
            assert width > 600, name
            assert height > 60, name
            assert marks > 0, name
            assert is_visible, name
    assert browser.execute_script(FAR) == [], "labels that end outside of their plot"
    assert browser.find_elements("css selector", ".missing") == []

    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    asked = {one["request"]["url"] for one in requests if one["documentURL"] == page.as_uri()}  # not the browser's own
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}

    light, dark, paper = (colors(browser, *one) for one in (("screen", "light"), ("screen", "dark"), ("print", "dark")))
    assert light[0] > light[1], "dark words on a light ground"
    assert dark[0] < dark[1], "light words on a dark ground"
    assert paper == light


def colors(browser: webdriver.Chrome, media: str, scheme: str) -> tuple[float, float]:
    """Return the brightness of the page's ground and of a plot's words."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    ground, words = browser.execute_script(COLORS)
    return brightness(ground), brightness(words)


def brightness(color: str) -> float:
    return sum(float(part) for part in color.strip("rgba()").split(",")[:3])


def test_the_page_says_what_the_figures_mean_and_where_they_come_from(page: Path, results: Path) -> None:
    text = page.read_text()
    assert "http" not in text.replace("http://www.w3.org/", ""), "no address but those that name SVG"
    assert "times as many as core" in text
    [core] = [row for row in json.loads((results / "layers.json").read_text())["rows"] if row["layer"] == "core"]
    assert f">{number(core['rounds'][0]['qps'])}</text>" in text
    assert "queries a second answered; latency counts from the scheduled time" in text
    assert "older_mart: latency of the queries due in each second" in text
    assert "Time, stock full refresh = 1: swap: 0.50." in text
    assert "layers.json" in text
    assert "PostgreSQL 1" in text
    assert "shared_buffers = " in text


def test_terminal_and_page_say_the_same(results: Path, page: Path) -> None:
    for path in results.glob("*.json"):
        content = json.loads(path.read_text())
        said = [text for one in content.get("comparisons", []) for text in one["sentences"]]
        said += [one["text"] for one in content.get("sentences", []) if one["section"] in ("pgbench", "layers")]
        for sentence in said:
            assert f'<p class="meaning">{escape(sentence)}</p>' in page.read_text()


def test_without_results_the_page_is_one_list_of_commands(tmp_path: Path) -> None:
    written = write_page(tmp_path / "nothing", tmp_path / "page.html")
    text = written.path.read_text()
    assert (written.plots, written.results) == (0, 0)
    assert text.count("<section") == 2
    for section in SECTIONS:
        assert f"<li>{escape(section.title)}: <code>{escape(section.command)}</code></li>" in text


def write(path: Path, kind: str, **content: Any) -> None:
    """Write a result by hand, as another version may have."""
    document = {"format": bench.results.FORMAT, "kind": kind, "command": "c", **asdict(CIRCUMSTANCES), **content}
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("kind", ["load", "records", "transform", "many", "demo"])
def test_a_comparison_without_seconds_is_a_section_without_a_plot(kind: str, tmp_path: Path) -> None:
    absent = Timing(variant="a", title="a", origin="peer", count=1, note="not installed")
    bare = Comparison(name="a", title="a", unit="rows", base="a", ratio_of="time", timings=(absent,))
    keep(kind, Comparisons(rounds=1, comparisons=(bare,)), CIRCUMSTANCES, tmp_path / "bare.json")
    assert write_page(tmp_path, tmp_path / "page.html").plots == 0


@pytest.mark.parametrize("kind", ["load", "queries", "records", "transform", "tune", "many", "demo"])
def test_a_result_without_figures_is_left_out_with_a_note(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "bare.json", kind)
    keep("demo", steps(Load=1.0), CIRCUMSTANCES, tmp_path / "good.json")
    written = write_page(tmp_path, tmp_path / "page.html")
    assert (written.plots, written.results) == (1, 1)
    assert re.search(r"left out: .*bare\.json: \w+: Field required.*remove it", str(written))
    assert "bare.json" in written.path.read_text()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "is not JSON"),
        ("{}", "has no kind"),
        ("[]", "has no kind"),
        ('{"kind": "records", "cases": []}', "is a result of another version"),
    ],
)
def test_a_file_that_is_no_result_is_left_out_with_a_note(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "stray.json").write_text(content)
    assert re.search(rf"left out: .*stray\.json.*{reason}", str(write_page(tmp_path, tmp_path / "page.html")))


def test_a_result_of_a_kind_without_a_plot_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "odd.json", "odd")
    assert "is of `odd`, which has no plot here" in str(write_page(tmp_path, tmp_path / "page.html"))


def test_points_of_other_circumstances_make_no_curve(results: Path, tmp_path: Path) -> None:
    settings = json.loads((results / "connections-2.json").read_text())["server"]["settings"]
    for changed, plots in ((None, 1), ("wal_level", 0)):
        folder = tmp_path / str(changed)
        folder.mkdir()
        for count in (1, 2, 3):
            content = json.loads((results / f"connections-{count}.json").read_text())
            if count == 2 and changed:
                content["server"]["settings"] = settings | {changed: "another"}
            (folder / f"{count}.json").write_text(json.dumps(content))
        assert write_page(folder, tmp_path / "page.html").plots == plots


def test_results_are_kept_in_a_file_each_and_the_newest_counts(tmp_path: Path) -> None:
    for date, seconds in (("2026-01-02T00:00:00+00:00", 7.0), ("2026-01-01T00:00:00+00:00", 9.0)):
        keep("demo", steps(Load=seconds), replace(CIRCUMSTANCES, date=date))
    results, _ = read_results(bench.results.FOLDER)
    assert [result.read(Comparisons).comparisons[0].timings[0].seconds for result in results] == [(9.0,), (7.0,)]
    page = write_page(bench.results.FOLDER, tmp_path / "page.html")
    assert page.plots == 1
    assert "own work: 7.0 s" in page.path.read_text()


def test_words_of_a_result_are_escaped(tmp_path: Path) -> None:
    here = replace(CIRCUMSTANCES, revision="<script>x</script>")
    keep("demo", steps(**{"<b>": 1.0}), here, tmp_path / "r.json")
    text = write_page(tmp_path, tmp_path / "page.html").path.read_text()
    assert "<script>" not in text
    assert "<b>" not in text
