"""The shipped configuration of the proxy, on hosts whose addresses are known."""

import subprocess
from pathlib import Path

import pytest

from machines.proxy import SHIPPED, missing_for_proxy, with_addresses, write_config

SERVERS = {
    "ingest": ["198.18.0.1:1000", "198.18.0.2:1000"],
    "retriever": ["198.18.0.1:1001", "198.18.0.2:1001"],
    "qdrant": ["198.18.0.3:1002", "198.18.0.4:1002", "198.18.0.5:1002"],
}


def test_all_servers_are_known_by_their_addresses_and_nothing_is_looked_up() -> None:
    config = with_addresses(SHIPPED.read_text(), SERVERS)
    assert "resolvers" not in config
    for name, places in SERVERS.items():
        assert [f"server {name}-{number} {place}" in config for number, place in enumerate(places, 1)]
    kept = {line for line in SHIPPED.read_text().splitlines() if "resolvers" not in line and "server" not in line}
    assert kept - set(config.splitlines()) <= {
        line for line in kept if "nameserver" in line or "hold" in line or "payload_size" in line
    }


def test_the_proxy_takes_it(tmp_path: Path) -> None:
    missing = missing_for_proxy()
    if missing is not None:
        pytest.skip(f"this takes {missing}")
    config = write_config(tmp_path / "proxy", SERVERS)
    done = subprocess.run(["haproxy", "-c", "-f", str(config)], capture_output=True, text=True, check=False)  # noqa: S607 - as installed
    assert done.returncode == 0, done.stderr
