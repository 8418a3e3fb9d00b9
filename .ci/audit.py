"""Asks PyPI's advisories about every package of the environment. Run as `python dev.py run .ci/audit.py`.

Fails for a known vulnerability that a newer release mends. Where the index gives no advisories, it says so: nothing is then
known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--timeout", "30"]


def judge(report: dict[str, Any]) -> tuple[list[str], bool]:
    """What a report of pip-audit says, in lines, and whether it is bad: something is vulnerable that an update mends."""
    packages = report["dependencies"]
    lines, bad = [], False
    for package in packages:
        for found in package.get("vulns", ()):
            mended = ", ".join(found["fix_versions"])
            lines.append(
                f"{package['name']} {package['version']}: {found['id']}, "
                + (f"mended in {mended}" if mended else "not mended yet")
            )
            bad = bad or bool(mended)
    unknown = sum("skip_reason" in package for package in packages)
    lines.append(f"{len(packages) - unknown} of {len(packages)} packages were audited.")
    if unknown:
        lines.append(f"NOT AUDITED: {unknown} packages, the index gives no advisories for them.")
    return lines, bad


def main() -> int:
    done = subprocess.run(COMMAND, capture_output=True, text=True)
    if not done.stdout.strip():
        print(f"NOT AUDITED: pip-audit reached no advisories.\n{done.stderr.strip()[-300:]}")
        return 0
    lines, bad = judge(json.loads(done.stdout))
    print("\n".join(lines))
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
