"""What the measuring process does: rows of a policy, one after the other."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from experiments.timing import machine, stages
from experiments.timing.measure import Laps, Ready, keep_compiled, measure, prepare
from experiments.timing.programs import saliency_map
from experiments.timing.rows import PEAK, RowOptions, all_rows
from experiments.timing.subject import RANDOM, Subject, make_subject, subject_shapes
from experiments.timing.supervise import Say
from iss_jax.jobs.environment import environment


def work(names: Sequence[str], arguments: Mapping[str, Any], say: Say) -> None:
    """Measures rows and says what it found (`supervise.Work`).

    Args:
        names: the rows.
        arguments: `config`, the content of the configuration; `cache`, the folder of compiled
            programs, empty for none; `measured`, the rows that were measured before.
        say: takes what is found.
    """
    options = RowOptions.of(arguments["config"])
    keep_compiled(arguments["cache"])
    say("ready", {"device": machine.device(), "environment": environment()})
    measuring = _Measuring(options, arguments["measured"], names)
    for name in names:
        say("started", name)
        say("measured", name, measuring.measured(name))


class _Measuring:
    """The policy, and the programs that rows to come are timed beside."""

    def __init__(self, options: RowOptions, measured: Sequence[str], wanted: Sequence[str]) -> None:
        self.options, self.rows = options, all_rows(options)
        self.done = set(measured)
        self.beside = {self.rows[name].beside for name in wanted}
        self.kept: dict[str, Ready] = {}

    @cached_property
    def subject(self) -> Subject:
        return make_subject(self.options.subject)

    @cached_property
    def shapes(self) -> Subject:
        """The policy without its parameters, where they are not needed to know their shapes."""
        drawn = self.options.subject.policy in RANDOM
        return subject_shapes(self.options.subject) if drawn else self.subject

    @cached_property
    def micro_batch(self) -> int:
        """Rows of a micro-batch of the whole map."""
        count = {"num_masks": self.options.num_masks}
        program = saliency_map(self.shapes, count, micro_batch=self.options.micro_batch)
        jaxpr = program.traced(self.shapes.params).jaxpr.jaxpr
        return stages.images_at_once(jaxpr, self.shapes.sizes)

    def measured(self, name: str) -> dict[str, Any]:
        laps = Laps(self.options.repeats, self.options.warm_seconds, self.options.least_seconds)
        if name == PEAK:
            # As long as it takes until clocks and heat stay as they are.
            laps = Laps(laps.repeats, self.options.peak_seconds, self.options.peak_seconds)
        own, beside = self._ready(name), self.rows[name].beside
        # One that failed would take this row with it.
        other = self._ready(beside) if beside in self.done else None
        found = measure(own, laps, other)
        self.done.add(name)
        return found | {"beside": beside if other else None}

    def _ready(self, name: str) -> Ready:
        if name not in self.kept:
            # The peak is of the policy's shapes alone, and is known before there are parameters.
            subject = self.shapes if name == PEAK else self.subject
            program = self.rows[name].build(subject, self.micro_batch)
            ready = prepare(program, None if name == PEAK else subject.params, subject.sizes)
            if name not in self.beside:
                return ready
            self.kept[name] = ready
        return self.kept[name]
