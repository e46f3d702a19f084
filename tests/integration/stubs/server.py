"""A child for tests: answers HTTP, and writes what happens to it into the file EVENTS.

Environment: NAME, PORT, EVENTS; MOOD is `well`, `unready`, `crashing` or `stubborn` (deaf to SIGTERM); SHARE=1 for
SO_REUSEPORT.
"""

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

NAME, PORT, MOOD = os.environ["NAME"], int(os.environ["PORT"]), os.environ["MOOD"]


def record(what: str) -> None:
    with Path(os.environ["EVENTS"]).open("a", encoding="utf-8") as events:
        events.write(f"{what} {NAME}\n")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if MOOD != "unready":
            record("asked")
        self.send_response(503 if MOOD == "unready" else 200)
        self.end_headers()
        self.wfile.write(b'{"status": "unwell"}' if MOOD == "unready" else b"{}")


class Server(HTTPServer):
    def server_bind(self) -> None:
        if os.environ["SHARE"] == "1":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()


def end(_number: int, _frame: object) -> None:
    record("asked-to-end")
    if MOOD != "stubborn":
        sys.exit(0)


if __name__ == "__main__":
    record("started")
    sys.stdout.write(" ".join(sorted(os.environ)) + "\n")
    if MOOD == "crashing":
        sys.exit("the flux capacitor is empty")
    signal.signal(signal.SIGTERM, end)
    Server(("127.0.0.1", PORT), Handler).serve_forever()
