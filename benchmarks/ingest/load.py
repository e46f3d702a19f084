"""A cheap load generator: keep-alive connections, prepared requests, answers read by their length.

`python load.py URL KEY CONNECTIONS SECONDS BATCH` prints requests and messages per second as JSON.
"""

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import uvloop

_TEXT = (
    "The parcel with the new bicycle pump is at the neighbours on the second floor, said the caretaker this morning."
)


def body(name: str, batch: int) -> tuple[str, str, bytes]:
    """Return a request's path, media type and body."""
    lines = [json.dumps({"user_id": f"user-{name}", "message_id": f"{name}-{n}", "text": _TEXT}) for n in range(batch)]
    if batch == 1:
        return "/v1/messages", "application/json", lines[0].encode()
    return "/v1/messages/batch", "application/x-ndjson", "\n".join(lines).encode()


def request(host: str, key: str, name: str, batch: int) -> bytes:
    """Return a whole HTTP request."""
    path, media, content = body(name, batch)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: {media}\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def connection(number: int, url: str, key: str, end: float, batch: int) -> int:
    """Post one request after the other until the end; return how many were answered with 2xx."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    done = 0
    while time.perf_counter() < end:
        writer.write(request(place.netloc, key, f"{end:.3f}-{number}-{done}", batch))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 20"):
            raise SystemExit(head.decode())
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        done += 1
    writer.close()
    return done


async def main() -> None:
    """Run with the arguments of the command line."""
    url, key, connections, seconds, batch = sys.argv[1:]
    started = time.perf_counter()
    end = started + float(seconds)
    counts = await asyncio.gather(*(connection(n, url, key, end, int(batch)) for n in range(int(connections))))
    took = time.perf_counter() - started
    print(json.dumps({"requests_per_second": sum(counts) / took, "per_second": sum(counts) * int(batch) / took}))


if __name__ == "__main__":
    uvloop.run(main())
