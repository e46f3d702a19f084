"""Hosts of their own, as the benchmark of scale makes them: they reach each other, and nothing of them is left."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.hosts import Host
from benchmarks.scale.cores import missing_control, shared_cores
from benchmarks.scale.network import Link, missing, separate_hosts
from benchmarks.site import Failed

_ANSWER = "import socket, sys; socket.create_server((sys.argv[1], 7000)).accept()[0].sendall(b'here')"
_NAMES = ["one", "other"]


def _devices() -> list[str]:
    """Return the names of this process' bridge and namespaces that are there."""
    own = f"msb{os.getpid()}"
    return [path.name for folder in ("/sys/class/net", "/run/netns") for path in Path(folder).glob(f"{own}*")]


def test_hosts_reach_each_other_and_are_removed_after_a_failure() -> None:
    """What one host says arrives at the other; an error in between leaves no namespace and no bridge."""
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    with pytest.raises(ZeroDivisionError):
        _fail_on_hosts()
    assert not _devices()


def _fail_on_hosts() -> None:
    """Make hosts, have one tell the other something, and fail."""
    with contextlib.ExitStack() as ending:
        try:
            network = ending.enter_context(separate_hosts(_NAMES, Link("1gbit", 0.0)))
        except Failed as error:
            pytest.skip(f"this system makes no network namespaces: {error}")
        assert len(_devices()) == 1 + 2 * len(_NAMES)
        one, other = (network.hosts.of[name] for name in _NAMES)
        with subprocess.Popen([*one.prefix, sys.executable, "-c", _ANSWER, one.address]):
            assert _told(other, one.address) == b"here"
        1 / 0  # noqa: B018 - something goes wrong


def _told(host: Host, address: str) -> bytes:
    """Return what is said at an address, once somebody listens there."""
    ask = (
        "import socket, sys\n"
        "while True:\n"
        "    try: print(socket.create_connection((sys.argv[1], 7000), 5).recv(9).decode(), end=''); break\n"
        "    except ConnectionRefusedError: pass\n"
    )
    return subprocess.run(
        [*host.prefix, sys.executable, "-c", ask, address], stdout=subprocess.PIPE, check=True, timeout=30
    ).stdout


def test_a_host_is_held_to_its_share_of_a_core() -> None:
    """The control group has the process in it, and is removed when that has ended."""
    lacking = missing_control()
    if lacking is not None:
        pytest.skip(lacking)
    try:
        with shared_cores(0.2) as cores:
            with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
                cores.hold("one", process.pid)
                assert str(process.pid) in (cores.root / "one" / "cgroup.procs").read_text().split()
                assert process.stdin is not None
                process.stdin.write(b"\n")
            root = cores.root
    except OSError as error:
        pytest.skip(f"this system makes no control groups: {error}")
    assert not root.exists()
