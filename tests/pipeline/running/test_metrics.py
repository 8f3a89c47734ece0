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
    metrics.served.report(1, {"queries udp": 10, "queries tcp": 1, "dropped limited": 2, "rcode NXDOMAIN": 5})
    metrics.served.report(2, {"queries udp": 1})
    assert metrics.sum("dns_queries_total") == 12
    metrics.served.report(1, {"queries udp": 12, "queries tcp": 1, "dropped limited": 2, "rcode NXDOMAIN": 7})
    metrics.served.ended(1)
    metrics.served.ended(1)
    assert metrics.sum("dns_queries_total") == 14
    metrics.served.report(2, {"queries udp": 5})
    assert metrics.sum("dns_queries_total") == 18
    assert metrics.sum("dns_dropped_total") == 2
    assert 'whimbrel_dns_answers_total{rcode="NXDOMAIN"} 7.0' in metrics.text().decode()


def test_all_that_a_name_server_tells_is_given() -> None:
    metrics = Metrics()
    told = {
        "known": 9,
        "slipped": 3,
        "denied": 4,
        "seconds": 0.5,
        "code 127.0.0.4": 5,
        "cookie proved": 6,
        "dropped unsent": 7,
    }
    times = {"time 0.000008192": 8, "time 0.000040960": 9, "time 2.0": 1}
    metrics.served.report(1, told | times)
    metrics.served.ended(1)
    metrics.served.report(2, {"slipped": 1, "time 0.000008192": 2})
    text = metrics.text().decode()
    for line in (
        "whimbrel_dns_known_total 9.0",
        "whimbrel_dns_slipped_total 4.0",
        "whimbrel_dns_denied_total 4.0",
        'whimbrel_dns_hits_total{code="127.0.0.4"} 5.0',
        'whimbrel_dns_cookies_total{result="proved"} 6.0',
        'whimbrel_dns_dropped_total{reason="unsent"} 7.0',
        'whimbrel_dns_answer_seconds_bucket{le="1e-05"} 10.0',
        'whimbrel_dns_answer_seconds_bucket{le="0.0001"} 19.0',
        'whimbrel_dns_answer_seconds_bucket{le="1.0"} 19.0',
        'whimbrel_dns_answer_seconds_bucket{le="+Inf"} 20.0',
        "whimbrel_dns_answer_seconds_sum 0.5",
    ):
        assert f"{line}\n" in text
