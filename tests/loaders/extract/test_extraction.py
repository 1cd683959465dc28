"""Extraction from a real HTTP server: every record once, as it came, or a refusal by name and nothing that lands."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from typing import Any

import pytest

from loaders.bronze import Folder
from loaders.errors import ExtractError, FileError, LoaderError, SettingError, SourceError
from loaders.open_file import unwritable
from tests.loaders.extract.api import TOKEN, Answer, Asked, RestApi, times
from tests.loaders.extract.conftest import LINKS, OFFSETS, PAGES, TOKENS, Extractor, records


def refused(extractor: Extractor, error: type[LoaderError] = ExtractError, **options: Any) -> str:
    """Run an extraction that is refused, see that nothing of it is left, and return what it said."""
    with pytest.raises(error) as caught:
        extractor.run(**options)
    assert [path for path in extractor.bronze.rglob("*") if path.is_file()] == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "pagination", "requests"),
    [
        ("/pages", PAGES, 1),
        ("/pages", PAGES, 4),
        ("/pages", PAGES | {"total": None}, 3),
        ("/offsets", OFFSETS, 1),
        ("/offsets", OFFSETS | {"total": None}, 4),
        ("/tokens", TOKENS, 1),
        ("/links", LINKS, 1),
        ("/links", LINKS | {"next": "paging.link"}, 1),
    ],
)
def test_every_record_comes_once_and_unchanged(
    extractor: Extractor, path: str, pagination: dict[str, Any], requests: int
) -> None:
    extractor.declare(path, pagination)
    result = extractor.run(requests=requests)
    assert extractor.written(result.run_id) == extractor.api.records
    manifest = extractor.manifest(result.run_id)
    assert manifest["files"] == ["part-00001.jsonl.gz"]
    assert (manifest["records"], manifest["source"], manifest["cursor"]) == (95, "gym.rows", None)
    assert all(asked.query["size"] == "10" for asked in extractor.api.asked)


def test_parts_are_cut_by_size(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders.extract.run.PART_BYTES", 1)
    extractor.declare("/pages", PAGES)
    result = extractor.run()
    assert result.files > 1
    assert extractor.manifest(result.run_id)["files"] == [f"part-{one + 1:05}.jsonl.gz" for one in range(result.files)]
    assert extractor.written(result.run_id) == extractor.api.records


def test_a_full_disk_is_refused_and_nothing_is_left(extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(Folder):
        def write_file(self, path: str, data: bytes | bytearray, *, new: bool = False) -> None:
            if "part-00003" in path:
                raise unwritable(path, OSError(28, "No space left on device"))
            super().write_file(path, data, new=new)

    monkeypatch.setattr("loaders.extract.run.PART_BYTES", 1)
    extractor.declare("/pages", PAGES)
    said = refused(extractor, FileError, root=FullDisk(extractor.bronze), requests=4)
    assert said.endswith(
        "part-00003.jsonl.gz cannot be written: No space left on device. See to BRONZE_ROOT, then run again."
    )


def test_a_manifest_that_is_there_though_its_write_failed_goes_with_the_run(extractor: Extractor) -> None:
    """Its cursor would skip what the run had."""

    class LostAnswer(Folder):
        def write_file(self, path: str, data: bytes | bytearray, *, new: bool = False) -> None:
            super().write_file(path, data, new=new)
            if path.endswith("_run.json"):
                raise unwritable(path, TimeoutError("no answer"))

    extractor.declare("/pages", PAGES, cursor={"field": "updatedAt", "parameter": "updatedSince"})
    assert "no answer" in refused(extractor, FileError, root=LostAnswer(extractor.bronze))


class TestCursor:
    @pytest.fixture(autouse=True)
    def _declare(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES, cursor={"field": "updatedAt", "parameter": "updatedSince"})

    def test_the_next_run_goes_on_from_the_newest_manifest(self, extractor: Extractor) -> None:
        first = extractor.run()
        assert first.cursor == "2024-01-28T00:00:00Z"
        extractor.rename(first.run_id, "20240101T000000Z")
        changed = b'{"id":1,"updatedAt":"2024-02-01T10:00:00-03:00"}'
        extractor.api.records.append(changed)
        second = extractor.run()
        latest = [one for one in extractor.api.records if b"01-28T" in one]
        assert extractor.written(second.run_id) == [*latest, changed]
        assert extractor.manifest(second.run_id)["since"] == "20240101T000000Z"
        assert second.cursor == "2024-02-01T10:00:00-03:00"
        # A run whose manifest is gone is none.
        [manifest] = extractor.bronze.glob(f"gym/**/run_id={second.run_id}/_run.json")
        manifest.unlink()
        extractor.rename(second.run_id, "20240102T000000Z")
        assert extractor.run().records == second.records

    def test_since_chooses_a_run(self, extractor: Extractor) -> None:
        extractor.rename(extractor.run().run_id, "20240101T000000Z")
        again = extractor.run(since="beginning")
        assert again.records == 95
        extractor.rename(again.run_id, "20240102T000000Z")
        assert extractor.run(since="20240101T000000Z").records == 3
        with pytest.raises(SettingError, match="--since 2026: no such run"):
            extractor.run(since="2026")

    def test_some_pages_do_not_move_it(self, extractor: Extractor) -> None:
        some = extractor.run(max_pages=3)
        assert (some.records, some.pages, some.cursor) == (30, 3, None)
        assert len(extractor.api.asked) == 3
        extractor.rename(some.run_id, "20240101T000000Z")
        assert extractor.run().records == 95

    def test_a_value_that_is_no_time_or_not_yet_does_not_count(self, extractor: Extractor) -> None:
        extractor.api.records += [
            b'{"updatedAt":"9999-12-31T00:00:00Z"}',
            b'{"updatedAt":"unknown"}',
            b'{"updatedAt":null}',
            b"{}",
            b"null",
        ]
        assert extractor.run().cursor == "2024-01-28T00:00:00Z"

    def test_a_field_that_no_record_has_is_refused(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES, cursor={"field": "changedAt", "parameter": "updatedSince"})
        assert "none of 95 records has an integer, a date or a time in changedAt" in refused(extractor)

    def test_the_cursor_of_another_field_is_not_sent(self, extractor: Extractor) -> None:
        extractor.rename(extractor.run().run_id, "20240101T000000Z")
        extractor.declare("/pages", PAGES, cursor={"field": "id", "parameter": "updatedSince"})
        assert extractor.run().cursor == 94

    def test_two_runs_of_one_second_are_refused(self, extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
        class Stopped(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> "Stopped":
                return cls(2024, 5, 1, tzinfo=tz)

        monkeypatch.setattr("loaders.extract.run.datetime", Stopped)
        run_id = extractor.run().run_id
        assert run_id == "20240501T000000Z"
        with pytest.raises(SettingError, match="is not older than the clock"):
            extractor.run()
        [manifest] = extractor.bronze.rglob("_run.json")
        manifest.unlink()
        with pytest.raises(SettingError, match="another extract began run 20240501T000000Z in the same second"):
            extractor.run()
        assert extractor.written(run_id) == extractor.api.records

    def test_a_clock_that_went_back_is_refused(self, extractor: Extractor) -> None:
        extractor.rename(extractor.run().run_id, "20990101T000000Z")
        with pytest.raises(SettingError, match="20990101T000000Z is not older than the clock"):
            extractor.run()


class TestTemporaryErrors:
    @pytest.fixture(autouse=True)
    def _declare(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES)

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (Answer(429, headers={"Retry-After": "1"}), "page 3: 429 Too Many Requests"),
            (Answer(503), "page 3: 503 Service Unavailable"),
            (Answer(200, b'{"data": [{"id": 1}, {"id"', cut=True), "page 3: "),
        ],
        ids=["429", "5xx", "cut"],
    )
    def test_they_are_retried(self, extractor: Extractor, answer: Answer, said: str) -> None:
        extractor.api.faults.append(times(1, answer, page="3"))
        result = extractor.run(requests=2)
        assert extractor.written(result.run_id) == extractor.api.records
        assert len(extractor.said) == 1
        assert extractor.said[0].startswith(said)

    def test_nobody_asks_before_retry_after(self, extractor: Extractor) -> None:
        refuse_once = times(1, Answer(429), page="3")

        def refuse(asked: Asked) -> Answer | None:
            until = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
            return (answer := refuse_once(asked)) and replace(answer, headers={"Retry-After": until})

        extractor.api.faults.append(refuse)
        extractor.run(requests=4)
        [refused_at, *again] = [asked.at for asked in extractor.api.asked if asked.query["page"] == "3"]
        # Requests that were under way arrive; the others wait until the second that was named, one from now at least.
        others = [asked.at for asked in extractor.api.asked if asked.query["page"] in ("7", "8", "9", "10")]
        assert len(others) == 4
        assert min(*again, *others) > refused_at + 0.9

    def test_a_timeout_is_retried(self, extractor: Extractor) -> None:
        def slow_once(api: RestApi, asked: Asked) -> None:
            api.delay = 0.5 if asked.number == 2 else 0.0

        extractor.declare("/pages", PAGES, timeout_seconds=0.3)
        extractor.api.before_page = slow_once
        result = extractor.run()
        assert extractor.written(result.run_id) == extractor.api.records
        assert "no answer in time" in extractor.said[0]

    def test_patience_ends(self, extractor: Extractor) -> None:
        extractor.api.faults.append(times(1000, Answer(500)))
        assert "page 1: 500 Internal Server Error, for 0 s" in refused(extractor, retry_seconds=0)

    def test_a_pause_beyond_the_patience_is_refused_at_once(self, extractor: Extractor) -> None:
        extractor.api.faults.append(times(1, Answer(429, headers={"Retry-After": "3600"}), page="2"))
        assert "the API asks to wait for 3,600 s" in refused(extractor)

    def test_an_api_that_was_never_reached_is_an_error_at_once(
        self, extractor: Extractor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GYM_URL", "http://127.0.0.1:9")
        assert "Correct `url`" in refused(extractor)
        assert extractor.said == []


class TestRefusals:
    @pytest.fixture(autouse=True)
    def _declare(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES)

    def test_a_page_that_repeats(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES | {"parameter": "seite", "total": None})
        extractor.api.faults.append(lambda asked: Answer(200, b'{"data": [{"id": 1}]}'))
        assert "page 2 holds what a page before it held. Correct pagination.parameter" in refused(extractor)

    def test_pages_in_a_circle(self, extractor: Extractor) -> None:
        extractor.declare("/tokens", TOKENS)
        following = {None: b"a", "a": b"b", "b": b"c", "c": b"a"}

        def circle(asked: Asked) -> Answer:
            names = following[asked.query.get("after")], asked.number
            return Answer(200, b'{"paging": {"next": "%s"}, "data": [{"id": %d}]}' % names)

        extractor.api.faults.append(circle)
        assert "names a next page that was read before" in refused(extractor)
        assert len(extractor.api.asked) < 20

    def test_an_end_before_the_total(self, extractor: Extractor) -> None:
        extractor.api.faults.append(times(1, Answer(200, b'{"data": []}'), page="5"))
        assert "page 5 is empty after 40 of 95 records" in refused(extractor)

    def test_pages_shorter_than_asked_for(self, extractor: Extractor) -> None:
        extractor.declare("/offsets", OFFSETS | {"size_parameter": None, "total": None}, page_size=200)
        extractor.api.records = records(250)
        assert "page 1 has 100 records where 200 were asked for" in refused(extractor)

    def test_pages_longer_than_asked_for(self, extractor: Extractor) -> None:
        extractor.declare("/offsets", OFFSETS | {"size_parameter": None})
        assert "page 1 has 95 records, and 10 were asked for" in refused(extractor)

    @pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": {}}', b'{"data": [1,', b'{"items": []}'])
    def test_an_answer_of_another_shape(self, extractor: Extractor, body: bytes) -> None:
        extractor.api.faults.append(lambda _: Answer(200, body))
        assert "page 1: the answer (application/json) is no JSON with a list at data" in refused(extractor)

    def test_a_redirect(self, extractor: Extractor) -> None:
        extractor.api.faults.append(lambda _: Answer(302, headers={"Location": "http://127.0.0.1:9/"}))
        assert "302 Found. The credentials are not sent elsewhere." in refused(extractor)

    def test_a_link_to_another_host(self, extractor: Extractor) -> None:
        extractor.declare("/links", LINKS)
        link = {"Link": '<http://localhost:9/next>; rel="next"'}
        extractor.api.faults.append(lambda _: Answer(200, b'{"data": [1]}', link))
        assert "page 1 names a next page on another host" in refused(extractor)

    def test_requests_at_once_where_each_page_names_the_next(self, extractor: Extractor) -> None:
        extractor.declare("/tokens", TOKENS)
        assert "Leave --requests out" in refused(extractor, SettingError, requests=2)

    def test_some_pages_of_what_is_a_whole_table(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES, bronze={"delivers": "full"})
        assert "Leave --max-pages out" in refused(extractor, SettingError, max_pages=1)

    @pytest.mark.parametrize(
        ("declared", "said"),
        [
            ({"url": "${NO_SUCH_VARIABLE}/"}, "NO_SUCH_VARIABLE is not set"),
            ({"url": "ftp://host/"}, "is no http or https URL"),
            ({"url": "http://user:word@host/"}, "holds a user or a password"),
            ({"pagination": {"kind": "cursor", "parameter": "after"}}, "a cursor needs `parameter`, and `next`"),
            ({"page_size": 0}, "page_size: Input should be greater than 0"),
            ({"retries": 3}, "retries: Extra inputs are not permitted"),
            ({"bronze": {"path": "gym/**/*"}}, "it ends in /\\*\\*/\\*.jsonl.gz"),
            ({"bronze": {"delivers": "partitions"}}, "Declare bronze.delivers: changes, or full"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_a_declaration_that_cannot_be_used(self, extractor: Extractor, declared: dict[str, Any], said: str) -> None:
        extractor.declare("/pages", declared.pop("pagination", PAGES), declared.pop("bronze", None), **declared)
        with pytest.raises(SourceError, match=said):
            extractor.run()


class TestCredentials:
    def test_a_token_that_expires_in_between_is_refused(self, extractor: Extractor) -> None:
        def expire(api: RestApi, asked: Asked) -> None:
            api.token = "another" if asked.number == 4 else api.token

        extractor.declare("/pages", PAGES)
        extractor.api.before_page = expire
        assert "page 5: 401 Unauthorized" in refused(extractor)

    def test_client_credentials_get_another_one(self, extractor: Extractor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GYM_ID", "ingot")
        monkeypatch.setenv("GYM_SECRET", "the secret")
        auth = {
            "kind": "client_credentials",
            "token_url": "${GYM_URL}/token",
            "client_id": "GYM_ID",
            "client_secret": "GYM_SECRET",
        }
        extractor.declare("/pages", PAGES, auth=auth)
        tokens: list[str] = []

        def give(asked: Asked) -> Answer | None:
            if asked.path != "/token":
                # Each token is good for four requests.
                return Answer(401) if sum(one.path == "/pages" for one in extractor.api.asked) % 5 == 0 else None
            assert asked.form["client_secret"] == "the secret"
            tokens.append(f"token-{len(tokens)}")
            extractor.api.token = tokens[-1]
            return Answer(200, b'{"access_token": "%s"}' % tokens[-1].encode())

        extractor.api.faults.append(give)
        result = extractor.run()
        assert extractor.written(result.run_id) == extractor.api.records
        assert len(tokens) >= 3

    @pytest.mark.parametrize(
        ("auth", "sent"),
        [
            ({"kind": "basic", "user": "GYM_USER", "password": "GYM_TOKEN"}, "Authorization"),
            ({"kind": "header", "name": "X-Api-Key", "value": "GYM_TOKEN"}, "X-Api-Key"),
            ({"kind": "parameter", "name": "key", "value": "GYM_TOKEN"}, "key"),
            ({"kind": "bearer", "token": "GYM_TOKEN"}, "Authorization"),
        ],
        ids=["basic", "header", "parameter", "bearer"],
    )
    def test_secrets_are_sent_and_never_said(
        self, extractor: Extractor, auth: dict[str, str], sent: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even when the API says them, in whatever spelling it does."""
        monkeypatch.setenv("GYM_USER", "an-account")
        extractor.declare("/pages", PAGES, auth=auth)

        def echo(asked: Asked) -> Answer:
            said = {**asked.headers, **asked.query}[sent]
            return Answer(400, f"no: {said} {TOKEN} {TOKEN.replace('/', '%2F')} {'x' * 500}".encode())

        extractor.api.faults.append(echo)
        said = refused(extractor)
        assert "page 1: 400 Bad Request" in said
        assert "***" in said
        value = {**extractor.api.asked[0].headers, **extractor.api.asked[0].query}[sent]
        for secret in (TOKEN, "cret", "an-account", value.split()[-1]):
            assert secret not in said

    @pytest.mark.parametrize("value", [None, "", "two\nlines"])
    def test_a_variable_that_cannot_be_sent(
        self, extractor: Extractor, value: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("GYM_TOKEN") if value is None else monkeypatch.setenv("GYM_TOKEN", value)
        extractor.declare("/pages", PAGES)
        said = refused(extractor, SettingError)
        assert "config.meta.extract.auth.token" in said
        assert "lines" not in said

    def test_a_secret_in_place_of_a_variables_name_is_not_repeated(self, extractor: Extractor) -> None:
        extractor.declare("/pages", PAGES, auth={"kind": "bearer", "token": TOKEN})
        with pytest.raises(SourceError) as caught:
            extractor.run()
        assert TOKEN not in str(caught.value)
        assert "auth.bearer.token" in str(caught.value)
