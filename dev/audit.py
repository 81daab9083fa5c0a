"""`make lint`: look up known vulnerabilities of the locked packages; offline, say so."""

import json
import subprocess
import sys
from pathlib import Path

SECONDS = 60
COMMAND = [
    *(str(Path(sys.executable).parent / "pip-audit"), "--requirement", "requirements.txt"),
    *("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
]


def main() -> int:
    try:
        ended = subprocess.run(
            COMMAND, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        packages = json.loads(ended.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        print("pip-audit: skipped, the list of vulnerabilities cannot be reached")
        return 0
    found = [(package, flaw) for package in packages for flaw in package.get("vulns", [])]
    for package, flaw in found:
        fixed = ", ".join(flaw["fix_versions"]) or "none yet"
        print(f"pip-audit: {package['name']} {package['version']}: {flaw['id']}, fixed in {fixed}")
    print(f"pip-audit: {len(packages)} packages, {len(found)} known vulnerabilities")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
