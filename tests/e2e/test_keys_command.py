"""`memstream keys` as operators meet it."""

import httpx
from e2e.test_command import memstream
from running_stack import RunningStack
from waiting import until


async def status(stack: RunningStack, key: str) -> int:
    """Post a message with a key."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=stack.ingest.base_url, headers=headers) as client:
        return (await client.post("/v1/messages", json={"user_id": "ana", "text": "hello"})).status_code


async def test_keys_are_created_listed_rotated_and_revoked(stack: RunningStack, user: str) -> None:
    home, tenant = ("--home", str(stack.home)), f"keys-of-{user}"
    options = ("--user", "ana", "--device", "watch", "--scope", "ingest", "--expires", "2099-01-01")

    made = await memstream("keys", "create", tenant, *options, *home)
    listed = await memstream("keys", "list", "--tenant", tenant, "--json", *home)
    (known,) = listed.document["keys"]
    rotated = await memstream("keys", "rotate", known["key_id"], "--overlap", "0", "--json", *home)
    table = await memstream("keys", "list", "--tenant", tenant, *home)

    key, new = made.out.strip(), rotated.document
    assert (made.code, rotated.code, key[:3], new["key"][:3]) == (0, 0, "ms_", "ms_")
    assert f"it can't be shown again. Its id is {known['key_id']}." in made.err
    assert (known["user_id"], known["device"], known["scopes"]) == ("ana", "watch", ["ingest"])
    assert (new["rotated_from"], new["scopes"]) == (known["key_id"], ["ingest"])
    assert new["key_id"] in table.out
    assert not {key, new["key"]} & {*table.out.split(), *listed.out.split()}

    async def ended() -> bool:
        return await status(stack, key) == 401

    await until(ended, "the old key is refused")
    assert await status(stack, new["key"]) == 202

    kept = await memstream("keys", "revoke", new["key_id"], *home, stdin=b"no\n")
    gone = await memstream("keys", "revoke", new["key_id"], "--yes", *home)
    again = await memstream("keys", "revoke", new["key_id"], "--yes", *home)
    audit = await memstream("keys", "audit", "--limit", "3", "--json", *home)

    assert (kept.code, gone.code, again.code) == (1, 0, 1)
    assert again.err == "memstream: no such key; it may have expired, or be revoked\n"
    assert [one["action"] for one in audit.document["entries"]] == ["revoked", "rotated", "created"]

    async def is_refused() -> bool:
        return await status(stack, new["key"]) == 401

    await until(is_refused, "the new key is refused")


async def test_what_makes_no_sense_is_one_line(stack: RunningStack) -> None:
    home = ("--home", str(stack.home))

    for arguments, said in (
        (("create", "A/B"), "tenant"),
        (("create", "acme", "--scope", "all"), "scopes"),
        (("create", "acme", "--expires", "soon"), "--expires"),
        (("create", "acme", "--expires", "2020-01-01"), "expires_at"),
        (("rotate", "nobody", "--overlap", "9999999"), "overlap"),
        (("rotate", "nobody"), "no such key"),
    ):
        failed = await memstream("keys", *arguments, *home)

        assert failed.code != 0
        assert len(failed.err.splitlines()) == 1
        assert said in failed.err
