"""`pip install .` in an environment of its own, for a dbt project that has a `loaders` folder of its own."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

import psycopg
import pytest
import yaml
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from ingot.project import SETTINGS, WRAPPERS, prepare
from loaders.connection import Address
from loaders.errors import SettingError
from tests.conftest import REPOSITORY
from tests.project.own_project import OwnDbt

FOLDERS = ("analyses", "bench", "ingot", "loaders", "macros", "models", "seeds", "tests/dbt")
FILES = ("LICENSE", "README.md", "dbt_project.yml", "profiles.yml", "pyproject.toml", "setup.py")
PEOPLE = "id,name,born,share\n1,Ada,1815-12-10,12.5%\n2,Grace,1906-12-09,50%\n"
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

    def run(self, *command: str, cwd: Path, address: Address | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder."""
        others = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "BRONZE_ROOT")}
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), others.get("PATH", "")])
        return subprocess.run(
            [self.folder / "bin" / command[0], *command[1:]],
            cwd=cwd,
            env=others | (address.environment if address else {}) | {"PATH": path},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def succeed(self, *command: str, cwd: Path, address: Address | None = None) -> str:
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
    folder, clone = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("clone")
    # A copy: a build leaves folders behind.
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


@pytest.fixture
def analytics(installed: Installed, tmp_path: Path, address: Address) -> Analytics:
    own = Analytics(tmp_path, address, installed, OwnDbt(address, tmp_path, tmp_path))
    for package in ("loaders", "bench"):
        own.write(f"{package}/__init__.py", "raise RuntimeError('not this one')\n")
    own.write("dbt_project.yml", "name: analytics\nprofile: ingot\nflags: {send_anonymous_usage_stats: false}\n")
    own.write("data/bronze/hr/1.csv", PEOPLE)
    return own


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


def test_a_project_with_loaders_of_its_own_loads_and_builds(
    analytics: Analytics, connection: psycopg.Connection
) -> None:
    shown = analytics.ingot("--help")
    assert {"bench", "declare", "init", "load", "status"} <= {line.split()[0] for line in shown.splitlines() if line}
    assert "Example: ingot bench queries -n 10" in analytics.ingot("bench", "--help")

    # What `init` prints is all that the project needs.
    packages, settings = re.split(r"^\S+\.yml:\n", analytics.ingot("init"), flags=re.MULTILINE)[1:]
    [package] = yaml.safe_load(packages)["packages"]
    assert (analytics.folder / package["local"]).resolve() == analytics.installed.clone.resolve()
    analytics.write("packages.yml", packages)
    settings = settings.partition("\nnext:")[0]
    analytics.write("dbt_project.yml", analytics.folder.joinpath("dbt_project.yml").read_text() + settings)

    said = analytics.ingot(
        "declare", "data/bronze/hr/1.csv", "--name", "hr.people", "--key", "id", "--by", "born", "--path", "hr/*.csv"
    )
    assert "    ingot load hr.people\n" in said
    assert "1 file, 2 records" in analytics.ingot("load")
    folders = ["--project-dir", str(analytics.folder), "--profiles-dir", str(REPOSITORY)]
    assert dbtRunner().invoke(["--quiet", "--log-path", str(analytics.folder / "logs"), "deps", *folders]).success
    analytics.dbt.succeed("build")
    read = "select id, name, share::text, _load_id from staging_core.hr_people order by id"
    assert connection.execute(read).fetchall() == [(1, "Ada", "0.125", 1), (2, "Grace", "0.50", 1)]

    # An increment writes what changed, a full refresh keeps what depends on the table.
    connection.execute("create view public.names as select name from staging_core.hr_people")
    analytics.write("data/bronze/hr/2.csv", "id,name,born,share\n1,Ada King,1815-12-10,12.5%\n3,Alan,1912-06-23,\n")
    assert "1 file, 2 records" in analytics.ingot("load")
    analytics.dbt.succeed("build")
    rows = [(1, "Ada King", "0.125", 2), (2, "Grace", "0.50", 1), (3, "Alan", None, 2)]
    assert connection.execute(read).fetchall() == rows
    before = connection.execute("select 'staging_core.hr_people'::regclass::oid").fetchone()
    analytics.dbt.succeed("run", "--full-refresh")
    assert connection.execute("select 'staging_core.hr_people'::regclass::oid").fetchone() != before
    assert connection.execute(read).fetchall() == rows
    assert connection.execute("select count(*) from public.names").fetchone() == (3,)


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


def test_a_database_without_ledger_is_told_how_the_loader_is_called_here(analytics: Analytics) -> None:
    analytics.ingot("init")
    (analytics.folder / "dbt_packages").mkdir()
    (analytics.folder / "dbt_packages" / "ingot").symlink_to(analytics.installed.clone)
    analytics.write("packages.yml", f"packages: [{{local: {analytics.installed.clone}}}]\n")
    settings = SETTINGS.read_text().replace("PROJECT", "analytics")
    analytics.write("dbt_project.yml", f"name: analytics\nprofile: ingot\n{settings}")
    analytics.write("models/core/one.sql", "select 1 as one")
    assert "is missing in database" in (said := analytics.dbt.run("run").stdout)
    assert "run `ingot load` first" in said


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
