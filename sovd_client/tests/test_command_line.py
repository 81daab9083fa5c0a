"""The command line at a live server, and at servers and terminals that are not as they should."""

import os
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

from commands.management.commands.demo_data import VEHICLES
from dev.servers import free_port
from sovd.tests.live import Live
from sovd.tests.processes import SECONDS
from sovd_client.__main__ import main
from sovd_client.tests.servers import (
    COMPLETED,
    ID,
    PENDING,
    Answer,
    http,
    scripted,
    websocket,
)
from sovd_client.tests.terminal import ENVIRONMENT, Shown, started, typed

TypeHere = Callable[..., Shown]
VINS = [vin for vin, *_ in VEHICLES]
OFFLINE = VINS[-1]
HTML = "<!DOCTYPE html>\n<title>Log in\n</title>"
NISSAN = {
    "vehicle_id": ID,
    "vin": "JN1AZ00Z0ZT000123",
    "connection_status": "connected",
    "make": "\N{CJK UNIFIED IDEOGRAPH-65E5}\x1b[2J",
    "model": "\N{LATIN SMALL LETTER S WITH CARON}",
    "year": None,
}


@pytest.fixture
def type_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Shown]:
    """Type a command in this process: faster than `typed`, for what needs no terminal."""

    def typed_here(url: str, *arguments: str | bytes) -> Shown:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("SOVD_URL", url)
        monkeypatch.setattr(sys, "argv", ["sovd_client", *map(os.fsdecode, arguments)])
        try:
            exit_code: Any = main()
        except SystemExit as end:  # argparse's
            exit_code = end.code
        shown = capsys.readouterr()
        return Shown(exit_code, shown.out.splitlines(), shown.err)

    return typed_here


def at(live: Live) -> str:
    return f"http://127.0.0.1:{live.port}"


def is_one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.endswith("\n") and text[:-1].isprintable()


def test_submit_shows_the_events_to_the_end(live: Live) -> None:
    shown = typed(at(live), "submit", VINS[0], "ReadDTC", "ecuAddress=0x10", "--follow")
    assert (shown.exit_code, shown.errors) == (0, "")
    command_id, *lines = shown.lines
    assert live.status_of(command_id) == "completed"
    assert [line[14:].split()[1] for line in lines[:2]] == ["pending", "in_progress"]
    assert "answer  confirmed=" in lines[2]
    assert "dtcCode=P" in lines[2]
    assert lines[-1].endswith("completed")
    assert typed(at(live), "follow", command_id, "--after", "2").lines == lines[2:]
    assert typed(at(live), "follow", command_id, "--after", "99") == (0, [], "")


@pytest.mark.parametrize(
    "arguments",
    [
        "submit VIN ReadDTC ecuAddress=0x10 --url URL --user operator",
        "submit --url URL VIN ReadDTC --user operator ecuAddress=0x10",
        "--user nobody --url URL submit VIN --user operator ReadDTC ecuAddress=0x10",
        "submit --timeout 60 --user=operator --url=URL/ VIN ReadDTC ecuAddress=0x10",
        "--user operator --url URL/api/v1/ submit VIN ReadDTC ecuAddress=0x10",
    ],
)
def test_options_may_stand_anywhere(live: Live, arguments: str) -> None:
    words = arguments.replace("VIN", OFFLINE).replace("URL", at(live)).split()
    shown = typed("", *words, env={"SOVD_USERNAME": ""})
    assert (shown.exit_code, len(shown.lines), shown.errors) == (0, 1, "")


