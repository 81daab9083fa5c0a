"""The console's scripts survive the minifier, which knows only a part of JavaScript."""

import subprocess
import sys
from pathlib import Path

from django.conf import settings
from rjsmin import jsmin


def test_minified_scripts_can_be_parsed(tmp_path: Path) -> None:
    (tmp_path / "biome.json").write_text("{}")
    for script in (settings.BASE_DIR / "commands/static/console").rglob("*.js"):
        (tmp_path / f"{script.parent.name}-{script.name}").write_text(jsmin(script.read_text()))
    biome = Path(sys.executable).with_name("biome")
    command = [str(biome), "format", "--write", f"--config-path={tmp_path}", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
