"""Headers of every response, for the browsers that come across one."""

SECURITY_HEADERS = (
    # Answers hold what users have said.
    ("cache-control", "no-store"),
    # No answer is a page, a script or a part of another page, whatever a text in it looks like.
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "same-origin"),
)
"""Names and values. `Strict-Transport-Security` is for the proxy that terminates TLS."""
