"""The house around the code: papers, packages, the wheel, and what deploys it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from prometheus_client import REGISTRY

from aimass_stream import metrics
from aimass_stream.settings import Settings
from tests.support.options import settings
from tests.support.server import serve

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "aimass.json"
TEXT = {".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".js", ".css", ".html", ".sh", ".svg", ""}


def tracked() -> list[Path]:
    """Every file under version control; without one, a test of them has nothing to look at."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nobody says which files belong to the project")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def name_of(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def requirements(*extras: str) -> set[str]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return {name_of(requirement) for listed in lists for requirement in listed}


def test_there_is_one_opencv() -> None:
    """Two distributions overwrite each other's files, and which one wins is chance."""
    assert set(packages_distributions()["cv2"]) == {"opencv-python"}


def test_the_notice_names_every_dependency() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8").lower()
    named = set(re.findall(r"[a-z0-9][a-z0-9-]*", notice))
    assert requirements(*PROJECT["optional-dependencies"]) - named == set()


def test_the_package_imports_only_what_it_depends_on() -> None:
    distributions = packages_distributions()
    allowed = requirements() | requirements("torch", "piper", "talk", "sklearn", "objects", "convert", "tensorflow",
                                              "livekit")
    allowed |= {"keras", "h5py"}  # which come with TensorFlow
    # what a dependency cannot do without, and whose version it sets
    allowed |= {"anyio", "aioice", "pylibsrtp", "pydantic-core", "click", "pyopenssl"}
    allowed |= {"piper"}  # the module of piper-tts, also where that extra is not installed
    allowed |= {"mouth-wire"}  # speech/mouth_wire.py, as scripts that import nothing else of ours see it
    for path in (ROOT / "aimass_stream").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for top in {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"aimass_stream"}:
                found = {name.lower().replace("_", "-") for name in distributions.get(top, [top])}
                assert found & allowed, f"{path.relative_to(ROOT)} imports {top}"


def needed(*wanted: str) -> set[str]:
    """Names of all distributions that these requirements bring, themselves with those of their extras."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(each) for each in wanted]
    while waiting:
        one = waiting.pop()
        name = one.name.lower().replace("_", "-")
        if (one.marker is not None and not one.marker.evaluate()) or found.get(name, set()) >= one.extras | {""}:
            continue
        found.setdefault(name, set()).update(one.extras | {""})
        with contextlib.suppress(PackageNotFoundError):
            for text in requires(name) or ():
                needs = Requirement(text)
                if needs.marker is None or any(needs.marker.evaluate({"extra": extra}) for extra in found[name]):
                    needs.marker = None
                    waiting.append(needs)
    return set(found)


# a server that hides what a plain installation lacks
BARE = """
import sys
hidden = set(sys.argv[1].split(","))
class Hides:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(f"a plain installation has no {name}", name=name)
sys.meta_path.insert(0, Hides())
import asyncio
from pathlib import Path
from aimass_stream.server import create_app
from aimass_stream.settings import Settings
async def main():
    app = create_app(Settings(data_dir=Path(sys.argv[2]), fetch=False, warm=False))
    async with app.router.lifespan_context(app):
        print("it runs")
asyncio.run(main())
"""


def test_a_server_starts_with_what_a_plain_installation_brings(tmp_path: Path) -> None:
    there = needed(*PROJECT["dependencies"])
    hidden = {module for module, owners in packages_distributions().items()
              if not {owner.lower().replace("_", "-") for owner in owners} & there}
    assert "playwright" in hidden
    ran = subprocess.run([sys.executable, "-c", BARE, ",".join(hidden - {"aimass_stream"}), str(tmp_path)], cwd=ROOT,
                         capture_output=True, text=True, check=False)
    assert ran.stdout == "it runs\n", ran.stderr


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    folders = "|".join(["work", "root", "home/[a-z]+", "Users"])
    paths = re.compile(rf"(?<![\w.])/({folders})/")
    for path in tracked():
        if path.suffix in TEXT and path.stat().st_size < 1_000_000:
            text = path.read_text(encoding="utf-8")
            found = paths.search(text)
            assert found is None, f"{path.relative_to(ROOT)}: {text[found.start():][:40]!r}"


def test_links_between_papers_lead_somewhere() -> None:
    for path in tracked():
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text(encoding="utf-8")):
                if "://" not in target and not target.startswith("mailto:"):
                    assert (path.parent / target).exists(), f"{path.relative_to(ROOT)} links to {target}"


def test_the_licence_is_the_whole_of_it() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.split()[:6] == ["Apache", "License", "Version", "2.0,", "January", "2004"]
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == "Apache-2.0"


def test_the_wheel_carries_pages_and_models_and_no_tools(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="hatchling builds the wheel and is not installed")
    built = subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=ROOT,
                           capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for expected in ("_web/index.html", "_web/pages/base.html", "_web/words/zh.json", "_models/golden-hour/model.toml",
                     "_models/golden-hour/model.onnx",
                     "_models/golden-hour/recipe.py", "sandbox/child.py"):
        assert f"aimass_stream/{expected}" in names
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name or name.startswith("tests")]
    # 4.4 MB hear without a download, and nine painters of a third of a MB each
    assert wheel.stat().st_size < 9_000_000


# what deploys it ---------------------------------------------------------------------------------------


def expressions() -> list[str]:
    """Every query in the alert rules and on the dashboard, as Prometheus would get it."""
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8"))
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        found += [target["expr"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m").replace("$instance", ".*") for query in found]


def exported() -> dict[str, set[str]]:
    """Series names of this package with their labels."""
    assert metrics.HOP is not None
    series: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        for name in names:
            if name.startswith("aimass_"):
                series[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return series


def test_alerts_and_dashboard_ask_for_what_is_exported() -> None:
    series = exported()
    asked: set[str] = set()
    for query in expressions():
        names = set(re.findall(r"\baimass_[a-z_]+", query))
        assert names <= set(series), query
        asked |= names
        known = {"instance", "job"}.union(*(series[name] for name in names))
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\"", query))
        for listed in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", query):
            used |= {label.strip() for label in listed.split(",")}
        assert used <= known, query
    shown = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in asked}
    measured = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in series}
    assert measured - shown == set(), "not on the dashboard"


def test_prometheus_accepts_its_files(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    config = (ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8")
    (tmp_path / "key").write_text("secret")
    (tmp_path / "prometheus.yml").write_text(config.replace("/run/secrets/api_key", str(tmp_path / "key")))
    shutil.copy(ROOT / "deploy" / "alerts.yml", tmp_path)
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(expressions())]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    for check in (["config", "prometheus.yml"], ["rules", "queries.yml"]):
        checked = subprocess.run([promtool, "check", *check], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def options() -> set[str]:
    return {f"AIMASS_{name.upper()}" for name in Settings.model_fields}


def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def test_compose_sets_options_that_there_are_and_mounts_files_that_there_are() -> None:
    services = compose()["services"]
    environment = services["aimass"]["environment"]
    assert set(environment) <= options()
    ports = environment["AIMASS_UDP_PORTS"]
    assert f"{ports}:{ports}/udp" in services["aimass"]["ports"]
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose()["volumes"]
    assert "GPU" in services["aimass"]["build"]["args"]
    for path in (ROOT / "deploy").rglob("*.y*ml"):
        assert yaml.safe_load(path.read_text(encoding="utf-8")), path


def test_the_options_of_the_compose_file_are_accepted() -> None:
    given = {name.removeprefix("AIMASS_").lower(): re.sub(r"\$\{\w+(?::[-?][^}]*)?\}", "203.0.113.7", value)
             for name, value in compose()["services"]["aimass"]["environment"].items()}
    checked = Settings.model_validate(given | {"api_key": "long-enough", "tls": "self"})
    assert checked.udp_ports == (40000, 40199)
    assert len(checked.turn) == 2


def test_the_dockerfile_names_options_and_files_that_there_are() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    assert set(re.findall(r"AIMASS_[A-Z_]+", text)) <= options()
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    stages = [line for line in lines if line[0] == "FROM"]
    assert [line[3:] for line in stages] == [["models"], ["build"], []]
    assert lines.index(["USER", "aimass"]) > lines.index(stages[-1])
    assert any(line[0] == "HEALTHCHECK" for line in lines)
    assert ["ARG", "GPU=0"] in lines
    for line in lines:
        if line[0] == "COPY" and not line[1].startswith("--"):
            assert all((ROOT / source).exists() for source in line[1:-1])
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert ".git" in ignored
    assert ".venv" in ignored


@pytest.mark.anyio
async def test_the_health_check_tells_a_living_server_from_none() -> None:
    async def check(port: int, **environment: str) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "deploy" / "healthcheck.py"), stderr=subprocess.DEVNULL,
            env={**os.environ, "AIMASS_PORT": str(port), **environment})
        return await process.wait()

    async with serve(settings()) as server:
        port = server.server.bound_port
        assert await check(port) == 0
        assert await check(port, AIMASS_TLS="self") == 1  # there is no TLS here
    assert await check(port) == 1
