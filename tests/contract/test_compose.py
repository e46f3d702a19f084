"""docker-compose.yml, without an engine: the specification's schema, and what the services say about themselves."""

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import yaml
from contract.compose_files import (
    CLUSTER,
    COMPOSE,
    EXAMPLE,
    REQUIRED,
    SETTINGS,
    TOP,
    VARIABLE,
    Compose,
    RequiredVariableMissing,
    interpolated,
    read_compose,
)
from pydantic_settings import BaseSettings
from waiting import PATIENCE

ALIKE = re.compile(r"(redis|qdrant|embeddings)_(url|api_key|model|dimensions)|partitions|collection")
PUBLISHED = {"ingest", "retriever"}


@pytest.fixture(scope="module")
def services() -> Compose:
    """Read the services with the required variables set."""
    return read_compose(**REQUIRED)


@pytest.fixture
def settings_of(services: Compose, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], BaseSettings]:
    """Give a service's settings as it reads them in its container."""

    def read(name: str) -> BaseSettings:
        for variable, value in services[name]["environment"].items():
            monkeypatch.setenv(variable, value)
        return SETTINGS[name]()

    return read


def seconds(text: str) -> float:
    """Read a duration of one unit, as all are that the file has."""
    match = re.fullmatch(r"(\d+)(s|m)", text)
    assert match is not None, text
    return int(match[1]) * {"s": 1, "m": 60}[match[2]]


def test_it_follows_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="carries the schema of the specification")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SETTINGS)
def test_each_variable_is_a_setting_of_its_service(name: str, services: Compose) -> None:
    kind = SETTINGS[name]
    prefix = kind.model_config["env_prefix"]
    known = {f"{prefix}{field}".upper() for field in kind.model_fields}
    assert services[name]["environment"].keys() <= known


def test_services_agree_on_what_they_share(settings_of: Callable[[str], BaseSettings]) -> None:
    first: dict[str, object] = {}
    for name in SETTINGS:
        for field, value in settings_of(name):
            if ALIKE.fullmatch(field):
                assert first.setdefault(field, value) == value, (name, field)
    shared = {"partitions", "redis_url", "qdrant_url", "qdrant_api_key", "embeddings_model", "embeddings_api_key"}
    assert shared <= first.keys()


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_not_set_in_the_shell_is_as_in_the_code(
    name: str, services: Compose, settings_of: Callable[[str], BaseSettings]
) -> None:
    """Addresses and the number of partitions belong to the installation; the rest has its default in one place."""
    of_the_installation = re.compile(r"partitions|redis_url|qdrant_url|(qdrant|embeddings)_api_key")
    prefix = SETTINGS[name].model_config["env_prefix"]
    settings = settings_of(name)
    for variable in services[name]["environment"]:
        field = variable.removeprefix(prefix).lower()
        if not of_the_installation.fullmatch(field):
            assert getattr(settings, field) == SETTINGS[name].model_fields[field].get_default(), variable


@pytest.mark.parametrize("variable", REQUIRED)
def test_without_a_required_variable_it_says_where_to_set_it(variable: str) -> None:
    with pytest.raises(RequiredVariableMissing, match=rf"set {variable} in .*{re.escape(EXAMPLE.name)}"):
        read_compose(**REQUIRED | {variable: ""})


def test_redis_and_qdrant_ask_for_a_secret_that_the_services_have(
    services: Compose, settings_of: Callable[[str], BaseSettings]
) -> None:
    config = interpolated(yaml.safe_load(COMPOSE.read_text())["configs"]["redis"]["content"], REQUIRED)
    password, key = REQUIRED["MEMSTREAM_REDIS_PASSWORD"], REQUIRED["MEMSTREAM_QDRANT_API_KEY"]
    assert config == f"requirepass {password}\n"
    assert services["redis"]["configs"] == [{"source": "redis", "target": services["redis"]["command"][1]}]
    assert services["redis"]["environment"]["REDISCLI_AUTH"] == password
    assert services["qdrant"]["environment"]["QDRANT__SERVICE__API_KEY"] == key
    for name in SETTINGS:
        settings = settings_of(name)
        assert getattr(settings, "redis_url").password == password  # noqa: B009 - not of all settings
        if name != "ingest":
            assert getattr(settings, "qdrant_api_key").get_secret_value() == key  # noqa: B009


def test_no_command_line_has_a_secret(services: Compose) -> None:
    for name, service in services.items():
        told = [*service.get("command", []), *service["healthcheck"]["test"]]
        assert not [word for word in told for secret in REQUIRED.values() if secret in word], name


def test_only_the_services_reach_redis_and_qdrant(services: Compose) -> None:
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["data"] == {"internal": True}
    assert {name: services[name]["networks"] for name in ("redis", "qdrant")} == {"redis": ["data"], "qdrant": ["data"]}


