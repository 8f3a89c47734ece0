from whimbrel.pipeline.running.telling import EVERY_SECONDS, Telling


def test_it_tells_at_once_and_then_now_and_then_of_all_since() -> None:
    now = 100.0
    telling = Telling(lambda: now)
    assert telling.add({"spam": 1}) == {"spam": 1}
    assert telling.add({"spam": 2, "ham": 1}) is None
    now += EVERY_SECONDS - 0.1
    assert telling.add({"ham": 1}) is None
    now += 0.2
    assert telling.add({"spam": 1}) == {"spam": 3, "ham": 2}
    now += 10 * EVERY_SECONDS
    assert telling.add({}) == {}
