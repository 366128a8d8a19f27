"""What notifiers of the same shape have in common."""

from reconciler.core.outbox import Manner
from reconciler.settings.notifying import NotifierOptions


class Plain:
    """Takes what its options say, and knows no more of it; see `posting.Notifier`."""

    __slots__ = ()
    options: NotifierOptions

    @property
    def manner(self) -> Manner:
        """How it wants to be told."""
        return self.options.manner()
