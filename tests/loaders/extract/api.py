"""An HTTP server that plays a REST API over given records, with faults that a test switches on."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

TOKEN = "s3cret/token+of=the-api"


@dataclass(frozen=True)
class Asked:
    """A request: its path and query, its headers, its number from 1, and when it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]
    number: int
    at: float
    form: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What the server says; `cut` closes the connection in mid-body."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False


Fault = Callable[[Asked], Answer | None]


@dataclass
class RestApi:
    """Pages over `records`, JSON objects as bytes: by number, offset, token or link, with those changed `updatedSince`.

    Each of `faults` may answer in place of the API. `before_page` runs before a page is read: it may change `records`.
    """

    records: list[bytes]
    token: str = TOKEN
    delay: float = 0.0
    faults: list[Fault] = field(default_factory=list)
    before_page: Callable[["RestApi", Asked], None] = lambda api, asked: None
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str], form: dict[str, str]) -> Answer:
        with self.lock:
            asked = Asked(path, query, headers, len(self.asked) + 1, time.monotonic(), form)
            self.asked.append(asked)
            for fault in self.faults:
                if answer := fault(asked):
                    return answer
            if headers.get("Authorization") != f"Bearer {self.token}":
                return Answer(401, b'{"error": "who are you?"}')
            self.before_page(self, asked)
            records = self.records
            if since := query.get("updatedSince"):
                records = [one for one in records if json.loads(one)["updatedAt"] >= since]
            return self._page(path, query, records)

    def _page(self, path: str, query: dict[str, str], records: Sequence[bytes]) -> Answer:
        size = int(query.get("size", 100))
        start = int(query.get("skip") or query.get("after") or (int(query.get("page", 1)) - 1) * size)
        page = records[start : start + size]
        body: dict[str, Any] = {"total": len(records), "paging": {"total": len(records)}}
        headers = {}
        if not query.keys() & {"page", "skip"} and start + size < len(records):
            after = str(start + size)
            link = f"{path}?{urlencode({**query, 'after': after})}"
            body["paging"] |= {"next": after, "link": link}
            headers["Link"] = f'<{link}>; rel="next"'
        front = json.dumps(body)[:-1].encode()
        return Answer(200, front + b', "data": [' + b",\n ".join(page) + b"]}", headers)


@contextmanager
def serving(api: RestApi) -> Iterator[RestApi]:
    """Serve the API on loopback; its `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # One packet an answer: the head would wait for an acknowledgement.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._say({})

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._say({name: values[0] for name, values in parse_qs(form).items()})

        def _say(self, form: dict[str, str]) -> None:
            began = time.monotonic()
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            answer = api.answer(parts.path, query, dict(self.headers), form)
            time.sleep(max(api.delay - (time.monotonic() - began), 0))
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if answer.cut:
                self.wfile.write(answer.body[: len(answer.body) // 2])
                self.close_connection = True
            else:
                self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        # A client that is killed is no error of the server's.
        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()


def times(count: int, answer: Answer, *, page: str | None = None) -> Fault:
    """Return a fault that answers the first requests, of this page where it is given, in place of the API."""
    left = count

    def fault(asked: Asked) -> Answer | None:
        nonlocal left
        if left == 0 or (page is not None and asked.query.get("page") != page):
            return None
        left -= 1
        return answer

    return fault
