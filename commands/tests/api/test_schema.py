"""The OpenAPI document: made once, for all, and fit for generators of clients."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.test import Client

SCHEMA = "/api/schema/"
JSON = {"Accept": "application/json"}


def test_concurrent_first_requests_get_the_same_document() -> None:
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: Client().get(SCHEMA, headers=JSON), range(16)))
    assert {response.status_code for response in responses} == {200}
    assert len({response.content for response in responses}) == 1


def test_a_known_document_is_not_sent_again() -> None:
    first = Client().get(SCHEMA, headers=JSON)
    again = Client().get(SCHEMA, headers=JSON | {"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = Client().get(SCHEMA, headers=JSON | {"If-None-Match": '"another"'})
    assert other.content == first.content


def test_yaml_and_json_have_their_own_etags() -> None:
    yaml, as_json = Client().get(SCHEMA), Client().get(SCHEMA, headers=JSON)
    assert yaml["Content-Type"].startswith("application/vnd.oai.openapi")
    assert yaml["ETag"] != as_json["ETag"]
    assert "Accept" in as_json["Vary"]


def test_a_generated_client_can_be_imported(tmp_path: Path) -> None:
    document = tmp_path / "openapi.json"
    document.write_bytes(Client().get(SCHEMA, headers=JSON).content)
    generate = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    output = tmp_path / "generated"
    made = subprocess.run(  # noqa: S603
        [*generate, "--path", document, "--output-path", output, "--fail-on-warning"],
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},  # ruff
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    imports = "import importlib, pkgutil, generated\n"
    imports += "for m in pkgutil.walk_packages(generated.__path__, 'generated.'): "
    imports += "importlib.import_module(m.name)"
    imported = subprocess.run(  # noqa: S603
        [sys.executable, "-c", imports], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert imported.returncode == 0, imported.stderr


def test_every_operation_has_a_summary() -> None:
    document = json.loads(Client().get(SCHEMA, headers=JSON).content)
    operations = [
        (path, method, operation.get("summary"))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert [each for each in operations if not each[2]] == []
