"""How a schedule moves the learning rate over a training, known without one: what `microgpt show --plot` draws."""

from collections.abc import Iterable

from microgpt_core.components import Schedule
from microgpt_core.pipeline.reading.read import read_pipeline
from microgpt_core.plugins.registry import Registry


def factors(registry: Registry, name: str, changes: Iterable[str], max_steps: int) -> list[float]:
    """A schedule's factor of the learning rate at each step. `changes` are its fields: `warmup_steps=50`.

    One that goes by the evaluations so far is shown as if there were none. Raises ConfigurationError.
    """
    overrides = [f"schedule={name}", *(f"schedule.{change}" for change in changes), f"train.max_steps={max_steps}"]
    schedule: Schedule = read_pipeline("names", registry, overrides).schedule.build()
    return [schedule.factor(step, max_steps) for step in range(max_steps)]
