"""The page of results: from real results, and as a browser shows it."""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import bench.results
from bench.cli import main
from bench.compare.cases import measure_loading
from bench.compare.loading import loading_figures
from bench.compare.records import persons, time_cases, timings_figures
from bench.compare.transform import COMPARED_WITH, Cost, Way, transform_figures
from bench.errors import ResultUnreadable
from bench.many.benchmark import SEQUENTIAL, ManyRow, many_figures
from bench.page.document import SECTIONS, write_page
from bench.page.figure import listed, number, several
from bench.queries.benchmarks import Benchmark, Parameter
from bench.queries.measure import measure
from bench.queries.pgbench import compare
from bench.queries.report import circumstances, figures
from bench.queries.worker import Mix, Run, run_async
from bench.results import keep, read_results
from bench.tune.candidates import read_candidate
from bench.tune.report import tuning_figures
from bench.tune.trials import tune
from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.bench.conftest import LAYERS, SQL

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
            own.execute(LAYERS)
        try:
            write_results(folder, address)
            yield folder
        finally:
            connection.execute(f"drop database {address.database} with (force)")


def write_results(folder: Path, address: Address) -> None:
    age = Parameter("age", "integer", range(22, 66))
    benchmarks = [Benchmark(f"older_{layer}", "older", layer, text, (age,)) for layer, text in SQL.items()]
    core, mart = benchmarks[1:]
    run = Run(address=address, driver="asyncpg", connections=2, seconds=0.6, seed=1)
    rows = [row for benchmark in benchmarks for row in measure(benchmark, [50], run)]
    keep("queries", figures(rows, [compare(Mix.of(mart), run, rounds=1)], run), folder / "layers.json")
    for count in (1, 2, 3):
        more = replace(run, connections=count)
        keep("queries", figures(measure(mart, [None], more), [], more), folder / f"connections-{count}.json")
    scheduled = replace(run, rate=50, seconds=2.2)
    keep("queries", figures(measure(mart, [None], scheduled), [], scheduled), folder / "open.json")
    tuning = tune([core], [read_candidate("people (age)")], address, runs=1, seed=1, lock_seconds=5)
    keep("tune", tuning_figures(tuning, address, 1), folder / "tune.json")
    timings = run_async(time_cases(address, persons(20, 1), 1))
    keep("records", timings_figures(timings, address, 1), folder / "records.json")
    loads = measure_loading(["csv"], address, rows=300, runs=1, only=["psql", "loader-2"])
    keep("load", loading_figures(loads, address, 1), folder / "load.json")
    names = dict.fromkeys([*COMPARED_WITH, *COMPARED_WITH.values()])
    refreshes = [name for name in names if "stock full" in name or "relink" in name or "in place" in name]
    ways = [
        Way(name, 1000 if name in refreshes else 100, costs(at), 8192, 8192, at) for at, name in enumerate(names, 1)
    ]
    keep("transform", transform_figures(ways, address, 1000), folder / "transform.json")
    many = [
        ManyRow("bound", 0, 0, way, 10, (at, at + 1)) for at, way in enumerate(["threads, 2 workers", SEQUENTIAL], 1)
    ]
    keep("many", many_figures(many, address, 2, 1), folder / "many.json")
    steps = [{"title": "Load", "seconds": 1.5}]
    keep("demo", {**circumstances(address), "rows": 3, "steps": steps}, folder / "demo.json")


def costs(at: int) -> tuple[Cost, ...]:
    return Cost(at / 10, 1_000_000, 0.01), Cost(at / 5, 2_000_000, 0.02)


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

    light, dark, paper = (colors(browser, *way) for way in (("screen", "light"), ("screen", "dark"), ("print", "dark")))
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
    assert f">{number(core['qps'])}</text>" in text
    assert "50.0 queries arrived a second (the dashed line)" in text
    assert "Relink takes 0.14 of stock dbt&#39;s time" in text
    assert "Best is threads, 2 workers: " in text
    assert "layers.json" in text
    assert "PostgreSQL 1" in text
    assert "shared_buffers = " in text


def test_without_results_every_section_says_which_command_makes_them(tmp_path: Path) -> None:
    written = write_page(tmp_path / "nothing", tmp_path / "page.html")
    text = written.path.read_text()
    assert (written.plots, written.results) == (0, 0)
    assert text.count("No result yet") == len(SECTIONS)
    for section in SECTIONS:
        assert f"<code>{section.command}</code> makes it" in text


@pytest.mark.parametrize("kind", ["load", "queries", "records", "transform", "tune", "many", "demo"])
def test_a_result_without_what_is_drawn_is_a_section_without_a_plot(kind: str, tmp_path: Path) -> None:
    keep(kind, {}, tmp_path / "bare.json")
    assert write_page(tmp_path, tmp_path / "page.html").plots == 0


def test_a_section_whose_figures_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    keep("records", {"cases": [{"tasks": 1}]}, tmp_path / "old.json")
    with pytest.raises(ResultUnreadable, match=r"old\.json.*remove it"):
        write_page(tmp_path, tmp_path / "page.html")


def test_results_are_kept_in_a_file_each_and_the_newest_counts(tmp_path: Path) -> None:
    for date, seconds in (("2026-01-02T00:00:00+00:00", 7.0), ("2026-01-01T00:00:00+00:00", 9.0)):
        keep("demo", {"date": date, "rows": 3, "steps": [{"title": "Load", "seconds": seconds}]})
    assert [result.content["steps"][0]["seconds"] for result in read_results(bench.results.FOLDER)] == [9.0, 7.0]
    assert "it takes 7.00 s" in write_page(bench.results.FOLDER, tmp_path / "page.html").path.read_text()


@pytest.mark.parametrize(("content", "reason"), [("{", "is not JSON"), ("{}", "has no kind"), ("[]", "has no kind")])
def test_a_file_that_is_no_result_is_named(content: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "stray.json").write_text(content)
    with pytest.raises(ResultUnreadable, match=rf"stray\.json.*{reason}"):
        read_results(tmp_path)


def test_words_of_a_result_are_escaped(tmp_path: Path) -> None:
    keep(
        "demo",
        {"rows": 3, "revision": "<script>x</script>", "steps": [{"title": "<b>", "seconds": 1}]},
        tmp_path / "r.json",
    )
    text = write_page(tmp_path, tmp_path / "page.html").path.read_text()
    assert "<script>" not in text
    assert "<b>" not in text


def test_numbers_in_words() -> None:
    assert [number(value) for value in (26_543, 4_120, 17.77, 0.838, 0.0042, 0)] == [
        "26,500", "4,120", "17.8", "0.84", "0.0042", "0.00",
    ]  # fmt: skip
    assert several([4_000, 12.3]) == "12.3 to 4,000"
    assert several([2.0, 2.001]) == "2.00"
    assert [listed([]), listed(["a"]), listed(["a", "b", "c"])] == ["", "a", "a, b and c"]
