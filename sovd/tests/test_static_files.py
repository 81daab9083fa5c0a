"""Static files: hashed names that are kept for ever, in one piece, and nothing beside them."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from django.conf import settings
from httpx import Client, Response
from rcssmin import cssmin
from rjsmin import jsmin

from commands.accounts.demo_users import PASSWORD
from dev.processes import SEED, Product, web
from sovd.static_files import HashedStorage
from sovd.tests.live import Live
from sovd.tests.processes import running, until
from sovd.tests.site import Site

BUNDLE = "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"  # many times a chunk
CSS = "console/console.css"
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
IN_A_PAGE = re.compile(r"""(?:href|src)="(/static/[^"]+)""")
IN_A_FILE = re.compile(r"""(?:from|import|import\(|url\() ?["']([^"':]+)["']""")


Hashed = Callable[[str], str]
SERVERS = ["production", "production, not collected", "embedded", "runserver"]


@pytest.fixture(scope="module")
def static_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("static")
    options = {"STATIC_ROOT": directory, "SOVD_VAR_DIR": directory}
    with running("manage.py", "collectstatic", "--noinput", "-v0", **options) as collecting:
        assert collecting.wait() == 0
    return directory


@pytest.fixture(scope="module")
def sites(
    product: Product, static_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Site]]:
    """Servers without DEBUG in production and with it in embedded mode."""
    live = Live(product)
    directory = tmp_path_factory.mktemp("embedded")
    embedded = {"SOVD_VAR_DIR": directory, "PROMETHEUS_MULTIPROC_DIR": directory / "metrics"}
    found = {name: Site() for name in SERVERS} | {"production, not collected": live}
    production, serve, runserver = (found[name].port for name in SERVERS if found[name] != live)
    collected = {"STATIC_ROOT": static_root, "PORT": serve}
    with running(*SEED, **embedded) as seeding:
        assert seeding.wait() == 0
    with (
        running(*web(production), **live.environment | collected),
        running("manage.py", "serve", **embedded | collected),
        running("manage.py", "runserver", "--noreload", str(runserver), **embedded | collected),
    ):
        for site in found.values():
            until(site.is_up)
        yield found


@pytest.fixture(scope="module")
def site(sites: dict[str, Site]) -> Site:
    return sites["production"]


def client(site: Site) -> Client:
    return Client(base_url=f"http://127.0.0.1:{site.port}", trust_env=False, follow_redirects=True)


def get(site: Site, path: str, **headers: str) -> Response:
    with client(site) as browser:
        return browser.get(path, headers={"Accept-Encoding": "gzip"} | headers)


@pytest.fixture(scope="module")
def hashed(static_root: Path) -> Hashed:
    return HashedStorage(static_root, "/static/").url


# --- Hashed names


@pytest.fixture(scope="module")
def loaded(site: Site) -> dict[str, Response]:
    """Every static file that a console page, the admin or the API documentation leads to."""
    with client(site) as browser:
        page = browser.get("/accounts/login/")
        form = {"username": "admin", "password": PASSWORD}
        form["csrfmiddlewaretoken"] = page.cookies["csrftoken"]
        browser.post("/accounts/login/", data=form).raise_for_status()
        pages = ["/", "/vehicles/", "/commands/", "/commands/new/", "/batches/", "/batches/new/"]
        html = [browser.get(path).text for path in [*pages, "/admin/", "/api/docs/"]]
        waiting, found = set(IN_A_PAGE.findall("\n".join(html))), dict[str, Response]()
        while waiting:
            path = waiting.pop()
            found[path] = browser.get(path)
            if path.startswith("/static/console/") and path.endswith((".js", ".css")):
                links = IN_A_FILE.findall(found[path].text)
                waiting |= {urljoin(path, link) for link in links} - found.keys()
    return found


def test_every_file_that_a_page_loads_is_there(loaded: dict[str, Response]) -> None:
    assert {path: answer.status_code for path, answer in loaded.items()} == dict.fromkeys(
        loaded, 200
    )
    assert any("/dom." in path for path in loaded)  # a module that no page names itself


def test_every_file_that_a_page_loads_may_be_kept_for_ever(loaded: dict[str, Response]) -> None:
    assert [path for path in loaded if not HASHED.search(path)] == []
    kept = {answer.headers["Cache-Control"] for answer in loaded.values()}
    assert kept == {"max-age=315360000, public, immutable"}


def test_the_favicon_leads_to_the_hashed_name(site: Site, hashed: Hashed) -> None:
    answer = get(site, "/favicon.ico")
    assert (answer.status_code, answer.url.path) == (200, hashed("console/favicon.svg"))


def test_a_plain_name_is_asked_for_again_and_not_sent_again(site: Site) -> None:
    first = get(site, f"/static/{CSS}")
    assert first.headers["Cache-Control"] == "max-age=0, public"
    again = get(site, f"/static/{CSS}", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_manifest_older_than_a_source_is_not_used(static_root: Path, tmp_path: Path) -> None:
    manifest = shutil.copy(static_root / "staticfiles.json", tmp_path)
    assert HASHED.search(HashedStorage(tmp_path, "/static/").url(CSS))
    os.utime(manifest, (0, 0))
    assert HashedStorage(tmp_path, "/static/").url(CSS) == f"/static/{CSS}"


# --- Compression


@pytest.mark.parametrize(
    ("name", "minified"), [(CSS, cssmin), ("console/dom.js", jsmin), (BUNDLE, str)]
)
def test_a_compressed_file_is_the_plain_one_and_ours_are_minified(
    site: Site, name: str, minified: Callable[[str], str], hashed: Hashed
) -> None:
    plain = get(site, hashed(name), **{"Accept-Encoding": "identity"})
    compressed = get(site, hashed(name))
    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert int(compressed.headers["Content-Length"]) < len(plain.content) / 2
    assert compressed.text == minified(plain.text)
    assert compressed.headers["Content-Type"] == plain.headers["Content-Type"]
    for answer in (plain, compressed):
        assert answer.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("accepted", ["gzip;q=0", "gzip; q=0.000, identity"])
def test_a_client_that_refuses_gzip_gets_none(site: Site, accepted: str, hashed: Hashed) -> None:
    answer = get(site, hashed(CSS), **{"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers


def test_a_picture_is_not_compressed(site: Site, hashed: Hashed) -> None:
    icon = "drf_spectacular_sidecar/swagger-ui-dist/favicon-32x32.png"
    assert "Content-Encoding" not in get(site, hashed(icon)).headers


def test_a_part_of_a_file_is_that_part(site: Site) -> None:
    answer = get(site, f"/static/{CSS}", Range="bytes=10-19", **{"Accept-Encoding": "identity"})
    whole = (settings.BASE_DIR / "commands/static" / CSS).read_bytes()
    assert (answer.status_code, answer.content) == (206, whole[10:20])


def test_the_responses_of_the_api_are_compressed(live: Live) -> None:
    answer = get(live, "/api/v1/command-types/", Authorization=f"Bearer {live.token}")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.json() == live.get("/api/v1/command-types/")


# --- Nothing beside them


def test_scripts_and_styles_have_no_headers_of_pages(site: Site) -> None:
    for name in (CSS, "console/site.js"):
        headers = get(site, f"/static/{name}").headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Content-Security-Policy" not in headers


def test_a_file_opened_as_a_page_may_do_nothing(site: Site) -> None:
    headers = get(site, "/static/console/favicon.svg").headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


HOSTILE = [
    "%2e%2e/manage.py",
    "..%2fmanage.py",
    "..%5cmanage.py",
    "%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
    "%C0%AE%C0%AE/manage.py",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%00",
    "console/console.css%00",
    "console/%00.css",
    "%ff%fe",
    "%ed%a0%80",
    "%E2%82%AC.css",
    "%",
    "%zz",
    "%0d%0aX:1",
    "",
    "console",
    "console/",
    "console//console.css",
    "./console/console.css",
    "console/console.css/",
    "console/console.css.gz",
    "a" * 5_000,
    "a/" * 4_000,
]


@pytest.mark.parametrize("name", SERVERS)
def test_a_hostile_name_is_not_found(sites: dict[str, Site], live: Live, name: str) -> None:
    lines = [f"GET /static/{path} HTTP/1.1" for path in HOSTILE]
    told = {line[:80]: live.heard(request(line), port=sites[name].port)[:12] for line in lines}
    assert told == dict.fromkeys(told, b"HTTP/1.1 404")


def request(line: str) -> bytes:
    return f"{line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()


@pytest.mark.parametrize("name", SERVERS)
def test_a_page_names_files_that_are_there(sites: dict[str, Site], name: str) -> None:
    with client(sites[name]) as browser:
        (css,) = re.findall(
            r'href="(/static/console/[^"]+css)', browser.get("/accounts/login/").text
        )
        assert browser.get(css).text.count("{") > 100
    assert bool(HASHED.search(css)) == (name in ("production", "embedded"))
