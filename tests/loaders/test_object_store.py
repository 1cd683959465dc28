"""Bronze in object stores: real servers on loopback, credentials by the stores' own variables."""

import gzip
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
import psycopg
import pytest
from obstore.store import AzureStore, S3Store

from loaders.bronze import BronzeFile, Folder
from loaders.errors import ExtractError
from loaders.object_store import ObjectStore, glob_pattern
from loaders.read_ahead import HELD_BYTES, Fetched, ReadAhead
from tests.conftest import Project
from tests.loaders.extract.api import TOKEN, Answer, RestApi, serving, times
from tests.loaders.extract.conftest import PAGES, Extractor, records
from tests.loaders.oracle import count, ledger_agrees
from tests.processes import free_port

# The account that every Azurite has; its key is in its documentation.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class RunningStore:
    """A store with an empty bucket: its URL for BRONZE_ROOT, its variables, and a client to put objects with."""

    url: str
    environment: dict[str, str]
    client: S3Store | AzureStore

    def put(self, path: str, data: bytes) -> None:
        obstore.put(self.client, f"bronze/{path}", data)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the store's server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(port, process)
        yield port
        process.terminate()


@pytest.fixture
def s3(s3_port: int, request: pytest.FixtureRequest) -> RunningStore:
    return s3_at(s3_port, s3_port)


def s3_at(port: int, real_port: int) -> RunningStore:
    """The S3 server, whose objects are put at its real port and read through another, such as a proxy's."""
    bucket = f"bucket-{time.monotonic_ns()}"
    subprocess.run([sys.executable, "-c", MAKE_BUCKET, str(real_port), bucket], check=True, stdout=subprocess.DEVNULL)
    options = {"access_key_id": "a", "secret_access_key": "s", "region": "us-east-1"}
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    client = S3Store(bucket, endpoint=f"http://127.0.0.1:{real_port}", client_options={"allow_http": True}, **options)  # type: ignore[call-overload]
    return RunningStore(f"s3://{bucket}/bronze", environment, client)


# boto3, which moto brings, warns of its own Python; so it runs apart.
MAKE_BUCKET = """
import sys, boto3
boto3.client("s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1",
    aws_access_key_id="a", aws_secret_access_key="s").create_bucket(Bucket=sys.argv[2])
"""


