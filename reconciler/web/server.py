"""The HTTP face in a thread of the service's process."""

import socket
import threading

import uvicorn
from fastapi import FastAPI

from reconciler.errors import OutOfReach

GRACE_SECONDS = 4
"""For so long requests that are being answered may go on when the process ends."""
BACKLOG = 2048
"""Connections that may wait to be taken."""


class Server:
    """Listens at once, so that an address that is taken stops the start; answers when it is started."""

    def __init__(self, app: FastAPI, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._socket = _listen(host.strip("[]"), int(port))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="http", daemon=True)

    @property
    def address(self) -> str:
        """Where it listens: the port too where any was asked for."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what was asked, and no more."""
        self._server.should_exit = True

    def ended(self, seconds: float) -> bool:
        """Wait until all is answered; whether that came about in time."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)  # who comes before the first answer waits a moment, and is not turned away
    except OSError as error:
        raise OutOfReach(f"service.listen: {host}:{port} cannot be listened at: {error.strerror}") from None
    return listening
