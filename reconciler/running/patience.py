"""Work that may hang, done at the same time, each in a thread of its own: whoever waits for it waits only so long."""

import threading
from collections.abc import Callable, Mapping


class Patient:
    """Remembers who hangs: nobody is asked again before the answer to the last question."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._threads: dict[str, threading.Thread] = {}

    def do(self, works: Mapping[str, Callable[[], None]]) -> list[str]:
        """Do each of these, by name, unless it still hangs from before; returns who has not ended in time."""
        begun = {name: work for name, work in works.items() if not self._hangs(name)}
        for name, work in begun.items():
            self._threads[name] = threading.Thread(target=work, name=f"patient {name}", daemon=True)
            self._threads[name].start()
        for name in begun:
            self._threads[name].join(self.seconds)
        return [name for name in works if self._hangs(name)]

    def _hangs(self, name: str) -> bool:
        thread = self._threads.get(name)
        return thread is not None and thread.is_alive()
