"""What connectors of the same shape have in common: those that count at a stage, and those that take samples."""

from reconciler.core.pipelines import Pipeline
from reconciler.core.times import Micros
from reconciler.settings.schema import ConnectorOptions, SamplerOptions


class Counting:
    """Counts the events of one stage over a trailing window; see `ports.Connector`."""

    __slots__ = ()
    options: ConnectorOptions
    target: Pipeline

    @property
    def pipeline(self) -> str:
        """Name of the pipeline."""
        return self.target.name

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.options.stage

    @property
    def every(self) -> Micros:
        """Time between two readings, µs."""
        return self.options.every

    @property
    def window(self) -> Micros:
        """How far back each reading counts again, µs."""
        return self.options.window


class Sampling:
    """Sees the present only, and counts no events; see `ports.Connector`."""

    __slots__ = ()
    options: SamplerOptions

    @property
    def stage(self) -> None:
        """It counts no events."""
        return

    @property
    def every(self) -> Micros:
        """Time between two readings, µs."""
        return self.options.every

    @property
    def window(self) -> Micros:
        """What was in the past nobody can see."""
        return 0

    @property
    def withdraws(self) -> bool:
        """It counts nothing that could go."""
        return False
