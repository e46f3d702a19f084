"""The part of the operator's client that manages API keys."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from memstream.client._errors import validated
from memstream.client._http import HttpClient, Request
from memstream.client._options import given
from memstream.contracts.api_keys import (
    ApiKey,
    ApiKeyCreated,
    ApiKeyIn,
    ApiKeyPage,
    AuditEntry,
    AuditPage,
    RotationIn,
    Scope,
)


class KeyClient(HttpClient):
    """Creates, lists, rotates and revokes API keys."""

    _keys_url: str

    async def create_key(
        self,
        tenant: str,
        *,
        user_id: str | None = None,
        device: str | None = None,
        scopes: Sequence[Scope] | None = None,
        expires_at: datetime | None = None,
    ) -> ApiKeyCreated:
        """Create a key. Its `key` is shown this once: nobody can read it again.

        This is never repeated by itself. If no answer came, there may be a key that nobody knows: list and revoke it.
        """
        fields: dict[str, Any] = {"user_id": user_id, "device": device, "scopes": scopes, "expires_at": expires_at}
        body = validated(ApiKeyIn, {"tenant": tenant, **given(fields)}, "key")
        content = body.model_dump_json(exclude_none=True).encode()
        return await self._call(Request("POST", self._keys_url, content, is_repeatable=False), ApiKeyCreated)

    async def rotate_key(
        self, key_id: str, *, overlap: int | None = None, expires_at: datetime | None = None
    ) -> ApiKeyCreated:
        """Create a key that can do the same. The old one goes on working for `overlap` seconds, an hour by default.

        Like `create_key`, this is never repeated by itself.

        Raises:
            NotFound: there is no such key, or not any more.

        """
        body = validated(RotationIn, given({"overlap": overlap, "expires_at": expires_at}), "rotation")
        content = body.model_dump_json(exclude_none=True).encode()
        url = f"{self._keys_url}/{quote(key_id, safe='')}/rotate"
        return await self._call(Request("POST", url, content, is_repeatable=False), ApiKeyCreated)

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key. Within 2 seconds no service accepts it.

        Raises:
            NotFound: there is no such key, or not any more; also if a lost answer was about this revocation.

        """
        await self._send_with_retries(Request("DELETE", f"{self._keys_url}/{quote(key_id, safe='')}"))

    async def keys(self, *, tenant: str | None = None, limit: int = 100) -> AsyncGenerator[ApiKey, None]:
        """Iterate over the keys that work and have an id, the newest last, fetched in pages of `limit`."""
        cursor: str | None = None
        while True:
            fields = given({"tenant": tenant, "cursor": cursor, "limit": limit})
            params = {name: str(value) for name, value in fields.items()}
            page = await self._call(Request("GET", self._keys_url, params=params), ApiKeyPage)
            for key in page.keys:
                yield key
            cursor = page.cursor
            if cursor is None:
                return

    async def key_audit(self, *, limit: int = 100) -> AsyncGenerator[AuditEntry, None]:
        """Iterate over what was done with keys, the newest first, fetched in pages of `limit`."""
        cursor: str | None = None
        while True:
            fields = given({"cursor": cursor, "limit": limit})
            params = {name: str(value) for name, value in fields.items()}
            page = await self._call(Request("GET", f"{self._keys_url}/audit", params=params), AuditPage)
            for entry in page.entries:
                yield entry
            cursor = page.cursor
            if cursor is None:
                return
