"""How the command finds the services."""

from pathlib import Path

import pytest

from memstream.client.command.failure import Failure
from memstream.client.command.services import find_admin_service, find_services
from memstream.contracts.stack import Stack

ENVIRONMENT = {
    "MEMSTREAM_INGEST_URL": "http://env:1",
    "MEMSTREAM_RETRIEVER_URL": "http://env:2",
    "MEMSTREAM_API_KEY": "env-key",
}


def home(path: Path) -> Path:
    path.mkdir()
    stack = Stack(
        ingest_url="http://home:1",
        retriever_url="http://home:2",
        redis_url="redis://home",
        qdrant_url="http://home:3",
        embeddings_url="http://home:4",
        api_key="home-key",
        admin_key="admin",
        embedding_model="m",
        processes=[],
    )
    (path / "stack.json").write_text(stack.model_dump_json())
    return path


def test_a_given_home_comes_first(tmp_path: Path) -> None:
    assert find_services(ENVIRONMENT, home(tmp_path / "given")).api_key == "home-key"


def test_the_environment_comes_before_the_default_home(tmp_path: Path) -> None:
    found = find_services(ENVIRONMENT, None, home(tmp_path / "default"))

    assert (found.ingest_url, found.retriever_url, found.api_key) == ("http://env:1", "http://env:2", "env-key")


def test_the_default_home_comes_last(tmp_path: Path) -> None:
    assert find_services({}, None, home(tmp_path / "default")).api_key == "home-key"


def test_half_an_environment_is_not_filled_up_from_a_home(tmp_path: Path) -> None:
    """Or else the key of one installation would be sent to another."""
    with pytest.raises(Failure, match="MEMSTREAM_RETRIEVER_URL and MEMSTREAM_API_KEY not set"):
        find_services({"MEMSTREAM_INGEST_URL": "http://env:1"}, None, home(tmp_path / "default"))


def test_without_any_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="start one with `memstream up`, or set MEMSTREAM_INGEST_URL"):
        find_services({}, None, tmp_path / "nowhere")
    with pytest.raises(Failure, match=r"no stack is running in .*nowhere: start one with `memstream up --home "):
        find_services(ENVIRONMENT, tmp_path / "nowhere")


def test_a_damaged_stack_json_is_named(tmp_path: Path) -> None:
    (home(tmp_path / "home") / "stack.json").write_text("{}")

    with pytest.raises(Failure, match=r"stack\.json is not a stack\.json"):
        find_services({}, tmp_path / "home")


def test_an_operator_needs_ingest_and_the_admin_key_alone(tmp_path: Path) -> None:
    environment = {"MEMSTREAM_INGEST_URL": "http://env:1", "MEMSTREAM_ADMIN_KEY": "env-admin"}

    found = find_admin_service(environment, None, home(tmp_path / "default"))

    assert (found.ingest_url, found.admin_key) == ("http://env:1", "env-admin")


def test_an_operator_finds_the_admin_key_of_a_stack(tmp_path: Path) -> None:
    given, default = home(tmp_path / "given"), home(tmp_path / "default")

    assert find_admin_service({"MEMSTREAM_ADMIN_KEY": "x"}, given).admin_key == "admin"
    assert find_admin_service({}, None, default).ingest_url == "http://home:1"


def test_a_tenants_environment_is_none_for_operators(tmp_path: Path) -> None:
    """Or else a request for one installation would go to another."""
    with pytest.raises(Failure, match="MEMSTREAM_ADMIN_KEY not set"):
        find_admin_service(ENVIRONMENT, None, home(tmp_path / "default"))
    with pytest.raises(Failure, match="or set MEMSTREAM_INGEST_URL, MEMSTREAM_ADMIN_KEY"):
        find_admin_service({}, None, tmp_path / "nowhere")
