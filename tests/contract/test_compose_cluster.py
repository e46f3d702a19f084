"""deploy/compose.cluster.yaml, without an engine: what its parts say of each other, and the services of them."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract.compose_files import CLUSTER, REQUIRED, SETTINGS, TOP, Compose, read_compose, read_file
from pydantic_settings import BaseSettings

from memstream.streams.redis_url import GroupUrl

PROXY = TOP / "deploy/cluster/haproxy.cfg"
PROMETHEUS = TOP / "deploy/cluster/prometheus.yaml"
REDIS = ("redis", "redis-2", "redis-3")
SENTINELS = ("sentinel-1", "sentinel-2", "sentinel-3")
QDRANT = ("qdrant", "qdrant-2", "qdrant-3")


@pytest.fixture(scope="module")
def cluster() -> Compose:
    """Read the file with the required variables set."""
    return read_file(CLUSTER, **REQUIRED)


def address(cluster: Compose, name: str) -> str:
    found: str = cluster["services"][name]["networks"]["data"]["ipv4_address"]
    return found


def settings_of(name: str, cluster: Compose, monkeypatch: pytest.MonkeyPatch) -> BaseSettings:
    for services in (read_compose(**REQUIRED), cluster["services"]):
        for variable, value in services[name]["environment"].items():
            monkeypatch.setenv(variable, value)
    return SETTINGS[name]()


def test_it_follows_the_compose_specification(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema", reason="carries the schema of the specification")
    copy = tmp_path / CLUSTER.name
    # The tags by which it replaces what the other file says are for Docker Compose alone.
    copy.write_text(re.sub(r"!(reset|override) ", "", CLUSTER.read_text()))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SETTINGS)
def test_the_services_ask_the_sentinels_for_the_primary(
    name: str, cluster: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Any = settings_of(name, cluster, monkeypatch)
    url = settings.redis_url
    assert isinstance(url, GroupUrl)
    assert url.nodes == [(address(cluster, sentinel), 26379) for sentinel in SENTINELS]
    assert (url.password, url.options["sentinel_password"]) == (REQUIRED["MEMSTREAM_REDIS_PASSWORD"],) * 2
    config = cluster["configs"]["sentinel"]["content"]
    assert f"sentinel monitor {url.primary} {address(cluster, 'redis')} 6379 2\n" in config


def test_a_message_is_on_two_nodes_before_it_is_accepted(cluster: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Any = settings_of("ingest", cluster, monkeypatch)
    assert (settings.durability, settings.replicas) == ("replica", 1)
    assert "\nmin-replicas-to-write 1\n" in cluster["configs"]["redis"]["content"]


def test_redis_is_set_up_as_on_one_node(cluster: Compose) -> None:
    words = read_compose(**REQUIRED)["redis"]["command"]
    options = dict(pairwise(words))
    config = dict(line.split(" ", 1) for line in cluster["configs"]["redis"]["content"].splitlines())
    names = [word.removeprefix("--") for word in words if word.startswith("--")]
    assert {name: config[name].strip('"') for name in names} == {name: options[f"--{name}"] for name in names}


@pytest.mark.parametrize("nodes", [REDIS, SENTINELS, QDRANT])
def test_no_two_nodes_share_a_volume_or_an_address(nodes: tuple[str, ...], cluster: Compose) -> None:
    services = {name: read_compose(**REQUIRED).get(name, {}) | cluster["services"][name] for name in nodes}
    volumes = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    assert len(set(volumes)) == len(volumes)
    assert len({address(cluster, name) for name in nodes}) == len(nodes)


def test_every_qdrant_is_known_by_its_address_and_joins_the_first(cluster: Compose) -> None:
    for node in QDRANT:
        options = dict(pairwise(cluster["services"][node]["command"]))
        assert options["--uri"] == f"http://{address(cluster, node)}:6335"
        first = None if node == QDRANT[0] else f"http://{address(cluster, QDRANT[0])}:6335"
        assert options.get("--bootstrap") == first


def test_the_proxy_and_prometheus_find_every_replica_where_it_listens(cluster: Compose) -> None:
    proxy, jobs = PROXY.read_text(), yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    ports = {name: SETTINGS[name].model_fields["port"].get_default() for name in SETTINGS}
    found = {job["job_name"]: job.get("dns_sd_configs", [{}])[0] for job in jobs}
    assert {name: (found[name]["names"], found[name]["port"]) for name in ports} == {
        name: ([name], port) for name, port in ports.items()
    }
    assert all(f"server-template {name} 16 {name}:{ports[name]}\n" in proxy for name in ("ingest", "retriever"))
    network = cluster["services"]["proxy"]["environment"]["MEMSTREAM_DATA_NETWORK"]
    servers = re.findall(r'server qdrant-\d "\$\{MEMSTREAM_DATA_NETWORK\}(\S+):6333"', proxy)
    assert [network + server for server in servers] == [address(cluster, node) for node in QDRANT]
    published = [port.split(":", 1)[1] for port in cluster["services"]["proxy"]["ports"]]
    assert published == [f"{ports[name]}:{ports[name]}" for name in ("ingest", "retriever")]


@pytest.mark.parametrize("name", ["ingest", "retriever"])
def test_two_of_each_service_run_behind_the_proxy_alone(name: str, cluster: Compose) -> None:
    service = cluster["services"][name]
    assert (service["deploy"], service["ports"]) == ({"replicas": 2}, [])
    assert re.search(rf"  {name}:(?:\n    .*)*\n    ports: !reset ", CLUSTER.read_text())


def test_every_part_is_watched_and_comes_back(cluster: Compose) -> None:
    own = read_compose(**REQUIRED)
    for name, service in cluster["services"].items():
        base = own.get(service.get("extends", {}).get("service", name), {})
        merged = base | service
        assert merged["restart"] == "unless-stopped", name
        assert merged["healthcheck"]["test"], name
        assert "start_interval" not in merged["healthcheck"], name
        assert not {"privileged", "cap_add", "container_name", "network_mode"} & merged.keys(), name


def test_every_image_is_an_argument() -> None:
    images = set(re.findall(r"image: (\S+)", CLUSTER.read_text()))
    assert images
    assert [image for image in images if not re.fullmatch(r"\$\{MEMSTREAM_IMAGE_[A-Z]+:-\S+\}", image)] == []