def test_parameters_may_stand_after_follow(live: Live) -> None:
    shown = typed(at(live), "submit", VINS[0], "ReadDTC", "--follow", "ecuAddress=0x10")
    assert (shown.exit_code, shown.errors) == (0, "")
    assert shown.lines[-1].endswith("completed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("submit", OFFLINE, "ReadDTC", "ecuAddress"), "'ecuAddress' is not name=value"),
        (("submit", OFFLINE, "ReadDTC", "--folow"), "unrecognized arguments: --folow"),
        (("submit", OFFLINE, "ReadDTC", "--follow", "x=1", "--y"), "'--y' is not name=value"),
        (("vehicles", "honda", "civic"), "unrecognized arguments: civic"),
        (("follow", ID, "--after", "x"), "invalid int value: 'x'"),
        (("--url", "ftp://host", "vehicles"), "is no address of a server"),
        (("--url", "localhost:8000", "vehicles"), "is no address of a server"),
        (("--url", "http://host:x", "vehicles"), "is no address of a server"),
        (("--url", "http://[::1", "vehicles"), "is no address of a server"),
        (("--url", "http://me:secret@host", "vehicles"), "is no address of a server"),
        (("--url", "http://host/?a=b", "vehicles"), "is no address of a server"),
        (("--url", "https://host", "--ca", "/no/file", "vehicles"), "is no file of PEM"),
        (("--url", "https://host", "--ca", __file__, "vehicles"), "is no file of PEM"),
        (("vehicles", b"\xff"), "not UTF-8"),
        (("--user", b"\xff", "vehicles"), "not UTF-8"),
        (("submit", ID, "ReadDTC", b"ecuAddress=\xff"), "not UTF-8"),
        (("follow", b"\xff"), "is no command's id"),
    ],
)
def test_bad_arguments_are_named(
    arguments: Sequence[str | bytes], message: str, type_here: TypeHere
) -> None:
    with scripted() as server:
        shown = type_here(server.url, *arguments)
    assert (shown.exit_code, shown.lines) == (2, [])
    assert message in shown.errors.splitlines()[-1]
    assert "Traceback" not in shown.errors


def test_refusals_are_one_line(live: Live) -> None:
    assert typed(at(live), "submit", VINS[0], "ReadDTC", "ecuAddress=16") == (
        2,
        [],
        "invalid: command_params.ecuAddress: Not valid: one or two bytes in hexadecimal, "
        "such as 0x10 or 0x1010.\n",
    )
    shown = typed(at(live), "vehicles", env={"SOVD_PASSWORD": "wrong"})
    assert (shown.exit_code, shown.errors[:18]) == (2, "no_active_account:")
    shown = typed(f"{at(live)}/console", "vehicles")
    assert (shown.exit_code, is_one_line(shown.errors)) == (2, True)


def test_vehicles_are_listed(live: Live) -> None:
    shown = typed(at(live), "vehicles", "honda")
    assert (shown.exit_code, len(shown.lines)) == (0, 1)
    assert shown.lines[0].split()[0] == VINS[0]


# --- Servers that answer otherwise


def moved(to: str) -> bytes:
    return http(302, HTML, Location=to)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"token/": [http(200, HTML)]}, "http_200: POST"),
        ({"token/": [http(404, HTML)]}, "http_404: POST"),
        ({"token/": [moved("https://other/login?x=1")]}, "https://other/login"),
        ({"token/": [http(200, {"token": 1})]}, "missing or odd 'access'"),
        ({"token/": [http(200, {"access": 1})]}, "missing or odd 'access'"),
        ({"token/": [http(200, ["access"])]}, "but other JSON"),
        ({"token/": [http(401, "x\x1b[2J\n" * 99)]}, "http_401: POST"),
        ({"token/": [http(403, [])]}, "http_403: POST"),
        ({"token/": [http(400, {"code": 1, "detail": "a\x1b[2J\nb"})]}, "1: a"),
        ({"vehicles/": [http(413, HTML)]}, "http_413: GET"),
        ({"vehicles/": [http(500, HTML)]}, "http_500: GET"),
        ({"vehicles/": [http(429, HTML, Retry_After="3600")]}, "Try again in 3600 seconds"),
        ({"vehicles/": [http(200, "[" * 100_000)]}, "http_200: GET"),
        ({"vehicles/": [http(200, {"results": None})]}, "missing or odd 'results'"),
        ({"vehicles/": [http(200, {"results": [{"vin": "x"}]})]}, "missing or odd"),
        ({"vehicles/": [http(200, {"results": [], "next": "?cursor=a"})]}, "leads to itself"),
        ({"vehicles/": [http(200, {"results": [], "next": "http://["})]}, "leads to itself"),
    ],
)
def test_odd_answers_are_one_line(
    answers: dict[str, list[Answer]], message: str, type_here: TypeHere
) -> None:
    with scripted(answers) as server:
        shown = type_here(server.url, "vehicles")
    assert (shown.exit_code, shown.lines) == (2, [])
    assert message in shown.errors
    assert is_one_line(shown.errors)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 \r\nContent-Length: 99\r\n\r\n{", b"\xff", http(503)],
)
def test_a_server_that_never_answers_is_given_up(answer: bytes) -> None:
    with scripted({"vehicles/": [answer]}) as server:
        shown = typed(server.url, "vehicles", "--timeout", "2")
    assert (shown.exit_code, shown.lines) == (2, [])
    assert is_one_line(shown.errors)