def test_the_example_of_the_variables_is_complete_and_shows_the_defaults() -> None:
    wanted = {
        match["name"]: None if match["operator"] == ":?" else match["operand"]
        for path in (CLUSTER, COMPOSE)
        for match in VARIABLE.finditer(path.read_text())
        if match["name"]
    }
    lines = re.findall(r"^(#?)([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert {name: default if comment else None for comment, name, default in lines} == wanted


def test_every_service_is_watched_and_comes_back(services: Compose) -> None:
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        assert service["restart"] == "unless-stopped", name
        for dependency, condition in service.get("depends_on", {}).items():
            assert dependency in services
            assert condition["condition"] in {"service_healthy", "service_started"}


@pytest.mark.parametrize("name", SETTINGS)
def test_our_services_have_no_more_rights_than_they_need(name: str, services: Compose) -> None:
    service = services[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_nothing_is_privileged_and_nothing_has_a_fixed_name(services: Compose) -> None:
    """A fixed name or hostname would keep a service from being scaled, and would let workers share a name."""
    for name, service in services.items():
        assert not {"privileged", "cap_add", "container_name", "hostname", "network_mode"} & service.keys(), name


def test_only_the_services_for_clients_are_published_and_only_to_this_host(services: Compose) -> None:
    assert {name for name, service in services.items() if "ports" in service} == PUBLISHED
    published = [services[name]["ports"] for name in sorted(PUBLISHED)]
    assert published == [["127.0.0.1:8100:8100"], ["127.0.0.1:8101:8101"]]


def test_a_range_of_ports_lets_the_services_for_clients_be_scaled() -> None:
    scaled = read_compose(**REQUIRED, MEMSTREAM_INGEST_PORTS="8110-8119", MEMSTREAM_BIND="192.0.2.1")
    assert scaled["ingest"]["ports"] == ["192.0.2.1:8110-8119:8100"]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_worker_is_given_time_to_finish(
    name: str, services: Compose, settings_of: Callable[[str], BaseSettings]
) -> None:
    grace = getattr(settings_of(name), "grace", timedelta(seconds=10))
    assert seconds(services[name]["stop_grace_period"]) >= grace.total_seconds() + 5


@pytest.mark.parametrize("name", SETTINGS)
def test_the_image_is_built_from_a_dockerfile_that_is_there(name: str, services: Compose) -> None:
    build = services[name]["build"]
    assert (TOP / build["context"] / build["dockerfile"]).is_file()
    port = SETTINGS[name].model_fields["port"].get_default()
    assert f"'127.0.0.1', {port}," in services[name]["healthcheck"]["test"][-1]


def test_every_image_is_an_argument() -> None:
    """A site with a registry of its own, or with none, gives all of them other names."""
    names = {name: f"MEMSTREAM_IMAGE_{name.upper()}" for name in read_compose(**REQUIRED)}
    others = {variable: f"registry.example/{name}:1" for name, variable in names.items()}
    services = read_compose(**REQUIRED, **others, MEMSTREAM_IMAGE_PYTHON="registry.example/python:1")
    assert {name: service["image"] for name, service in services.items()} == {
        name: others[variable] for name, variable in names.items()
    }
    for name in SETTINGS:
        assert services[name]["build"]["args"] == {"MEMSTREAM_IMAGE_PYTHON": "registry.example/python:1"}
        text = (TOP / services[name]["build"]["dockerfile"]).read_text()
        assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${MEMSTREAM_IMAGE_PYTHON}"}
        assert (
            f"ARG MEMSTREAM_IMAGE_PYTHON={read_compose(**REQUIRED)[name]['build']['args']['MEMSTREAM_IMAGE_PYTHON']}\n"
            in text
        )


def test_health_checks_ask_for_nothing_that_docker_20_10_lacks(services: Compose) -> None:
    """It refuses a file or an image with an interval for the start alone."""
    for name, service in services.items():
        assert "start_interval" not in service["healthcheck"], name
        assert seconds(service["healthcheck"]["interval"]) <= seconds("5s")
    for name in SETTINGS:
        assert "--start-interval" not in (TOP / services[name]["build"]["dockerfile"]).read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="the containers are Linux")
@pytest.mark.parametrize("name", ["qdrant", *SETTINGS])
@pytest.mark.parametrize("status", [200, 503])
def test_a_health_check_tells_well_from_unwell(name: str, status: int, services: Compose) -> None:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    asked: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), Answering)
    Thread(target=server.serve_forever, daemon=True).start()
    kind, program, *arguments = services[name]["healthcheck"]["test"]
    arguments[-1] = re.sub(r"(127\.0\.0\.1(?:', |/))\d+", rf"\g<1>{server.server_port}", arguments[-1])
    found = {"python": sys.executable, "bash": "/bin/bash"}[program]
    try:
        done = subprocess.run([found, *arguments], capture_output=True, timeout=PATIENCE, check=False)
    finally:
        server.shutdown()
        server.server_close()
    assert (kind, done.returncode == 0) == ("CMD", status == 200)
    assert len(asked) == 1
    assert asked[0] in {"/readyz", "/health/ready", "/health/live"}
