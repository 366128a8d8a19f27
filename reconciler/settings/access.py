"""Who may look at the pages: the section `access`."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from reconciler.core.times import HOUR
from reconciler.settings.values import Duration, Name, Section

Network = IPv4Network | IPv6Network


def _network(value: object) -> Network:
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(f"is {value!r}, no address such as 10.0.0.7 and no network such as 10.0.0.0/24") from None


def _header(value: str) -> str:
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", value) is None:
        raise ValueError(f"is {value!r}, no name of a header such as X-Forwarded-User")
    return value


Addresses = Annotated[Network, BeforeValidator(_network), WithJsonSchema({"type": "string"})]
Header = Annotated[str, AfterValidator(_header)]


class ProxySettings(Section):
    """A proxy that people log in at. It must drop these headers from what it passes on, and set them itself."""

    addresses: Annotated[tuple[Addresses, ...], Field(min_length=1)]
    """Addresses or networks from which the proxy connects. From any other the headers mean nothing."""
    user: Header = "X-Forwarded-User"
    """The header that names who has logged in."""
    groups: Header | None = None
    """The header that names their groups, with commas between."""
    operators: tuple[Name, ...] = ()
    """Users and groups who may act on the pages; all others may read."""


class AccessSettings(Section):
    """Who may look at the pages, beside those with a token."""

    session: Duration = 12 * HOUR
    """How long a browser is let in after somebody has logged in with a token."""
    proxy: ProxySettings | None = None
    """Whose word is taken for who has logged in."""
