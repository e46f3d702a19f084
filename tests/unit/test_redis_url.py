"""The URL that says where Redis is."""

import pytest
from pydantic import RedisDsn

from memstream.ingest.settings import IngestSettings
from memstream.runtime.configuration import load_settings
from memstream.runtime.errors import ConfigurationError
from memstream.streams.connections import connect
from memstream.streams.redis_url import GroupUrl, read_url

NAME = "MEMSTREAM_INGEST_REDIS_URL"


def group(text: str) -> GroupUrl:
    url = read_url(text)
    assert isinstance(url, GroupUrl)
    return url


def test_the_url_of_one_server_is_read_as_before() -> None:
    url = read_url("rediss://:secret@redis.example:6380/2")

    assert isinstance(url, RedisDsn)
    assert (url.password, url.port, url.path) == ("secret", 6380, "/2")


def test_sentinels_are_named_with_the_primary_and_the_database() -> None:
    url = group("redis+sentinel://app:a%2Fb@one:1,[::1]:2,three/main/3?sentinel_password=s%26t")

    assert (url.is_cluster, url.uses_tls) == (False, False)
    assert url.nodes == [("one", 1), ("::1", 2), ("three", 26379)]
    assert (url.username, url.password, url.primary, url.database) == ("app", "a/b", "main", 3)
    assert url.options == {"sentinel_password": "s&t"}


def test_a_cluster_is_named_by_some_of_its_nodes() -> None:
    url = group("rediss+cluster://:secret@one,two:7000")

    assert (url.is_cluster, url.uses_tls, url.password) == (True, True, "secret")
    assert url.nodes == [("one", 6379), ("two", 7000)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mysql://x", "URL scheme should be one of redis, rediss, redis+sentinel"),
        ("redis+sentinel://h:1", "the name of the primary is missing"),
        ("redis+sentinel://h:1/main/two", "the database is no number"),
        ("redis+sentinel://h:1/main?timeout=3", "the only options are sentinel_password, sentinel_username"),
        ("redis+sentinel://h:1,u:hidden@i:2/main", "user and password stand once"),
        ("redis+cluster://h:1/3", "a cluster has neither databases nor options"),
        ("redis+cluster://h:1,i:port", "write redis+cluster://HOST:PORT,HOST:PORT"),
        ("redis+cluster://", "write redis+cluster://HOST:PORT,HOST:PORT"),
    ],
)
def test_a_wrong_url_is_refused_in_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, text: str, reason: str
) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(IngestSettings)

    message = str(caught.value)
    assert message.startswith(f"set {NAME}: ")
    assert reason in message
    assert "\n" not in message
    assert "hidden" not in message
    with pytest.raises(ConfigurationError, match="the Redis URL is not usable"):
        connect(text)


def test_the_setting_is_written_as_it_was_and_shown_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "redis+cluster://:hidden@one:1,two:2"
    monkeypatch.setenv(NAME, text)

    url = load_settings(IngestSettings).redis_url

    assert str(url) == text
    assert "hidden" not in repr(url)


def test_the_earlier_name_of_local_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSTREAM_INGEST_DURABILITY", "fsync")

    assert load_settings(IngestSettings).durability == "local"