@pytest.mark.parametrize(
    "url",
    ["http://no-such-host.invalid", f"http://127.0.0.1:{free_port()}"],
    ids=["unknown host", "closed port"],
)
def test_a_server_that_is_not_there_is_named(url: str) -> None:
    shown = typed(url, "vehicles", "--timeout", "1")
    assert (shown.exit_code, shown.lines, is_one_line(shown.errors)) == (2, [], True)
    assert f"no_answer: {url}" in shown.errors


def test_a_lost_submission_is_told_as_such() -> None:
    with scripted({"commands/": [b""]}) as server:
        shown = typed(server.url, "submit", ID, "ClearDTC", "--timeout", "2")
    assert (shown.exit_code, is_one_line(shown.errors)) == (2, True)
    assert "may have been sent" in shown.errors


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_the_file_of_a_ca_makes_its_server_trusted(
    authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with scripted({"ws/": [websocket(PENDING, COMPLETED)]}, tls) as server:
        shown = typed(server.url, "follow", ID, "--ca", str(tmp_path / "ca.pem"))
    assert (shown.exit_code, len(shown.lines), shown.errors) == (0, 2, "")
    assert server.asked("/ws/") == 1


def test_a_server_that_is_not_trusted_is_told_with_the_remedy(tls: ssl.SSLContext) -> None:
    with scripted(tls=tls) as server:
        shown = typed(server.url, "vehicles")
    assert (shown.exit_code, is_one_line(shown.errors)) == (2, True)
    assert shown.errors.startswith("untrusted: ")
    assert "--ca" in shown.errors


# --- Terminals


LISTED: dict[str, list[Answer]] = {"vehicles/": [http(200, {"results": [NISSAN] * 2})]}


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_may_lack_characters(encoding: str) -> None:
    with scripted(LISTED) as server:
        shown = typed(server.url, "vehicles", env={"PYTHONIOENCODING": encoding})
    assert (shown.exit_code, shown.errors) == (0, "")
    assert [line.split()[0] for line in shown.lines] == [NISSAN["vin"]] * 2
    assert all(line.isprintable() for line in shown.lines)


@pytest.mark.parametrize("arguments", [("vehicles",), ("follow", ID)])
def test_a_reader_may_go(arguments: tuple[str, ...]) -> None:
    answers = LISTED | {"ws/": [websocket(PENDING, COMPLETED)]}
    reader, writer = os.pipe()
    os.close(reader)
    with scripted(answers) as server, os.fdopen(writer, "wb") as output:
        assert typed(server.url, *arguments, stdout=output) == (141, [], "")


def test_output_that_cannot_be_written_is_one_line() -> None:
    with scripted(LISTED) as server, open("/dev/full", "wb") as full:
        shown = typed(server.url, "vehicles", stdout=full)
    assert shown.exit_code == 2
    assert is_one_line(shown.errors)


def test_ctrl_c_ends_following(live: Live) -> None:
    process = started(at(live), "submit", OFFLINE, "ReadDTC", "ecuAddress=0x10", "--follow")
    assert process.stdout
    assert b"pending" in b"".join(process.stdout.readline() for _ in range(2))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=SECONDS)
    assert (process.returncode, errors) == (130, b"")


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape"])
def test_a_password_that_is_not_utf8_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "password").write_bytes(b"\xff\n")
    with scripted() as server, (tmp_path / "password").open() as stdin:
        given: dict[str, Any] = {"SOVD_PASSWORD": "", "PYTHONIOENCODING": encoding}
        process = started(server.url, "vehicles", env=given, stdin=stdin)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert b"not UTF-8" in errors.splitlines()[-1]
    assert b"Traceback" not in errors


def test_no_password_is_told() -> None:
    shown = typed("http://127.0.0.1", "vehicles", env={"SOVD_PASSWORD": ""})
    assert shown.exit_code == 2
    assert shown.errors.splitlines()[-1] == "no_password: No password: set SOVD_PASSWORD."
