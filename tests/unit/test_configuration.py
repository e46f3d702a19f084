"""A start with wrong settings ends with one line that names each variable."""

import pytest
from pydantic_settings import BaseSettings

from memstream.embedder.settings import EmbedderSettings
from memstream.ingest.settings import IngestSettings
from memstream.retriever.settings import RetrieverSettings
from memstream.runtime.configuration import EXIT_CONFIGURATION, load_settings, stop_with
from memstream.runtime.errors import ConfigurationError

KEYED = [("MEMSTREAM_EMBEDDER_", EmbedderSettings), ("MEMSTREAM_RETRIEVER_", RetrieverSettings)]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (IngestSettings, EmbedderSettings, RetrieverSettings):
        for name in kind.model_fields:
            monkeypatch.delenv(f"{kind.model_config['env_prefix']}{name}".upper(), raising=False)


def test_ingest_needs_no_settings() -> None:
    assert load_settings(IngestSettings) == IngestSettings()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSTREAM_INGEST_PORT", "9000")
    monkeypatch.setenv("MEMSTREAM_INGEST_DEDUP_WINDOW", "PT1H")
    settings = load_settings(IngestSettings)

    assert settings.port == 9000
    assert settings.dedup_window.total_seconds() == 3600


@pytest.mark.parametrize(("prefix", "kind"), KEYED)
def test_a_missing_setting_is_named_by_its_variable(prefix: str, kind: type[BaseSettings]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(kind)

    assert str(caught.value) == f"set {prefix}EMBEDDINGS_API_KEY: Field required"


def test_all_faults_stand_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSTREAM_INGEST_PORT", "0")
    monkeypatch.setenv("MEMSTREAM_INGEST_REDIS_URL", "mysql://x")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(IngestSettings)

    message = str(caught.value)
    assert message.startswith("set MEMSTREAM_INGEST_PORT: Input should be greater than or equal to 1; ")
    assert "MEMSTREAM_INGEST_REDIS_URL: URL scheme should be" in message
    assert "\n" not in message


def test_a_batch_that_no_tenant_could_ever_send_is_told_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSTREAM_INGEST_BODIES_BYTES", "1048576")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(IngestSettings)

    assert str(caught.value).startswith("set MEMSTREAM_INGEST_BATCH_BYTES: is 8388608, ")


def test_a_secret_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSTREAM_EMBEDDER_EMBEDDINGS_API_KEY", "sk-hidden")
    monkeypatch.setenv("MEMSTREAM_EMBEDDER_PORT", "0")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(EmbedderSettings)
    monkeypatch.delenv("MEMSTREAM_EMBEDDER_PORT")

    assert "sk-hidden" not in str(caught.value)
    assert "sk-hidden" not in repr(load_settings(EmbedderSettings))


def test_the_process_ends_with_the_line_and_the_status_of_a_wrong_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        stop_with(ConfigurationError("set MEMSTREAM_INGEST_PORT: it is taken"))

    assert caught.value.code == EXIT_CONFIGURATION == 78
    assert capsys.readouterr().err == "set MEMSTREAM_INGEST_PORT: it is taken\n"


def test_an_overlap_as_large_as_a_chunk_is_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMSTREAM_EMBEDDER_EMBEDDINGS_API_KEY", "x")
    monkeypatch.setenv("MEMSTREAM_EMBEDDER_CHUNK_TOKENS", "16")

    with pytest.raises(ConfigurationError, match="CHUNK"):
        load_settings(EmbedderSettings)


def retriever_settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> RetrieverSettings:
    for name, value in {"EMBEDDINGS_API_KEY": "x", **variables}.items():
        monkeypatch.setenv(f"MEMSTREAM_RETRIEVER_{name}", value)
    return load_settings(RetrieverSettings)


def test_hits_are_not_reranked_unless_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert retriever_settings(monkeypatch, RERANK_URL="", RERANK_MODEL="").rerank_url is None


@pytest.mark.parametrize("variables", [{"RERANK_URL": "http://127.0.0.1:1/v1"}, {"RERANK_MODEL": "m"}])
def test_a_rerank_server_needs_url_and_model(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        retriever_settings(monkeypatch, **variables)

    assert (
        str(caught.value) == "set MEMSTREAM_RETRIEVER_RERANK_URL and MEMSTREAM_RETRIEVER_RERANK_MODEL: both, or neither"
    )


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank/", "/v2/rerank"])
def test_the_url_of_a_rerank_server_is_its_base_url(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        retriever_settings(monkeypatch, RERANK_URL=f"http://127.0.0.1:1{path}", RERANK_MODEL="m")

    assert str(caught.value) == (
        "set MEMSTREAM_RETRIEVER_RERANK_URL: the base URL, such as http://127.0.0.1:8000/v1, to which /rerank is added"
    )
