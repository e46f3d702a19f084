"""How a collection is spread over a cluster's nodes, and what its writes and reads wait for."""

from dataclasses import dataclass
from typing import Literal

from qdrant_client import models

Ordering = Literal["weak", "medium", "strong"]
Consistency = Literal["majority", "quorum", "all"]
Quantization = Literal["none", "int8", "binary"]


@dataclass(frozen=True, slots=True)
class Copies:
    """What a new collection gets; one that exists keeps its own. None is what the server takes."""

    shard_number: int | None = None
    replication_factor: int | None = None
    write_consistency_factor: int | None = None
    on_disk_vectors: bool = False
    quantization: Quantization = "none"

    def quantization_config(self) -> models.QuantizationConfig | None:
        """Return the quantization as the client takes it."""
        match self.quantization:
            case "int8":
                scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
                return models.ScalarQuantization(scalar=scalar)
            case "binary":
                return models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True))
            case "none":
                return None


SERVERS_CHOICE = Copies()


@dataclass(frozen=True, slots=True)
class Agreement:
    """What copies have to agree on. None is what the server takes: writes in any order, reads from one copy."""

    ordering: Ordering | None = None
    consistency: Consistency | None = None

    def of_writes(self) -> dict[str, str]:
        """Return the query parameters of a write."""
        return {"wait": "true"} | ({} if self.ordering is None else {"ordering": self.ordering})

    def of_reads(self) -> dict[str, str]:
        """Return the query parameters of a read."""
        return {} if self.consistency is None else {"consistency": self.consistency}


NO_AGREEMENT = Agreement()
