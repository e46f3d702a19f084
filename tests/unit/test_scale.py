"""What scale costs: arithmetic over what was measured, and where the measured parts are put."""

from pathlib import Path

import pytest

from benchmarks.hosts import Host, Hosts
from benchmarks.scale import network
from benchmarks.scale.__main__ import options
from benchmarks.scale.costs import Span, busiest, ends_at, grows_by
from memstream.local.stack.process_spec import ProcessSpec

ONE = Span(10.0, 1_000, {"embedder-1": 2.0, "redis": 1.0}, {"redis": 5})
TWO = Span(10.0, 2_000, {"embedder-1": 2.1, "embedder-2": 2.3, "redis": 2.0}, {"redis": 6})
CORES = {"embedder": 1.0, "redis": 1.0}


def test_parts_of_one_kind_cost_what_they_cost_together() -> None:
    """A million messages take the CPU of all embedders."""
    assert TWO.per_million() == pytest.approx({"embedder": 2_200, "redis": 1_000})
    assert TWO.per_second == 200


def test_the_busiest_part_is_that_nearest_to_its_own_cores() -> None:
    """A part with a fifth of a core is full when it uses that fifth."""
    assert TWO.busy(CORES) == pytest.approx({"embedder": 0.23, "redis": 0.2})
    assert busiest(TWO.busy(CORES)) == "embedder"
    assert TWO.busy(CORES | {"redis": 0.2})["redis"] == pytest.approx(1.0)


def test_a_shared_part_ends_at_the_rate_that_fills_it() -> None:
    """Redis took a millisecond for each message: at a thousand a second its core is full."""
    assert ends_at(TWO, "redis", CORES) == pytest.approx(1_000)


def test_growth_is_of_the_cost_of_each_message() -> None:
    """Twice the messages for twice the CPU is no growth."""
    assert grows_by(ONE, TWO, "embedder") == pytest.approx(1.1)
    assert grows_by(ONE, TWO) == pytest.approx(3.2 / 3)


def test_a_process_is_told_the_addresses_of_the_others() -> None:
    """Each part listens at its own host, and finds the others at theirs; what is not placed stays on loopback."""
    specs = [
        ProcessSpec("redis", ["/bin/redis", "--bind", "127.0.0.1", "--port", "102"], port=102),
        ProcessSpec(
            "ingest-1",
            ["/bin/python"],
            {"HOST": "127.0.0.1", "REDIS_URL": "redis://:secret@127.0.0.1:102/0", "OTHER": "http://127.0.0.1:1020/v1"},
            port=100,
            url="http://127.0.0.1:100",
            share_port=True,
        ),
        ProcessSpec("ingest-2", ["/bin/python"], {"HOST": "127.0.0.1"}, port=100, url="http://127.0.0.1:100"),
    ]
    hosts = Hosts(
        {"redis": Host("10.0.0.2", ("enter", "a")), "ingest-1": Host("10.0.0.3"), "ingest-2": Host("10.0.0.4")}
    )
    placed = hosts.place(specs, "secret")
    assert list(placed["redis"].argv) == ["enter", "a", "/bin/redis", "--bind", "10.0.0.2", "--port", "102"]
    assert placed["ingest-1"].environment == {
        "HOST": "10.0.0.3",
        "REDIS_URL": "redis://:secret@10.0.0.2:102/0",
        "OTHER": "http://127.0.0.1:1020/v1",
    }
    assert [placed[f"ingest-{number}"].url for number in (1, 2)] == ["http://10.0.0.3:100", "http://10.0.0.4:100"]
    assert hosts.reach("redis://127.0.0.1:102/0", specs) == "redis://10.0.0.2:102/0"


def test_one_host_has_an_address_for_each_part() -> None:
    """Parts on one host listen at addresses of their own, so that two of a kind are two places to ask."""
    hosts = network.one_host(["redis", "ingest-1"])
    assert [host.address for host in hosts.of.values()] == ["127.0.1.1", "127.0.1.2"]


def test_what_hosts_of_their_own_lack_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without root, or without the tools, one line says what is missing, and what does without."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "only root" in str(network.missing())
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda tool: None if tool == "tc" else f"/sbin/{tool}")
    assert str(network.missing()) == "hosts of their own need tc (packages iproute2 and util-linux), or use --one-host"
    monkeypatch.setattr("shutil.which", lambda tool: f"/sbin/{tool}")
    assert network.missing() is None


def test_a_server_elsewhere_needs_one_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts of their own reach nothing outside; and a binary has to be there."""
    with pytest.raises(SystemExit):
        options(["--qdrant-url", "http://127.0.0.1:6333"])
    assert "--one-host" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        options(["--qdrant-binary", str(tmp_path / "none")])
    assert options(["--qdrant-url", "http://127.0.0.1:6333", "--one-host"]).one_host
