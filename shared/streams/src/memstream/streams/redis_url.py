"""Where Redis is: the URL of one server, of a primary that Sentinel watches, or of a cluster."""

from typing import Annotated
from urllib.parse import parse_qsl, unquote

from pydantic import PlainValidator, RedisDsn, TypeAdapter, ValidationError
from pydantic_core import MultiHostUrl

_SENTINEL_PORT = 26379
_PORT = 6379
_SENTINEL, _CLUSTER = "sentinel", "cluster"
_OPTIONS = {"sentinel_username", "sentinel_password"}
_SCHEMES = (
    "redis",
    "rediss",
    *(f"{scheme}+{kind}" for kind in (_SENTINEL, _CLUSTER) for scheme in ("redis", "rediss")),
)
_EXAMPLES = {
    _SENTINEL: "redis+sentinel://HOST:PORT,HOST:PORT/NAME_OF_THE_PRIMARY",
    _CLUSTER: "redis+cluster://HOST:PORT,HOST:PORT",
}

_one_server: TypeAdapter[RedisDsn] = TypeAdapter(RedisDsn)


class GroupUrl:
    """The URL of several servers: `redis+sentinel://[user:password@]host:port,host:port/name[/db]`, or
    `redis+cluster://[user:password@]host:port,host:port`. With `rediss` instead of `redis`, all speak TLS.

    User and password are those of Redis. Sentinel's are options: `?sentinel_username=…&sentinel_password=…`.
    """  # noqa: D205 - both forms belong together

    def __init__(self, text: str) -> None:
        """Parse it.

        Raises:
            ValueError: it is not such a URL; the text says why, and has no password.

        """
        scheme, _, kind = text.partition("://")[0].partition("+")
        example = _EXAMPLES[kind]
        try:
            url = MultiHostUrl(text)
        except ValueError:
            raise ValueError(f"not a URL of several servers: write {example}") from None
        self._text = text
        self.is_cluster = kind == _CLUSTER
        self.uses_tls = scheme == "rediss"
        hosts = url.hosts()
        if not hosts or not all(host["host"] for host in hosts):
            raise ValueError(f"a host is missing: write {example}")
        self.nodes = [
            (str(host["host"]).strip("[]"), host["port"] or (_PORT if self.is_cluster else _SENTINEL_PORT))
            for host in hosts
        ]
        # Written once, before the first host.
        if any(host["username"] or host["password"] for host in hosts[1:]):
            raise ValueError(f"user and password stand once, before the first host: write {example}")
        self.username = _unquoted(hosts[0]["username"])
        self.password = _unquoted(hosts[0]["password"])
        self.options = dict(parse_qsl(url.query or ""))
        if self.is_cluster:
            self.primary, self.database = "", 0
            if (url.path or "/") not in {"/", "/0"} or self.options:
                raise ValueError(f"a cluster has neither databases nor options: write {example}")
            return
        self.primary, _, database = (url.path or "").strip("/").partition("/")
        if not self.primary or not (database or "0").isdecimal():
            raise ValueError(f"the name of the primary is missing, or the database is no number: write {example}")
        self.database = int(database or 0)
        if not self.options.keys() <= _OPTIONS:
            raise ValueError(f"the only options are {', '.join(sorted(_OPTIONS))}")

    def __str__(self) -> str:
        """Return it as it was written."""
        return self._text

    def __repr__(self) -> str:
        """Return it without secrets."""
        return f"GroupUrl({', '.join(f'{host}:{port}' for host, port in self.nodes)})"


def _unquoted(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def read_url(value: object) -> RedisDsn | GroupUrl:
    """Return the URL that a setting has.

    Raises:
        ValueError: it is none; the text is one line.

    """
    if isinstance(value, GroupUrl):
        return value
    scheme = str(value).partition("://")[0]
    if "+" in scheme and scheme in _SCHEMES:
        return GroupUrl(str(value))
    if "://" in str(value) and scheme not in _SCHEMES:
        raise ValueError(f"URL scheme should be one of {', '.join(_SCHEMES)}")
    try:
        return _one_server.validate_python(value)
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


RedisUrl = Annotated[RedisDsn | GroupUrl, PlainValidator(read_url)]
"""A setting: where Redis is."""