@pytest.fixture(scope="module")
def azurite_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("no azurite-blob on PATH: npm install --global azurite")
    port = free_port()
    folder = tmp_path_factory.mktemp("azurite")
    command = [program, "--blobPort", str(port), "--location", str(folder), "--silent", "--skipApiVersionCheck"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(port, process)
        yield port
        process.terminate()


@pytest.fixture
def azure(azurite_port: int) -> RunningStore:
    container = f"container-{time.monotonic_ns()}"
    endpoint = f"http://127.0.0.1:{azurite_port}/{AZURITE_ACCOUNT}"
    subprocess.run([sys.executable, "-c", MAKE_CONTAINER, endpoint, container, AZURITE_KEY], check=True)
    environment = {
        "AZURE_STORAGE_ACCOUNT_NAME": AZURITE_ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY,
        "AZURE_STORAGE_ENDPOINT": endpoint,
        "AZURE_ALLOW_HTTP": "true",
    }
    client = AzureStore(
        container,
        account_name=AZURITE_ACCOUNT,
        account_key=AZURITE_KEY,
        endpoint=endpoint,
        client_options={"allow_http": True},
    )
    return RunningStore(f"az://{container}/bronze", environment, client)


# A container is made by one signed request, which takes no client library.
MAKE_CONTAINER = """
import base64, email.utils, hashlib, hmac, sys, urllib.request
endpoint, container, key = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
account = endpoint.rsplit("/", 1)[1]
signed = (f"PUT\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\nx-ms-date:{date}\\nx-ms-version:2021-08-06\\n"
    f"/{account}/{account}/{container}\\nrestype:container")
digest = base64.b64encode(hmac.new(base64.b64decode(key), signed.encode(), hashlib.sha256).digest()).decode()
urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{container}?restype=container", method="PUT", headers={
    "x-ms-date": date, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey {account}:{digest}",
    "Content-Length": "0"}))
"""


@pytest.mark.parametrize("name", ["s3", "azure"])
def test_objects_land_once(
    project: Project, connection: psycopg.Connection, name: str, request: pytest.FixtureRequest
) -> None:
    store: RunningStore = request.getfixturevalue(name)
    project.declare("people")
    rows = "".join(f"{number},name {number},{'x' * 80}\n" for number in range(100_000))
    store.put("people/1.csv", f"id,name,filler\n{rows}".encode())
    store.put("people/day=1/2.csv.gz", gzip.compress(b"id,name\n100000,gzipped\n"))
    store.put("other/3.csv", b"id\nnot ours\n")
    environment = store.environment | {"BRONZE_ROOT": store.url}
    done = project.run("load", **environment)
    assert done.returncode == 0, done.stderr
    assert "2 files, 100,001 records" in done.stdout
    assert "nothing new; 2 files" in project.run("load", **environment).stdout
    assert count(connection, "select count(distinct id) from staging.people__rows") == 100_001
    assert connection.execute("select hive_keys from ops.files order by path desc limit 1").fetchone() == (
        {"day": "1"},
    )
    ledger_agrees(connection, "people")

    # The same name with other content is another object, and lands.
    store.put("people/day=1/2.csv.gz", gzip.compress(b"id,name\n100001,later\n"))
    assert "1 file, 1 records" in project.run("load", **environment).stdout


@pytest.mark.parametrize("name", ["s3", "azure"])
def test_an_extraction_into_a_store_lands_once(
    project: Project,
    connection: psycopg.Connection,
    name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store: RunningStore = request.getfixturevalue(name)
    root = opened(store, monkeypatch)
    with serving(RestApi(records(95))) as api:
        monkeypatch.setenv("GYM_URL", api.url)
        monkeypatch.setenv("GYM_TOKEN", TOKEN)
        extractor = Extractor(project.folder, api, [])
        extractor.declare("/pages", PAGES, cursor={"field": "updatedAt", "parameter": "updatedSince"})
        # One that fails in between leaves nothing.
        monkeypatch.setattr("loaders.extract.run.PART_BYTES", 1)
        api.faults.append(times(1, Answer(404), page="5"))
        with pytest.raises(ExtractError, match="page 5: 404 Not Found"):
            extractor.run(root)
        assert obstore.list(store.client).collect() == []
        extractor.run(root)
        names = [meta["path"].rpartition("/")[2] for meta in obstore.list(store.client).collect()]
        assert sorted(names) == ["_run.json", "_started.json", *(f"part-{one + 1:05}.jsonl.gz" for one in range(10))]
        assert len(project.load_from(root, "gym").loads) == 1
        landed = connection.execute("select (raw ->> 'id')::int from staging.gym__rows order by 1").fetchall()
        assert [row[0] for row in landed] == list(range(95))
        # The next run, of a later second, has the cursor of the store.
        time.sleep(1)
        assert extractor.run(root).records == 3


def opened(store: RunningStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """Return the store as a bronze root of this process."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return ObjectStore.from_url(store.url)


class TestReadAhead:
    def test_many_small_objects_are_asked_for_at_once(
        self, project: Project, connection: psycopg.Connection, s3: RunningStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And each once for its header and once to land it; no more than is held in memory is ahead."""
        root = opened(s3, monkeypatch)
        project.declare("people")
        for number in range(120):
            s3.put(f"people/{number}.csv", f"id,name\n{number},{'x' * number}\n".encode())
        counted = CountingGet(root)
        assert project.load_from(root, "people", batch_files=50).problems == []
        assert count(connection, "select count(distinct id) from staging.people__rows") == 120
        assert counted.at_once > 4
        assert counted.got == 2 * 120
        ledger_agrees(connection, "people")
        assert project.load_from(root, "people").skipped == 120
        assert counted.got == 2 * 120

    def test_what_is_too_much_is_not_held(self) -> None:
        asked: list[str] = []
        root = Folder(Path())

        def get(path: str) -> Fetched:
            asked.append(path)
            return Fetched(b"", BronzeFile(root, path, 0, 0))

        ahead = ReadAhead(get)
        sizes = {str(number): HELD_BYTES // 8 for number in range(20)} | {"large": HELD_BYTES}
        ahead.expect([BronzeFile(root, path, size, 0) for path, size in sizes.items()])
        assert ahead.take("large") is None
        assert ahead.take("19") is None
        for number in range(20):
            assert ahead.take(str(number)) is not None
            assert len(asked) <= number + 9
        ahead.expect([BronzeFile(root, "again", 1, 0)])
        ahead.expect([])
        assert ahead.take("again") is None

    def test_an_object_that_changes_between_listing_and_landing_fails(
        self, project: Project, s3: RunningStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = opened(s3, monkeypatch)
        project.declare("people")
        s3.put("people/1.csv", b"id,name\n1,a\n")
        listed = root.list_files

        def list_then_change(pattern: str) -> list[BronzeFile]:
            files = listed(pattern)
            s3.put("people/1.csv", b"id,name\n1,b\n2,c\n")
            return files

        object.__setattr__(root, "list_files", list_then_change)
        [problem] = project.load_from(root, "people").problems
        assert "people/1.csv changed while it was landed" in str(problem)


class CountingGet:
    """Counts the requests for whole objects, and how many are under way at once."""

    def __init__(self, root: ObjectStore) -> None:
        self.got = self.at_once = self._now = 0
        self._lock = threading.Lock()
        self._get = root._get
        object.__setattr__(root, "_get", self)

    def __call__(self, path: str) -> Fetched:
        with self._lock:
            self.got += 1
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        try:
            return self._get(path)
        finally:
            with self._lock:
                self._now -= 1


class CuttingProxy:
    """A TCP proxy that closes its first connections in mid-answer, after so many bytes each."""

    def __init__(self, target: int, cuts: int, after_bytes: int) -> None:
        self.cuts, self.made = cuts, 0
        self._target, self._after_bytes = target, after_bytes
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            threading.Thread(target=self._pump, args=(client, server, lambda _: True), daemon=True).start()
            self._pump(server, client, self._may_pass)

    def _may_pass(self, passed: int) -> bool:
        if passed < self._after_bytes or self.made >= self.cuts:
            return True
        self.made += 1
        return False

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, may_pass: Callable[[int], bool]) -> None:
        passed = 0
        with suppress(OSError):
            while (data := source.recv(65536)) and may_pass(passed := passed + len(data)):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()


def test_a_connection_cut_in_mid_object_is_retried(
    project: Project, connection: psycopg.Connection, s3_port: int
) -> None:
    proxy = CuttingProxy(s3_port, cuts=3, after_bytes=700_000)
    try:
        store = s3_at(proxy.port, s3_port)
        project.declare("people")
        rows = "".join(f"{number},{'x' * 80}\n" for number in range(100_000))
        store.put("people/1.csv", f"id,filler\n{rows}".encode())
        done = project.run("load", **store.environment, BRONZE_ROOT=store.url)
        assert done.returncode == 0, done.stderr
        assert proxy.made == 3
        assert count(connection, "select count(distinct id) from staging.people__rows") == 100_000
        ledger_agrees(connection, "people")
    finally:
        proxy.close()


def one_line_error(project: Project, **environment: str) -> str:
    done = project.run("load", **environment)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    return line


def test_a_store_that_refuses_is_one_line(project: Project, s3: RunningStore) -> None:
    project.declare("people")
    assert "is not an object store's URL" in one_line_error(project, BRONZE_ROOT="ftp://host/path")
    missing = one_line_error(project, **s3.environment, BRONZE_ROOT="s3://no-such-bucket/bronze")
    assert "s3://no-such-bucket/bronze: " in missing
    assert "AWS_*" in missing


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("people/*.csv*", ["people/a.csv", "people/a.csv.gz"], ["people/b/a.csv", "a.csv"]),
        ("evo/**/*.gz", ["evo/a.gz", "evo/b/c/a.gz"], ["x/evo/a.gz", "evo/a.gzip"]),
        ("a?c/**", ["abc/d/e", "abc/f"], ["ac/d", "a/c/d"]),
        ("day=[1]/x+.csv", ["day=[1]/x+.csv"], ["day=1/xx.csv"]),
    ],
)
def test_globs(pattern: str, matching: list[str], other: list[str], tmp_path: Path) -> None:
    found = [path for path in matching + other if re.fullmatch(glob_pattern(pattern), path)]
    assert found == matching
