from whimbrel.pipeline.running.metrics import Metrics


def test_all_of_it_is_given_as_prometheus_reads_it() -> None:
    metrics = Metrics()
    metrics.messages.labels("mx1").inc(3)
    metrics.messages.labels("mx2").inc(2)
    text = metrics.text().decode()
    assert 'whimbrel_messages_total{sensor="mx1"} 3.0' in text
    assert "# TYPE whimbrel_step_seconds histogram" in text
    assert "process_open_fds" in text
    assert metrics.sum("messages_total") == 5
    assert metrics.sum("nothing") == 0


def test_two_services_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.abandoned.inc()
    assert (first.sum("messages_abandoned_total"), second.sum("messages_abandoned_total")) == (1, 0)


def test_what_name_servers_counted_adds_up_over_their_ends() -> None:
    """A counter never goes back, though each name server begins at zero, and two may run side by side for a moment."""
    metrics = Metrics()
    metrics.served.report(1, {"udp": 10, "tcp": 1, "dropped": 2, "rcode 0": 4, "rcode 3": 5})
    metrics.served.report(2, {"udp": 1})
    assert metrics.sum("dns_queries_total") == 12
    metrics.served.report(1, {"udp": 12, "tcp": 1, "dropped": 2, "rcode 0": 4, "rcode 3": 7})
    metrics.served.ended(1)
    metrics.served.ended(1)
    assert metrics.sum("dns_queries_total") == 14
    metrics.served.report(2, {"udp": 5})
    assert metrics.sum("dns_queries_total") == 18
    assert metrics.sum("dns_dropped_total") == 2
    assert 'whimbrel_dns_answers_total{rcode="NXDOMAIN"} 7.0' in metrics.text().decode()
