"""Hosts on this machine: network namespaces with addresses of their own, which can be cut off one by one."""

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ports import range_number

Direction = Literal["both", "in", "out"]
"""What is lost of a host that is cut off: everything, what is sent to it, or what it sends."""

_TOOLS = ("ip", "iptables", "nsenter")
_IN, _OUT = ("INPUT", "--in-interface"), ("OUTPUT", "--out-interface")
_LOST: Mapping[Direction, Sequence[tuple[str, str]]] = {"both": (_IN, _OUT), "in": (_IN,), "out": (_OUT,)}


@dataclass(frozen=True, slots=True)
class Host:
    """Where a server runs."""

    name: str
    address: str
    enter: tuple[str, ...] = ()
    """What stands before a command that is to run there."""
    variables: dict[str, str] = field(default_factory=dict)
    """Of every process that is started there."""

    async def cut_off(self, direction: Direction = "both") -> None:
        """Lose what it sends or is sent. Nobody is told: packets are dropped, not refused."""
        for chain, interface in _LOST[direction]:
            await run(*self.enter, "iptables", "--append", chain, interface, "eth0", "--jump", "DROP")

    async def join(self) -> None:
        """Let everything through again."""
        await run(*self.enter, "iptables", "--flush")


HERE = Host("here", "127.0.0.1")


def missing_for_hosts() -> str | None:
    """Name what it takes to make hosts and isn't there; None if nothing is missing."""
    if os.geteuid() != 0:
        return "root, to make network namespaces"
    lacking = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"the command {lacking[0]}" if lacking else None


@contextlib.asynccontextmanager
async def networked(names: Sequence[str]) -> AsyncIterator[dict[str, Host]]:
    """Make hosts on a network of their own, which this process can reach, and nobody else."""
    number = range_number()
    # 198.18.0.0/15 is for tests of networks; see RFC 2544.
    prefix, link = f"198.19.{number}", f"ms-test-{number}"
    switch = f"{link}-switch"
    made: list[str] = []
    for stale in _left_over(link):
        await run("ip", "netns", "delete", stale)
    await _remove_link(link)
    try:
        # The switch has a namespace, too: rules of this machine are no concern of packets between two hosts.
        await _add_namespace(switch, made)
        await run("ip", "-netns", switch, "link", "add", "bridge", "type", "bridge")
        await run("ip", "-netns", switch, "link", "set", "bridge", "up")
        await run("ip", "link", "add", link, "type", "veth", "peer", "name", "here", "netns", switch)
        await run("ip", "address", "add", f"{prefix}.1/24", "dev", link)
        await run("ip", "link", "set", link, "up")
        await run("ip", "-netns", switch, "link", "set", "here", "master", "bridge", "up")
        hosts = {}
        for place, name in enumerate(names):
            own, address = f"{link}-{name}", f"{prefix}.{place + 10}"
            await _add_namespace(own, made)
            port = f"port-{place}"
            await run("ip", "-netns", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", own)
            await run("ip", "-netns", switch, "link", "set", port, "master", "bridge", "up")
            await run("ip", "-netns", own, "address", "add", f"{address}/24", "dev", "eth0")
            await run("ip", "-netns", own, "link", "set", "eth0", "up")
            hosts[name] = Host(name, address, ("nsenter", f"--net=/run/netns/{own}"))
        yield hosts
    finally:
        # Without waiting until the kernel has seen its namespace go.
        await _remove_link(link)
        for namespace in reversed(made):
            await run("ip", "netns", "delete", namespace)


async def _remove_link(name: str) -> None:
    if name in [link for _, link in socket.if_nameindex()]:
        with contextlib.suppress(AssertionError):  # it went with its namespace meanwhile
            await run("ip", "link", "delete", name)


def _left_over(link: str) -> list[str]:
    """Return the namespaces of a process that had the same number, and was killed."""
    return [path.name for path in Path("/run/netns").glob(f"{link}-*")]


async def _add_namespace(name: str, made: list[str]) -> None:
    await run("ip", "netns", "add", name)
    made.append(name)
    await run("ip", "-netns", name, "link", "set", "lo", "up")


async def run(*command: str) -> None:
    """Run a command that has to succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, f"{' '.join(command)}: {output.decode()}"
