"""`pip install .` in an environment of its own, for a dbt project that has a `loaders` folder of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

import psycopg
import pytest
import yaml
from dbt.contracts.graph.manifest import Manifest

from ingot.project import SETTINGS, WRAPPERS, prepare
from loaders.connection import Address
from loaders.errors import SettingError
from tests.conftest import REPOSITORY
from tests.project.own_project import OwnDbt, package_file
from tests.project.page import blocks, commands, run_command

FOLDERS = ("analyses", "bench", "ingot", "loaders", "macros", "models", "seeds", "tests/dbt")
FILES = ("LICENSE", "README.md", "dbt_project.yml", "profiles.yml", "pyproject.toml", "setup.py")
INSERT_AND_READ = """
import asyncio, sys
from ingot import insert_records, run_queries
if __name__ == "__main__":
    url = sys.argv[1]
    asyncio.run(insert_records(url, "public.numbers", [{"n": n} for n in range(10)]))
    payloads = [("select sum(n) from public.numbers", ())] * 4
    print([one.rows for one in run_queries(url, payloads, workers=2, mode="processes", progress=False)])
"""


@dataclass(frozen=True)
class Installed:
    """An environment with this project from a clone in it, and the dependencies of the tests' own."""

    folder: Path
    clone: Path

    @property
    def distribution(self) -> Distribution:
        [site] = self.folder.glob("lib/python*/site-packages")
        [found] = distributions(name="ingot", path=[str(site)])
        return found

    def environment(self, address: Address) -> dict[str, str]:
        """What a program of the environment runs with, whose commands are found first."""
        others = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "BRONZE_ROOT")}
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), others.get("PATH", "")])
        return others | address.environment | {"PATH": path}

    def run(self, *command: str, cwd: Path, address: Address) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder."""
        return subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=cwd, env=self.environment(address), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def succeed(self, *command: str, cwd: Path, address: Address) -> str:
        """Run a program of the environment, see that it ends well, and return what it printed."""
        done = self.run(*command, cwd=cwd, address=address)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def install(folder: Path, *what: str | Path) -> subprocess.CompletedProcess[str]:
    """Make an environment, and install into it without isolation and dependencies: nothing is downloaded."""
    venv.create(folder)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", folder / "bin" / "python"]
    return subprocess.run(
        [*pip, "install", "--no-deps", "--no-build-isolation", *what], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("environment")
    # A copy, since a build leaves folders behind; beside the project, as docs/own-project.md has it.
    clone = tmp_path_factory.mktemp("projects") / "ingot"
    clone.mkdir()
    for name in FILES:
        shutil.copy(REPOSITORY / name, clone)
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    # What the build of an earlier revision has left.
    (clone / "build" / "lib" / "loaders").mkdir(parents=True)
    (clone / "build" / "lib" / "loaders" / "stale.py").touch()
    done = install(folder, clone)
    assert done.returncode == 0, done.stdout + done.stderr
    return Installed(folder, clone)


@dataclass(frozen=True)
class Analytics:
    """Somebody's dbt project, whose own `loaders` must never be imported."""

    folder: Path
    address: Address
    installed: Installed
    dbt: OwnDbt

    def ingot(self, *arguments: str) -> str:
        return self.installed.succeed("ingot", *arguments, cwd=self.folder, address=self.address)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def follow(self, said: str) -> None:
        """Add the lines that `init` has printed, which are all that the project needs."""
        packages, settings = re.split(r"^\S+\.yml:\n", said, flags=re.MULTILINE)[1:]
        self.write("packages.yml", packages)
        settings = settings.partition("\nnext:")[0]
        self.write("dbt_project.yml", (self.folder / "dbt_project.yml").read_text() + settings)


@pytest.fixture
def analytics(installed: Installed, address: Address) -> Iterator[Analytics]:
    folder = installed.clone.parent / "analytics"
    own = Analytics(folder, address, installed, OwnDbt(address, folder, folder))
    for package in ("loaders", "bench"):
        own.write(f"{package}/__init__.py", "raise RuntimeError('not this one')\n")
    own.write("dbt_project.yml", "name: analytics\nprofile: ingot\nflags: {send_anonymous_usage_stats: false}\n")
    profiles = (REPOSITORY / "profiles.yml").read_text()
    own.write("profiles.yml", profiles.replace("schema: staging", "schema: analytics"))
    yield own
    shutil.rmtree(folder)


