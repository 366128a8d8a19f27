"""Addresses of channels, checked before anything is sent there."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from reconciler.settings.notifying import Secret
from reconciler.settings.values import http_url

SHORT = 6
"""What is shorter is a word and no secret."""


def base_url(url: str) -> str:
    """An http or https address without a user, without a slash at its end."""
    if urlsplit(http_url(url)).username is not None:
        raise ValueError("bears a user; give it as a header: Authorization: Basic ...")
    return url.rstrip("/")


def _whole_url(url: SecretStr) -> SecretStr:
    base_url(url.get_secret_value())
    return url


SecretUrl = Annotated[Secret, AfterValidator(_whole_url)]
"""An address that nothing but its host is told of. A slash at its end means something."""


def secret_parts(url: str) -> list[str]:
    """An address that is a secret, and whatever of it would give it away."""
    parts = urlsplit(url)
    found = [url, parts.path, parts.query, parts.password or "", *parts.path.split("/")]
    return [part for part in found if len(part) >= SHORT]


def host_of(url: str) -> str:
    """What may be told of an address that is a secret."""
    return urlsplit(url).hostname or "?"
