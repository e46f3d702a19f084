"""Hosts as network namespaces on a bridge, each behind links with a bandwidth and, where the kernel can, a latency."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from benchmarks.hosts import Host, Hosts
from benchmarks.site import Failed

_PREFIX = "msb"
_TOOLS = ("ip", "tc", "nsenter")
_BURST = "256kb"
_QUEUED = "50ms"
_PACKETS = "10000"
_NETWORKS = [IPv4Network(f"10.213.{third}.0/24") for third in range(256)]


@dataclass(frozen=True, slots=True)
class Link:
    """What a host is connected by: its bandwidth as `tc` writes it, and the seconds that a packet takes, one way."""

    bandwidth: str
    latency: float


@dataclass(frozen=True, slots=True)
class Network:
    """The hosts, and whether packets between them take their time."""

    hosts: Hosts
    has_latency: bool


def missing() -> str | None:
    """Return what is missing for hosts of their own; None if nothing is."""
    tools = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return "hosts of their own are network namespaces, and only root makes them: run as root, or with --one-host"
    if tools:
        return f"hosts of their own need {', '.join(tools)} (packages iproute2 and util-linux), or use --one-host"
    return None


def one_host(names: Sequence[str]) -> Hosts:
    """Return hosts that are only addresses of loopback, as Linux has many."""
    return Hosts({name: Host(f"127.0.1.{number}") for number, name in enumerate(names, start=1)})


@contextlib.contextmanager
def separate_hosts(names: Sequence[str], link: Link) -> Iterator[Network]:
    """Make a host for each name, and remove them at the end; the benchmark itself is at the bridge.

    Raises:
        Failed: the system refuses it.

    """
    _sweep()
    bridge = f"{_PREFIX}{os.getpid()}"
    network = _unused()
    addresses = network.hosts()
    with contextlib.ExitStack() as ending:
        _ip("link", "add", bridge, "type", "bridge")
        ending.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{next(addresses)}/{network.prefixlen}", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts, has_latency = {}, link.latency > 0
        for number, name in enumerate(names):
            space, outside = f"{bridge}-{name}", f"{bridge}-{number}"
            _ip("netns", "add", space)
            ending.callback(_ip, "netns", "del", space)
            _ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", space)
            # The kernel would remove it with the namespace, but some time later.
            ending.callback(_ip, "link", "del", outside)
            _ip("link", "set", outside, "master", bridge, "up")
            address = str(next(addresses))
            _ip("-n", space, "addr", "add", f"{address}/{network.prefixlen}", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", space, "link", "set", device, "up")
            enter = (_path("nsenter"), f"--net=/run/netns/{space}", "--")
            has_latency = all([_shape((), outside, link), _shape(enter, "eth0", link)]) and has_latency
            hosts[name] = Host(address, enter)
        yield Network(Hosts(hosts), has_latency)


def _shape(enter: Sequence[str], device: str, link: Link) -> bool:
    """Set what a device sends to the link's figures; return whether the kernel can delay packets."""
    command = (*enter, _path("tc"), "qdisc", "add", "dev", device, "root")
    delay = ("netem", "delay", f"{round(link.latency * 1e6)}us", "rate", link.bandwidth, "limit", _PACKETS)
    if link.latency > 0 and subprocess.run([*command, *delay], capture_output=True, check=False).returncode == 0:
        return True
    _run(*command, "tbf", "rate", link.bandwidth, "burst", _BURST, "latency", _QUEUED)
    return False


def _sweep() -> None:
    """Remove what a run left that was killed."""
    for line in _run(_path("ip"), "netns", "list").splitlines():
        name = line.split()[0]
        owner = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and owner.isdigit() and not _lives(int(owner)):
            _ip("netns", "del", name)
    for line in _run(_path("ip"), "-o", "link", "show", "type", "bridge").splitlines():
        name = line.split(":")[1].strip()
        owner = name.removeprefix(_PREFIX)
        if name.startswith(_PREFIX) and owner.isdigit() and not _lives(int(owner)):
            _ip("link", "del", name)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _unused() -> IPv4Network:
    """Return addresses that this machine has no way to yet."""
    taken = {word for line in _run(_path("ip"), "-4", "route").splitlines() for word in line.split()}
    return next(network for network in _NETWORKS if str(network) not in taken)


def _ip(*words: str) -> None:
    _run(_path("ip"), *words)


def _path(tool: str) -> str:
    return shutil.which(tool) or tool


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
