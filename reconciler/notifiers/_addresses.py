"""Addresses of channels, checked before anything is sent there."""

from urllib.parse import urlsplit

SHORT = 6
"""What is shorter is a word and no secret."""


def base_url(url: str) -> str:
    """An http or https address without a user, without a slash at its end."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("is no address such as https://host.example/path")
    if parts.username is not None:
        raise ValueError("bears a user; give it as a header: Authorization: Basic ...")
    return url.rstrip("/")


def whole_url(url: str) -> str:
    """The same, and a slash at its end means something."""
    base_url(url)
    return url


def secret_parts(url: str) -> list[str]:
    """An address that is a secret, and whatever of it would give it away."""
    parts = urlsplit(url)
    found = [url, parts.path, parts.query, parts.password or "", *parts.path.split("/")]
    return [part for part in found if len(part) >= SHORT]


def host_of(url: str) -> str:
    """What may be told of an address that is a secret."""
    return urlsplit(url).hostname or "?"
