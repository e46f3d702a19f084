"""The readiness of the services."""

from typing import Any

import httpx
from pydantic import BaseModel, Field


class ServiceStatus(BaseModel):
    """Whether a service is ready."""

    url: str
    ready: bool
    reason: str | None = Field(default=None, description="Why the service is not ready.")
    details: dict[str, Any] = Field(default_factory=dict, description="The body of `/health/ready`.")


class Status(BaseModel):
    """Whether messages are accepted and searches answered."""

    ingest: ServiceStatus
    retriever: ServiceStatus

    @property
    def ready(self) -> bool:
        """Whether both services are ready."""
        return self.ingest.ready and self.retriever.ready


def parse_readiness(url: str, response: httpx.Response) -> ServiceStatus:
    """Return what an answer of `/health/ready` says, whatever its status is."""
    try:
        body = response.json()
    except ValueError:
        body = None
    details = body if isinstance(body, dict) else {}
    if response.is_success:
        return ServiceStatus(url=url, ready=True, details=details)
    return ServiceStatus(url=url, ready=False, reason=_reason(details, response.status_code), details=details)


def _reason(details: dict[str, Any], status: int) -> str:
    parts = details.get("parts")
    failed = [f"{name}: {state}" for name, state in parts.items() if state != "ok"] if isinstance(parts, dict) else []
    return "; ".join(failed) or f"answered {status}"
