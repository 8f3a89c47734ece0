"""What Prometheus asks: counters and gauges of the control process, and of its name server as that reports them."""

import threading
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

# From a decision on one message to an analysis of all campaigns.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

# How long answers over DNS take: from a fraction of what Python needs to what a resolver does not wait for.
_ANSWER_SECONDS = (0.000_001, 0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0)


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
        self.overlays = self._counter("overlays_published", "Overlays published.")
        self.changed = self._gauge("overlay_targets", "Targets that changed since the snapshot, by the overlay.")
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
        self._ended: Mapping[str, float] = {}
        self._now: dict[int, Mapping[str, float]] = {}  # by process

    def report(self, pid: int, counts: Mapping[str, float]) -> None:
        """Take what a running name server has counted since its start."""
        with self._lock:
            self._now[pid] = dict(counts)

    def ended(self, pid: int) -> None:
        """Take note that a name server has ended, and what it counted stays as it is."""
        with self._lock:
            self._ended = _sum([self._ended, self._now.pop(pid, {})])

    def totals(self) -> Mapping[str, float]:
        """Return all counts, over all of them."""
        with self._lock:
            return _sum([self._ended, *self._now.values()])

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, for Prometheus' library."""
        totals = self.totals()
        return [
            _labelled(totals, "dns_queries", "Queries, by transport.", "queries", "transport"),
            _labelled(totals, "dns_answers", "Answers, by return code.", "rcode", "rcode"),
            _labelled(totals, "dns_hits", "Addresses sent: listings, and errors, by what they say.", "code", "code"),
            _labelled(totals, "dns_dropped", "Queries without an answer, by reason.", "dropped", "reason"),
            _labelled(totals, "dns_cookies", "Queries with a cookie, by what it proved.", "cookie", "result"),
            CounterMetricFamily("whimbrel_dns_known", "Packets from known networks.", value=totals.get("known", 0)),
            CounterMetricFamily(
                "whimbrel_dns_slipped", "Answers sent empty by rate limiting.", value=totals.get("slipped", 0)
            ),
            CounterMetricFamily(
                "whimbrel_dns_denied", "Queries refused by the access list.", value=totals.get("denied", 0)
            ),
            _answer_seconds(totals),
        ]


def _sum(counted: Iterable[Mapping[str, float]]) -> Mapping[str, float]:
    total: dict[str, float] = {}
    for counts in counted:
        for key, count in counts.items():
            total[key] = total.get(key, 0) + count
    return total


def _labelled(totals: Mapping[str, float], name: str, meaning: str, kind: str, label: str) -> Metric:
    """Return the metric of all counts of a kind, which stands before what each is of."""
    metric = CounterMetricFamily(f"whimbrel_{name}", meaning, labels=[label])
    for key, count in totals.items():
        if key.startswith(f"{kind} "):
            metric.add_metric([key.removeprefix(f"{kind} ")], count)
    return metric


def _answer_seconds(totals: Mapping[str, float]) -> Metric:
    times = {float(key.removeprefix("time ")): count for key, count in totals.items() if key.startswith("time ")}
    buckets = [
        (str(bound), sum(count for seconds, count in times.items() if seconds <= bound)) for bound in _ANSWER_SECONDS
    ]
    return HistogramMetricFamily(
        "whimbrel_dns_answer_seconds",
        "How long answers take, in the name server.",
        buckets=[*buckets, ("+Inf", sum(times.values()))],
        sum_value=totals.get("seconds", 0),
    )
