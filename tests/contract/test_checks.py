"""What `make check` looks for besides format, lint and types."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from ports import free_ports
from waiting import PATIENCE

TOP = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

pytestmark = pytest.mark.skipif(not (TOP / ".venv").exists(), reason="the commands are those of `make setup`")


@contextmanager
def database(vulnerable: str) -> Iterator[str]:
    """Serve OSV's API: one package has a vulnerability; gives the URL."""

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = {"id": "OSV-1", "affected": [], "modified": "2026-01-01T00:00:00Z", "summary": "bad", "details": ""}
            body = json.dumps({"vulns": [known]} if asked["package"]["name"] == vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOP / ".ci" / "audit"],
        env={"OSV_URL": url, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_the_audit_is_skipped_with_a_reason_where_the_database_is_out_of_reach() -> None:
    done = audit(f"http://127.0.0.1:{free_ports()}/v1/query")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr
    assert done.stdout.startswith("dependency audit skipped: http://127.0.0.1:")
    assert "Connection refused" in done.stdout


def test_a_pinned_dependency_with_a_known_vulnerability_fails_the_audit() -> None:
    with database("redis") as url:
        done = audit(url)
    assert done.returncode == 1, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines() if "OSV-1" in line] == ["redis"]


@pytest.mark.parametrize(
    "line",
    [
        "aws = 'AKIA" + "QYLPMN5HHHFPZAM2'",
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        "url = 'https://ana:" + "hunter2hunter2@example.com'",
        f"key = '{sha256(b'key').hexdigest()}'",
    ],
    ids=["AWS", "private key", "URL", "hex"],
)
def test_a_secret_in_a_file_is_found(tmp_path: Path, line: str) -> None:
    file = tmp_path / "settings.py"
    file.write_text(f"{line}\n")
    command: list[str | Path] = [
        BIN / "detect-secrets-hook",
        "--no-verify",
        "--baseline",
        TOP / ".secrets.baseline",
        file,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TOP)
    assert done.returncode == 1
    assert "settings.py:1" in done.stdout
