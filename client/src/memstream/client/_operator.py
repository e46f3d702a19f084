"""The client for operators."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Unpack
from urllib.parse import quote

from memstream.client._errors import validated
from memstream.client._http import ConnectionOptions, Request
from memstream.client._keys import KeyClient
from memstream.client._options import DeadLetterFilters, given
from memstream.contracts.dead_letters import (
    MAX_IDS,
    DeadLetter,
    DeadLetterContent,
    DeadLetterIds,
    DeadLetterPage,
    LetterResult,
    LetterResults,
)
from memstream.contracts.tenants import TenantPolicy, TenantPolicyIn, TenantPolicyOut


class Operator(KeyClient):
    """Handles the dead letters of all tenants, sets the limits of tenants, and manages API keys.

    `admin_key` is a key for operators. `ConnectionOptions` describes the optional arguments. Errors and retries are
    those of `Memstream`::

        async with Operator(ingest_url=…, admin_key=…) as operator:
            letters = [letter async for letter in operator.dead_letters(dead_class="poison", tenant="acme")]
            results = await operator.replay([letter.id for letter in letters])
            created = await operator.create_key("acme", user_id="ana", device="watch", scopes=["ingest"])
    """

    def __init__(self, *, ingest_url: str, admin_key: str, **options: Unpack[ConnectionOptions]) -> None:
        super().__init__(api_key=admin_key, **options)
        admin_url = f"{ingest_url.rstrip('/')}/v1/admin"
        self._url = f"{admin_url}/dead-letters"
        self._keys_url = f"{admin_url}/keys"
        self._tenants_url = f"{admin_url}/tenants"

    async def page(
        self, *, cursor: str | None = None, limit: int = 100, **filters: Unpack[DeadLetterFilters]
    ) -> DeadLetterPage:
        """Return a page of up to `limit` dead letters, the newest last; `cursor` is that of the page before."""
        fields = given({**filters, "cursor": cursor, "limit": limit})
        if "dead_class" in fields:
            fields["class"] = fields.pop("dead_class")
        params = {
            name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in fields.items()
        }
        return await self._call(Request("GET", self._url, params=params), DeadLetterPage)

    async def dead_letters(
        self, *, limit: int = 100, **filters: Unpack[DeadLetterFilters]
    ) -> AsyncGenerator[DeadLetter, None]:
        """Iterate over all dead letters, the newest last, fetched in pages of `limit`."""
        cursor: str | None = None
        while True:
            page = await self.page(cursor=cursor, limit=limit, **filters)
            for letter in page.letters:
                yield letter
            cursor = page.cursor
            if cursor is None:
                return

    async def dead_letter(self, letter_id: str) -> DeadLetterContent:
        """Return a dead letter with its content.

        Raises:
            NotFound: there is no such letter, or not any more.

        """
        return await self._call(Request("GET", f"{self._url}/{quote(letter_id, safe='')}"), DeadLetterContent)

    async def replay(self, letter_ids: Sequence[str]) -> list[LetterResult]:
        """Put the messages of dead letters back on their streams, and return the outcome for each letter.

        A letter is replayed only once. If an answer is lost, the retry reports `missing` for letters that the first
        request has already replayed.
        """
        return await self._change("replay", letter_ids)

    async def drop(self, letter_ids: Sequence[str]) -> list[LetterResult]:
        """Remove dead letters permanently, and return the outcome for each; `missing` as for `replay`."""
        return await self._change("drop", letter_ids)

    async def tenant_policy(self, tenant: str | None) -> TenantPolicyOut:
        """Return the limits of a tenant, and how long its messages are kept; None: the installation's defaults."""
        return await self._call(Request("GET", self._tenants_url, params=given({"tenant": tenant})), TenantPolicyOut)

    async def set_tenant_policy(self, tenant: str | None, policy: TenantPolicy | Mapping[str, Any]) -> TenantPolicyOut:
        """Replace a tenant's policy, given as a `TenantPolicy` or its fields; what is missing is the default.

        Raises:
            InvalidRequest: a limit is not valid; `errors` names it.

        """
        fields = policy.model_dump() if isinstance(policy, TenantPolicy) else policy
        body = validated(TenantPolicyIn, {**fields, "tenant": tenant}, "policy")
        return await self._call(Request("PUT", self._tenants_url, body.model_dump_json().encode()), TenantPolicyOut)

    async def _change(self, action: str, letter_ids: Sequence[str]) -> list[LetterResult]:
        results: list[LetterResult] = []
        for start in range(0, len(letter_ids), MAX_IDS):
            body = validated(DeadLetterIds, {"ids": list(letter_ids[start : start + MAX_IDS])}, "list of ids")
            request = Request("POST", f"{self._url}/{action}", body.model_dump_json().encode())
            results += (await self._call(request, LetterResults)).results
        return results
