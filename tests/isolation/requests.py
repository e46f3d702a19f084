"""Random requests of random users, each compared with what that user must see."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import perf_counter
from typing import Any

import httpx
from waiting import until

from isolation.owners import ModelOwner, strangers_in

_PAGE = 25
"""Less than a user has, so that most timelines are of several pages."""
_MOST_POSITIONS = 50


@dataclass(slots=True)
class Report:
    """What was asked, and what was wrong with the answers."""

    requests: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    of_another: list[float] = field(default_factory=list)
    """Seconds that looking up another user's message takes, each followed or preceded by one that nobody has."""
    of_nobody: list[float] = field(default_factory=list)
    """Seconds that looking up a message takes that nobody has."""


class Requests:
    """Asks as one user at a time."""

    def __init__(self, ingest: httpx.AsyncClient, retriever: httpx.AsyncClient, owners: Sequence[ModelOwner]) -> None:
        self._ingest = ingest
        self._retriever = retriever
        self._owners = owners
        self.report = Report()

    async def ask(self, owner: ModelOwner, rng: Random) -> None:
        """Make one random request, and what has to follow to judge its answer."""
        actions = {
            self._post: 30,
            self._post_batch: 6,
            self._repeat: 4,
            self._put: 5,
            self._search: 24,
            self._search_batch: 3,
            self._context: 4,
            self._timeline: 4,
            self._state: 8,
            self._delete: 6,
            self._delete_foreign: 3,
            self._erase: 1,
            self._foreign_receipt: 3,
            self._strange_key: 3,
            self._forbidden: 2,
            self._as_another: 4,
        }
        action = rng.choices(list(actions), list(actions.values()))[0]
        await action(owner, rng)

    async def _send(  # noqa: PLR0913 - a request's parts, by name
        self,
        owner: ModelOwner,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        expected: Sequence[int] = (200, 202),
        key: str | None = None,
        **parts: Any,  # noqa: ANN401 - as the client takes them
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {owner.key if key is None else key}", **parts.pop("headers", {})}
        response = await client.request(method, path, headers=headers, **parts)
        while response.status_code in {429, 503}:
            await asyncio.sleep(float(response.headers.get("retry-after", "0.1")))
            response = await client.request(method, path, headers=headers, **parts)
        name = "/".join("ID" if part[:1].isdigit() else part for part in path.partition("?")[0].split("/"))
        self.report.requests[f"{method} {name}"] += 1
        who = f"{owner.tenant}/{owner.user} {method} {path}"
        for word in strangers_in(response.text, owner, json.dumps(parts, default=str)):
            self.report.violations.append(f"{who}: shows {word}, which somebody else said")
        if response.status_code not in expected:
            self.report.violations.append(f"{who}: {response.status_code} {response.text[:300]}")
        return response

    async def _post(self, owner: ModelOwner, rng: Random) -> None:
        message_id, text = f"m{rng.randrange(40)}", owner.compose(rng)
        body = {"user_id": owner.user, "message_id": message_id, "text": text}
        answer = (await self._send(owner, self._ingest, "POST", "/v1/messages", json=body)).json()
        self._note_posted(owner, message_id, text, answer)

    def _note_posted(self, owner: ModelOwner, message_id: str, text: str, answer: dict[str, Any]) -> None:
        owner.positions = [*owner.positions[-_MOST_POSITIONS + 1 :], answer["position"]]
        if not answer["duplicate"]:
            if message_id in owner.live:
                self.report.violations.append(f"{owner.tenant}/{owner.user}: {message_id} was accepted twice")
            owner.live[message_id] = text

    async def _post_batch(self, owner: ModelOwner, rng: Random) -> None:
        numbers = rng.sample(range(40, 80), rng.randint(1, 10))
        messages = [{"user_id": owner.user, "message_id": f"m{n}", "text": owner.compose(rng)} for n in numbers]
        answer = (
            await self._send(owner, self._ingest, "POST", "/v1/messages/batch", json={"messages": messages})
        ).json()
        for message, result in zip(messages, answer["results"], strict=True):
            self._note_posted(owner, message["message_id"], message["text"], result)

    async def _repeat(self, owner: ModelOwner, rng: Random) -> None:
        if not owner.live:
            return
        message_id = rng.choice(sorted(owner.live))
        body = {"user_id": owner.user, "message_id": message_id, "text": owner.live[message_id]}
        answer = (await self._send(owner, self._ingest, "POST", "/v1/messages", json=body)).json()
        if not answer["duplicate"]:
            self.report.violations.append(f"{owner.tenant}/{owner.user}: the repeat of {message_id} is no duplicate")

    async def _put(self, owner: ModelOwner, rng: Random) -> None:
        if not owner.live or owner.fading:
            return
        message_id, text = rng.choice(sorted(owner.live)), owner.compose(rng)
        body = {"user_id": owner.user, "message_id": message_id, "text": text}
        answer = (await self._send(owner, self._ingest, "PUT", "/v1/messages", json=body)).json()
        if answer["duplicate"]:
            self.report.violations.append(f"{owner.tenant}/{owner.user}: the new version of {message_id} is refused")
            return
        owner.positions = [*owner.positions[-_MOST_POSITIONS + 1 :], answer["position"]]
        owner.replaced.add(owner.live[message_id])
        owner.live[message_id] = text

    async def _search(self, owner: ModelOwner, rng: Random) -> None:
        body = {"user_id": owner.user, "query": owner.question(rng, self._owners), "limit": rng.choice((1, 10, 100))}
        if rng.random() < 0.2:
            body["neighbours"] = 2
            body["limit"] = 10
        answer = (await self._send(owner, self._retriever, "POST", "/v1/search", json=body)).json()
        self._check_hits(owner, answer)

    def _check_hits(self, owner: ModelOwner, answer: dict[str, Any]) -> None:
        for hit in answer["hits"]:
            if not owner.may_show(hit["text"]):
                self.report.violations.append(f"{owner.tenant}/{owner.user} finds {hit['text']!r}, which is not there")

    async def _search_batch(self, owner: ModelOwner, rng: Random) -> None:
        searches = [{"user_id": owner.user, "query": owner.question(rng, self._owners)} for _ in range(3)]
        answer = (
            await self._send(owner, self._retriever, "POST", "/v1/search/batch", json={"searches": searches})
        ).json()
        for result in answer["results"]:
            self._check_hits(owner, result)

    async def _context(self, owner: ModelOwner, rng: Random) -> None:
        body = {"user_id": owner.user, "query": owner.question(rng, self._owners), "token_budget": 300}
        await self._send(owner, self._retriever, "POST", "/v1/context", json=body)

    async def _timeline(self, owner: ModelOwner, _rng: Random) -> None:
        """Wait until all is settled; then all messages must be there, and nothing else."""
        await self._settle(owner)
        found: dict[str, str] = {}
        query = {"user_id": owner.user, "limit": str(_PAGE)}
        while True:
            page = (await self._send(owner, self._retriever, "GET", "/v1/timeline", params=query)).json()
            found.update({message["message_id"]: message["text"] for message in page["messages"]})
            if not page["cursor"]:
                break
            query["cursor"] = page["cursor"]
        if found != owner.live:
            missing, surplus = owner.live.items() - found.items(), found.items() - owner.live.items()
            self.report.violations.append(
                f"{owner.tenant}/{owner.user}: timeline lacks {sorted(missing)}, has {sorted(surplus)} too"
            )

    async def _settle(self, owner: ModelOwner) -> None:
        if owner.positions:
            body = {"user_id": owner.user, "query": "x", "wait_for": owner.positions, "wait_timeout": 30}
            await self._send(owner, self._retriever, "POST", "/v1/search", json=body)
            owner.positions = []
            owner.replaced = set()
        for erasure_id in list(owner.fading):

            async def is_done(erasure_id: str = erasure_id) -> bool:
                answer = await self._send(owner, self._ingest, "GET", f"/v1/erasures/{erasure_id}")
                return bool(answer.json()["state"] == "done")

            await until(is_done, f"{erasure_id} is done")
            del owner.fading[erasure_id]

    async def _state(self, owner: ModelOwner, rng: Random) -> None:
        message_id = f"m{rng.randrange(80)}"
        states = (200, 404)
        path = f"/v1/messages/state?user_id={owner.user}&message_id={message_id}"
        answer = await self._send(owner, self._ingest, "GET", path, expected=states)
        if message_id in owner.live and answer.json().get("state") not in {"queued", "stored"}:
            self.report.violations.append(f"{owner.tenant}/{owner.user}: {message_id} is {answer.text[:100]}")
        # What only another tenant's user of that name has, and what nobody has, must look alike.
        others = [one for one in self._owners if one.user == owner.user and one.tenant != owner.tenant]
        other = rng.choice(others)
        only_other = sorted(other.live.keys() - owner.live.keys())
        if owner.fading:
            return
        asked = dict.fromkeys((*only_other[:1], "nobody-has-it"), 0.0)
        # In turn, since what is asked first may take longer for that alone.
        for name in sorted(asked, reverse=len(self.report.of_nobody) % 2 == 0):
            started = perf_counter()
            path = f"/v1/messages/state?user_id={other.user}&message_id={name}"
            await self._send(owner, self._ingest, "GET", path, expected=states)
            asked[name] = perf_counter() - started
        if only_other:
            self.report.of_another.append(asked[only_other[0]])
            self.report.of_nobody.append(asked["nobody-has-it"])

    async def _delete(self, owner: ModelOwner, rng: Random) -> None:
        if not owner.live:
            return
        message_id = rng.choice(sorted(owner.live))
        query = {"user_id": owner.user, "message_id": message_id}
        answer = (await self._send(owner, self._ingest, "DELETE", "/v1/messages", params=query)).json()
        owner.delete([message_id], answer["erasure_id"])

    async def _delete_foreign(self, owner: ModelOwner, rng: Random) -> None:
        """Delete an id that only others have: it answers like any, and nothing of theirs changes."""
        query = {"user_id": owner.user, "message_id": f"foreign{rng.randrange(100)}"}
        await self._send(owner, self._ingest, "DELETE", "/v1/messages", params=query)

    async def _erase(self, owner: ModelOwner, _rng: Random) -> None:
        answer = (await self._send(owner, self._ingest, "DELETE", "/v1/users", params={"user_id": owner.user})).json()
        owner.delete(list(owner.live), answer["erasure_id"])

    async def _foreign_receipt(self, owner: ModelOwner, rng: Random) -> None:
        others = [one for one in self._owners if one.tenant != owner.tenant and one.receipts]
        if not others:
            return
        path = f"/v1/erasures/{rng.choice(rng.choice(others).receipts)}"
        theirs = await self._send(owner, self._ingest, "GET", path, expected=(404,))
        nobodys = await self._send(owner, self._ingest, "GET", path[:-6] + "abcdef", expected=(404,))
        if _without_ids(theirs) != _without_ids(nobodys):
            self.report.violations.append(f"another's receipt {theirs.text} differs from nobody's {nobodys.text}")

    async def _strange_key(self, owner: ModelOwner, rng: Random) -> None:
        key = rng.choice((owner.key[:-1] + ("a" if owner.key[-1] != "a" else "b"), "ms_nobody", "x"))
        body = {"user_id": owner.user, "query": "x"}
        await self._send(owner, self._retriever, "POST", "/v1/search", json=body, key=key, expected=(401,))

    async def _as_another(self, owner: ModelOwner, rng: Random) -> None:
        """Use a key that is bound to a user for another user of its tenant."""
        others = [one for one in self._owners if one.tenant == owner.tenant and one is not owner]
        if not owner.is_bound or not others:
            return
        other = rng.choice(others)
        query = {"user_id": other.user}
        asked = {**query, "query": "coffee"}
        method, client, path, parts = rng.choice(
            (
                ("POST", self._ingest, "/v1/messages", {"json": {**query, "text": "not mine"}}),
                ("PUT", self._ingest, "/v1/messages", {"json": {**query, "message_id": "m1", "text": "not mine"}}),
                ("DELETE", self._ingest, "/v1/messages", {"params": {**query, "message_id": "m1"}}),
                ("DELETE", self._ingest, "/v1/users", {"params": query}),
                ("GET", self._ingest, "/v1/messages/state", {"params": {**query, "message_id": "m1"}}),
                ("POST", self._retriever, "/v1/search", {"json": asked}),
                ("POST", self._retriever, "/v1/search/batch", {"json": {"searches": [asked]}}),
                ("POST", self._retriever, "/v1/context", {"json": {**asked, "token_budget": 100}}),
                ("GET", self._retriever, "/v1/timeline", {"params": query}),
            )
        )
        await self._send(owner, client, method, path, expected=(403,), **parts)

    async def _forbidden(self, owner: ModelOwner, rng: Random) -> None:
        path = rng.choice(("/v1/admin/dead-letters", "/v1/admin/backlog"))
        await self._send(owner, self._ingest, "GET", path, expected=(403, 404))


def _without_ids(response: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in response.json().items() if name not in {"instance", "request_id"}}
