"""The store and the embeddings provider, put together from settings that embedder and retriever share.

The one place that names their adapters: what one service stores the other has to find, so they are put together alike.
"""

from datetime import timedelta
from functools import partial
from secrets import token_hex

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings

from memstream.runtime.clock import Clock
from memstream.runtime.configuration import Duration
from memstream.runtime.tls import CaFile, context_for
from memstream.streams.connections import Redis
from memstream.streams.tenant_policies import TenantPolicies
from memstream.vectors.embeddings import MeteredEmbeddings
from memstream.vectors.embeddings.budget import Budget, Limits
from memstream.vectors.embeddings.metering import Watch, ignore
from memstream.vectors.embeddings.openai import OpenAIEmbeddings
from memstream.vectors.kept_identity import KeptInRedis
from memstream.vectors.space import EmbeddingSpace
from memstream.vectors.store import Expiry, MemoryStore, Owner
from memstream.vectors.store.qdrant import QdrantStore
from memstream.vectors.store.qdrant.collection import Collection
from memstream.vectors.store.qdrant.copies import Agreement, Consistency, Copies, Ordering, Quantization
from memstream.vectors.store.qdrant.identity import Identification
from memstream.vectors.store.qdrant.restoration import Restoration

_NO_TIME = timedelta(0)
_LONGEST_RESTORE = timedelta(hours=24)


class ServerSettings(BaseSettings):
    """Settings of the two servers; a service adds its own, and its prefix."""

    qdrant_url: HttpUrl = HttpUrl("http://127.0.0.1:6333")
    qdrant_ca_file: CaFile | None = None
    """For a URL that begins with `https://`: trusted instead of the system's authorities."""
    qdrant_api_key: SecretStr | None = None
    qdrant_timeout: Duration = Field(default=timedelta(seconds=10), gt=_NO_TIME)
    collection: str = Field(default="memstream", min_length=1)
    shard_number: int | None = Field(default=None, ge=1)
    replication_factor: int | None = Field(default=None, ge=1)
    write_consistency_factor: int | None = Field(default=None, ge=1)
    """These three, and the next two, are what the collection is made with; one that exists keeps its own. Unset: as
    Qdrant is configured."""
    on_disk_vectors: bool = False
    quantization: Quantization = "none"
    write_ordering: Ordering | None = None
    read_consistency: Consistency | None = None
    """deploy/README.md says which of these a cluster needs."""

    embeddings_url: HttpUrl = HttpUrl("https://api.openai.com/v1")
    embeddings_ca_file: CaFile | None = None
    embeddings_api_key: SecretStr = Field(min_length=1)
    """A server that asks for none takes any."""
    embeddings_model: str = Field(default="text-embedding-3-small", min_length=1)
    embeddings_dimensions: int = Field(default=1536, ge=1, le=65536)
    embeddings_send_dimensions: bool = False
    """Ask for that many dimensions; only models that can shorten their vectors take it."""
    embeddings_query_prefix: str = ""
    embeddings_passage_prefix: str = ""
    """What stands before the text of a question and of a message, for models that ask for it. Both are part of the
    embedding space: to change them is to change the model."""
    embeddings_timeout: Duration = Field(default=timedelta(seconds=30), gt=_NO_TIME)
    embeddings_requests_per_minute: int | None = Field(default=None, ge=1)
    """What all services together may ask of the provider; below it is whatever the provider's answers report."""
    embeddings_tokens_per_minute: int | None = Field(default=None, ge=1)
    embeddings_calls: int | None = Field(default=None, ge=1)
    """Calls of all services together that may be in flight at once."""

    @property
    def space(self) -> EmbeddingSpace:
        """The embedding space: the same in every service of an installation."""
        return EmbeddingSpace(
            self.embeddings_model,
            self.embeddings_dimensions,
            prefixes=(self.embeddings_query_prefix, self.embeddings_passage_prefix),
        )


def open_store(
    settings: ServerSettings, client: Redis, policies: TenantPolicies, clock: Clock, *, connections: int = 32
) -> MemoryStore:
    """Return the store. It connects at the first call; at most `connections` are open at once.

    It finds nothing that has expired by the clock, or by the policy of its tenant.

    Raises:
        ConfigurationError: there is a CA file for a URL without TLS.

    """

    async def expiry(owner: Owner) -> Expiry:
        policy, now = await policies.of(owner.tenant), clock.now()
        return Expiry(now, policy.recorded_since(now))

    return QdrantStore(
        settings.space,
        url=str(settings.qdrant_url),
        api_key=settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None,
        collection=settings.collection,
        timeout=settings.qdrant_timeout.total_seconds(),
        ca_file=settings.qdrant_ca_file,
        connections=connections,
        expiry=expiry,
        copies=Copies(
            settings.shard_number,
            settings.replication_factor,
            settings.write_consistency_factor,
            on_disk_vectors=settings.on_disk_vectors,
            quantization=settings.quantization,
        ),
        agreement=Agreement(settings.write_ordering, settings.read_consistency),
        identification=_identification(settings, client, clock),
    )


def open_restoration(settings: ServerSettings, client: Redis, clock: Clock) -> Restoration:
    """Return what restores the collection.

    Raises:
        ConfigurationError: there is a CA file for a URL without TLS.

    """
    url = str(settings.qdrant_url)
    collection = Collection(
        url=url,
        api_key=settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None,
        name=settings.collection,
        timeout=_LONGEST_RESTORE.total_seconds(),
        connections=1,
        verify=context_for(url, settings.qdrant_ca_file) or True,
    )
    return Restoration(collection, _identification(settings, client, clock))


def _identification(settings: ServerSettings, client: Redis, clock: Clock) -> Identification:
    return Identification(KeptInRedis(client, settings.collection), partial(token_hex, 16), clock)


def open_embeddings(settings: ServerSettings, client: Redis, clock: Clock, watch: Watch = ignore) -> MeteredEmbeddings:
    """Return the embeddings provider, within the budget of calls that is kept in Redis.

    Raises:
        ConfigurationError: there is a CA file for a URL without TLS.

    """
    timeout = settings.embeddings_timeout.total_seconds()
    provider = OpenAIEmbeddings(
        settings.space,
        url=str(settings.embeddings_url),
        api_key=settings.embeddings_api_key.get_secret_value(),
        timeout=timeout,
        ca_file=settings.embeddings_ca_file,
        send_dimensions=settings.embeddings_send_dimensions,
    )
    limits = Limits(
        settings.embeddings_requests_per_minute, settings.embeddings_tokens_per_minute, settings.embeddings_calls
    )
    name = f"{settings.embeddings_url.host}:{settings.embeddings_model}"
    return MeteredEmbeddings(provider, Budget(client, name, clock, limits, call_seconds=2 * timeout), clock, watch)
