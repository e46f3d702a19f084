"""The shipped configuration of the proxy, on hosts whose addresses are known."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from hosts import missing_for_hosts, networked
from waiting import until

from machines.proxy import SHIPPED, missing_for_proxy, proxying, with_addresses, write_config

SERVERS = {
    "ingest": ["198.18.0.1:1000", "198.18.0.2:1000"],
    "retriever": ["198.18.0.1:1001", "198.18.0.2:1001"],
    "qdrant": ["198.18.0.3:1002", "198.18.0.4:1002", "198.18.0.5:1002"],
}


def test_all_servers_are_known_by_their_addresses_and_nothing_is_looked_up() -> None:
    config = with_addresses(SHIPPED.read_text(), SERVERS)
    assert "resolvers" not in config
    for name, places in SERVERS.items():
        assert all(f"server {name}-{number} {place}\n" in config for number, place in enumerate(places, 1))
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


_SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", str(len(sys.argv[1])))
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

ThreadingHTTPServer((sys.argv[1], 80), Handler).serve_forever()
"""
_SOON = 30.0
"""Seconds. The proxy waits for 75 s for an answer that it has no reason to give up."""


async def test_who_waits_for_a_node_whose_host_is_gone_is_soon_told_and_answered_by_another(tmp_path: Path) -> None:
    missing = missing_for_hosts() or missing_for_proxy()
    if missing is not None:
        pytest.skip(f"this takes {missing}")
    async with networked(["one", "other", "front"]) as hosts:
        servers = [hosts["one"], hosts["other"]]
        processes = [
            await asyncio.create_subprocess_exec(*host.enter, sys.executable, "-c", _SERVER, host.address)
            for host in servers
        ]
        places = [f"{host.address}:80" for host in servers]
        behind = {"ingest": places, "retriever": places, "qdrant": places}
        try:
            async with (
                proxying(hosts["front"], tmp_path / "proxy", behind) as urls,
                httpx.AsyncClient(base_url=urls["qdrant"], timeout=_SOON) as client,
            ):

                async def answered_by() -> str:
                    try:
                        return (await client.get("/")).raise_for_status().text
                    except (httpx.RemoteProtocolError, httpx.HTTPStatusError):
                        return ""

                async def both_answer() -> bool:
                    return set(await asyncio.gather(*(answered_by() for _ in range(8)))) == {
                        host.address for host in servers
                    }

                await until(both_answer, "both servers answer")
                await servers[0].cut_off()
                for _ in range(4):
                    await until(answered_by, "the other answers")
        finally:
            for process in processes:
                process.kill()
                await process.wait()
