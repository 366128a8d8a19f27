"""A service that is told to end while its sentinel looks."""

from pathlib import Path
from threading import Event, Thread

from reconciler.core.times import Micros
from reconciler.store import SqlStore
from tests.channels.test_sentinel import BEGIN, watching


def test_who_ends_waits_for_a_look_that_is_under_way(store: SqlStore, tmp_path: Path) -> None:
    with watching(store, tmp_path) as watch:
        begun, go_on = Event(), Event()

        def clock() -> Micros:
            begun.set()
            go_on.wait(30)
            return BEGIN

        watch.sentinel.clock = clock
        look = Thread(target=watch.sentinel.look)
        look.start()
        assert begun.wait(30)
        assert not watch.sentinel.rest(0)
        go_on.set()
        assert watch.sentinel.rest(30)
        look.join()
