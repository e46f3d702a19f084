"""How the services are."""

from typing import Any

import httpx
from pydantic import BaseModel, Field


class ServiceStatus(BaseModel):
    """What a service says of itself."""

    url: str
    ready: bool
    reason: str | None = Field(default=None, description="Why it is not ready.")
    details: dict[str, Any] = Field(default_factory=dict, description="What else its ready answer carried.")


class Status(BaseModel):
    """Whether messages are taken and questions answered."""

    ingest: ServiceStatus
    retriever: ServiceStatus

    @property
    def ready(self) -> bool:
        """Both services can serve."""
        return self.ingest.ready and self.retriever.ready


def read_health(url: str, response: httpx.Response) -> ServiceStatus:
    """Read the answer of `/health/ready`, whatever its status is."""
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
    ill = [f"{name}: {state}" for name, state in parts.items() if state != "ok"] if isinstance(parts, dict) else []
    return "; ".join(ill) or f"answered {status}"