def test_the_packages_hold_their_files_and_the_extras(installed: Installed) -> None:
    wanted = {
        str(path.relative_to(REPOSITORY) if folder == "ingot" else Path("ingot") / path.relative_to(REPOSITORY))
        for folder in ("loaders", "bench", "ingot")
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in (".py", ".sql", ".html", ".yml")
    }
    held = {str(path) for path in installed.distribution.files or [] if path.suffix != ".pyc"}
    assert {name for name in held if name.startswith("ingot/")} == wanted
    # And nothing at the top level that another project may have.
    assert {name.split("/")[0] for name in held} <= {"ingot", "ingot-0.1.0.dist-info", ".."}
    assert sorted(installed.distribution.metadata.get_all("Provides-Extra") or []) == ["extract", "peers"]
    for extra, page in (("peers", "benchmarks.md"), ("extract", "adding-a-source.md")):
        assert f"pip install '.[{extra}]'" in (REPOSITORY / "docs" / page).read_text()


def test_an_editable_install_is_refused(installed: Installed, tmp_path: Path) -> None:
    done = install(tmp_path, "--editable", installed.clone)
    assert done.returncode == 1
    assert "An editable install is not supported: use `pip install .`" in done.stdout + done.stderr


def test_the_page_says_what_happens(analytics: Analytics, connection: psycopg.Connection) -> None:
    """docs/own-project.md as it stands, in a project that has `loaders` of its own; then the next delivery."""
    stocks = package_file("vega_datasets/_data/stocks.csv").read_text()
    analytics.write("data/bronze/stocks/prices-2010-03.csv", stocks)
    environment = analytics.installed.environment(analytics.address)
    for kind, block in blocks("own-project.md"):
        for command, expected in commands(block) if kind == "console" else ():
            if command.startswith("pip install "):
                continue  # as the fixture has done, whose packages are here already
            said = run_command(command, expected, analytics.folder, environment)
            if command == "ingot init":
                analytics.follow(said)
            if command.startswith("ingot declare"):
                # Without a ledger, what to run is named as it is called here.
                early = analytics.dbt.run("run").stdout
                assert "is missing in database" in early
                assert "run `ingot load` first" in early

    # An increment writes what changed, a full refresh keeps what depends on the table.
    connection.execute("create view public.prices as select price from analytics_core.stocks_prices")
    delivery = "symbol,date,price\nIBM,Mar 1 2010,1.5\nIBM,Apr 1 2010,\n"
    analytics.write("data/bronze/stocks/prices-2010-04.csv", delivery)
    assert "1 file, 2 records" in analytics.ingot("load")
    analytics.dbt.succeed("build")
    counts = "select count(*), count(*) filter (where _load_id = 2), count(price) from analytics_core.stocks_prices"
    assert connection.execute(counts).fetchone() == (561, 2, 560)
    before = connection.execute("select 'analytics_core.stocks_prices'::regclass::oid").fetchone()
    analytics.dbt.succeed("run", "--full-refresh")
    assert connection.execute("select 'analytics_core.stocks_prices'::regclass::oid").fetchone() != before
    assert connection.execute(counts).fetchone() == (561, 2, 560)
    assert connection.execute("select count(price) from public.prices").fetchone() == (560,)


def test_help_names_the_commands_as_they_are_called_here(analytics: Analytics) -> None:
    shown = analytics.ingot("--help")
    assert {"bench", "declare", "init", "load", "status"} <= {line.split()[0] for line in shown.splitlines() if line}
    assert "Example: ingot bench queries -n 10" in analytics.ingot("bench", "--help")


