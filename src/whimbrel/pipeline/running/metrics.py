"""What Prometheus asks: counters and gauges of the control process, and of its name server as that reports them."""

import threading
from collections import Counter as Counts
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

# From a decision on one message to an analysis of all campaigns.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

# RFC 1035, section 4.1.1, and RFC 6895.
RCODES: Mapping[int, str] = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = self._counter("messages", "Messages read, by sensor.", "sensor")
        self.abandoned = self._counter("messages_abandoned", "Messages on which a reader had to be ended.")
        self.skipped = self._counter("places_skipped", "Files that hold no mail.")
        self.observations = self._counter("observations", "Observations new to the store.")
        self.decided = self._counter("observations_decided", "Observations that decisions went by.")
        self.events = self._counter("events", "Changes entered in the ledger, by what they are.", "change")
        self.in_force = self._gauge("listings_in_force", "Targets listed now.")
        self.faults = self._counter("faults", "Faults, by the step that failed.", "step")
        self.step_seconds = Histogram(
            "whimbrel_step_seconds",
            "How long steps of the cycle take.",
            ["step"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.serial = self._gauge("snapshot_serial", "Serial of the snapshot last published.")
        self.entries = self._gauge("snapshot_entries", "Entries in it.")
        self.born = self._gauge("snapshot_born_timestamp_seconds", "When it was cut.")
        self.expires = self._gauge("snapshot_expires_timestamp_seconds", "When name servers stop answering from it.")
        self.published = self._counter("snapshots_published", "Snapshots published.")
        self.restarts = self._counter("name_server_restarts", "Name servers that had to be started again.")
        self.reloads = self._counter("reloads", "Reloads of the settings, by whether they were taken.", "result")
        self.polling = self._gauge("polling", "1 where changes are looked for, 0 where the system tells of them.")
        self.served = Served()
        self.registry.register(self.served)
        ProcessCollector(registry=self.registry)

    def sum(self, name: str) -> int:
        """Return a metric's value, over all its labels."""
        samples = (sample for metric in self.registry.collect() for sample in metric.samples)
        return int(sum(sample.value for sample in samples if sample.name == f"whimbrel_{name}"))

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"whimbrel_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"whimbrel_{name}", meaning, registry=self.registry)


class Served(Collector):
    """What name servers counted, over all their restarts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: Counts[str] = Counts()
        self._now: dict[int, Counts[str]] = {}  # by process

    def report(self, pid: int, counts: Mapping[str, int]) -> None:
        """Take what a running name server has counted since its start."""
        with self._lock:
            self._now[pid] = Counts(counts)

    def ended(self, pid: int) -> None:
        """Take note that a name server has ended, and what it counted stays as it is."""
        with self._lock:
            self._ended += self._now.pop(pid, Counts())

    def total(self, key: str) -> int:
        """Return a count over all of them."""
        with self._lock:
            return self._ended[key] + sum(counts[key] for counts in self._now.values())

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, for Prometheus' library."""
        queries = CounterMetricFamily("whimbrel_dns_queries", "Queries, by transport.", labels=["transport"])
        for transport in ("udp", "tcp"):
            queries.add_metric([transport], self.total(transport))
        answers = CounterMetricFamily("whimbrel_dns_answers", "Answers, by return code.", labels=["rcode"])
        for code, name in RCODES.items():
            answers.add_metric([name], self.total(f"rcode {code}"))
        dropped = CounterMetricFamily(
            "whimbrel_dns_dropped", "Packets that must not be answered.", value=self.total("dropped")
        )
        return [queries, answers, dropped]
