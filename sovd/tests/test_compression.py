"""Who asks for it gets it compressed, and all of it; who does not, as it is."""

import pytest
from django.conf import settings
from httpx import Client, Response

from sovd.tests.live import Live

BUNDLE = "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"  # many times a chunk
CSS = "console/console.css"


def get(live: Live, path: str, **headers: str) -> Response:
    with Client(base_url=f"http://127.0.0.1:{live.port}", trust_env=False) as client:
        return client.get(path, headers={"Accept-Encoding": "gzip"} | headers)


@pytest.mark.parametrize("path", [CSS, BUNDLE])
def test_a_static_file_is_the_same(live: Live, path: str) -> None:
    plain = get(live, f"/static/{path}", **{"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    for _ in ("made", "kept"):
        compressed = get(live, f"/static/{path}")
        assert compressed.headers["Content-Encoding"] == "gzip"
        assert int(compressed.headers["Content-Length"]) < len(plain.content) / 2
        assert compressed.content == plain.content
        assert compressed.headers["Content-Type"] == plain.headers["Content-Type"]
    for answer in (plain, compressed):
        assert "Accept-Encoding" in answer.headers["Vary"]


def test_what_a_browser_has_is_not_sent_again(live: Live) -> None:
    first = get(live, f"/static/{CSS}")
    again = get(live, f"/static/{CSS}", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_compressed_copy_has_a_name_of_its_own(live: Live) -> None:
    plain = get(live, f"/static/{CSS}", **{"Accept-Encoding": "identity"})
    compressed = get(live, f"/static/{CSS}")
    assert plain.headers["ETag"] != compressed.headers["ETag"]
    about = {"Range": "bytes=10-19", "If-Range": compressed.headers["ETag"]}
    for answer in (
        plain,
        compressed,
        get(live, f"/static/{CSS}", **about),
        get(live, f"/static/{CSS}", **{"If-None-Match": compressed.headers["ETag"]}),
    ):
        assert "Accept-Encoding" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"] == "max-age=0, public"
    assert answer.headers["ETag"] == compressed.headers["ETag"]
    assert get(live, f"/static/{CSS}", **about).content == plain.content
    about["If-Range"] = plain.headers["ETag"]
    assert get(live, f"/static/{CSS}", **about).content == plain.content[10:20]
    other = {"If-None-Match": compressed.headers["ETag"], "Accept-Encoding": "identity"}
    assert get(live, f"/static/{CSS}", **other).status_code == 200


@pytest.mark.parametrize("accepted", ["gzip;q=0", "gzip; q=0.000, identity"])
def test_who_refuses_it_gets_it_as_it_is(live: Live, accepted: str) -> None:
    answer = get(live, f"/static/{CSS}", **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


def test_a_picture_is_left_as_it_is(live: Live) -> None:
    icon = "drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png"
    assert "Content-Encoding" not in get(live, f"/static/{icon}").headers


def test_a_part_of_a_file_is_that_part(live: Live) -> None:
    part = get(live, f"/static/{CSS}", Range="bytes=10-19")
    whole = (settings.BASE_DIR / "commands/static" / CSS).read_bytes()
    assert (part.status_code, part.content) == (206, whole[10:20])


def test_the_answers_of_the_api_are_compressed(live: Live) -> None:
    answer = get(live, "/api/v1/command-types/", Authorization=f"Bearer {live.token}")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.json() == live.get("/api/v1/command-types/")