def test_commands_of_commands_and_processes_find_the_installed_packages(analytics: Analytics) -> None:
    """The loader as bench starts it, and processes that are spawned, in a folder where `loaders` is another's."""
    script = analytics.write("insert_and_read.py", INSERT_AND_READ)
    url = analytics.address.psql_url
    with psycopg.connect(url) as connection:
        connection.execute("create table public.numbers (n integer)")
    own = analytics.installed
    assert "[[(45,)], [(45,)], [(45,)], [(45,)]]" in own.succeed(
        "python", script.name, url, cwd=analytics.folder, address=analytics.address
    )
    result = analytics.folder / "result.json"
    options = ("--rows", "1000", "--rounds", "1", "--only", "psql", "--only", "loader-1", "--json", str(result))
    analytics.ingot("bench", "load", "csv", *options)
    assert json.loads(result.read_text())["command"].startswith("ingot bench load csv --rows 1000")


@pytest.mark.parametrize("command", [("transform", "--rows", "100"), ("generate", "shop", "--rows", "10")])
def test_what_reads_the_repository_says_so_without_it(analytics: Analytics, command: tuple[str, ...]) -> None:
    done = analytics.installed.run("ingot", "bench", *command, cwd=analytics.folder, address=analytics.address)
    assert (done.returncode, "of Ingot's repository: run it in a clone" in done.stderr) == (1, True), done.stderr


def test_init_overwrites_nothing_and_leaves_out_what_the_project_defines(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no dbt_project\.yml"):
        prepare(tmp_path, "../ingot")
    (tmp_path / "dbt_project.yml").write_text("name: analytics\nmacro-paths: [jinja]\n")
    (tmp_path / "jinja").mkdir()
    (tmp_path / "jinja" / "own.sql").write_text(
        "{% macro last_landed_at(raw_table) %}{% endmacro %}\n{%- materialization view, adapter='postgres' -%}\n"
    )
    said = prepare(tmp_path, "https://example.org/ingot.git")
    assert "left out: the macro last_landed_at, which jinja/own.sql defines" in said
    assert "left out: the materialization view, which jinja/own.sql defines" in said
    assert "  - git: https://example.org/ingot.git" in said
    written = (tmp_path / "jinja" / "ingot_wrappers.sql").read_text()
    assert "macro last_landed_at" not in written
    assert "materialization view" not in written
    assert "materialization table" in written
    with pytest.raises(SettingError, match="is there already, and nothing is overwritten"):
        prepare(tmp_path, "../ingot")


def test_every_macro_that_dbt_looks_up_by_its_plain_name_has_a_wrapper(parsed: Manifest) -> None:
    ours = {one.name: one for one in parsed.macros.values() if one.package_name == "ingot"}
    builtin = {one.name for one in parsed.macros.values() if one.package_name in ("dbt", "dbt_postgres")}
    wrapped = set(re.findall(r"return\(ingot\.(\w+)\(", WRAPPERS.read_text()))
    assert wrapped <= ours.keys()
    looked_up = {
        name for name in ours if name in builtin or re.fullmatch("materialization_.*|get_incremental_.*", name)
    }
    # How a project names its schemas is its own affair.
    assert looked_up - {"generate_schema_name"} <= wrapped
    # With the same arguments.
    signature = r"{%-? (?:macro|test) {}\((.*?)\)"
    for name in wrapped - {name for name in wrapped if name.startswith("materialization_")}:
        pattern = signature.replace("{}", name.removeprefix("test_"))
        assert re.findall(pattern, WRAPPERS.read_text()) == re.findall(pattern, ours[name].macro_sql), name


def test_the_settings_are_those_of_this_repository() -> None:
    told = yaml.safe_load(SETTINGS.read_text())
    ours = yaml.safe_load((REPOSITORY / "dbt_project.yml").read_text())
    for layer, settings in told["models"]["PROJECT"].items():
        assert settings == {key: value for key, value in ours["models"]["ingot"][layer].items() if key.startswith("+")}
    assert told["on-run-start"] == [hook.replace("{{ ", "{{ ingot.") for hook in ours["on-run-start"]]
    # Each folder of samples is set aside.
    folders = {path.name for path in (REPOSITORY / "models" / "staging").iterdir() if path.is_dir()}
    assert folders == told["sources"]["ingot"]["staging"].keys()
