"""The corpus maker (bench/corpus.py): the same seed gives the same mail, and what it moves has moved."""

import importlib.util
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest

WORDS = b" ".join(b"word" + bytes([97 + number % 26]) * 3 for number in range(60))
MESSAGE = (
    b"From someone@example.com  Mon Jul  1 10:00:00 2002\n"
    b"Received: from own (own [127.0.0.1]) by own; Mon, 1 Jul 2002 10:00:05 +0100\n"
    b"Received: from client.example (client.example [198.51.100.7])\n\tby own; Mon, 1 Jul 2002 10:00:00 +0100\n"
    b"Date: Mon, 1 Jul 2002 09:59:00 +0100\nSubject: hello\n\n" + WORDS + b"\nhttp://shop.example.net/buy\n"
)


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "bench" / "corpus.py"
    spec = importlib.util.spec_from_file_location("made_corpus", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["made_corpus"] = module
    spec.loader.exec_module(module)
    return module


def test_the_client_and_all_dates_are_found(corpus: ModuleType) -> None:
    source = corpus.cut(MESSAGE)
    assert source.client == b"198.51.100.7"
    assert [f"{date:%H:%M:%S}" for date in source.dates] == ["10:00:05", "10:00:00", "09:59:00"]
    assert source.hosts == (b"shop.example.net",)


def test_the_same_seed_gives_the_same_mail_and_another_does_not(corpus: ModuleType) -> None:
    sources = {label: [corpus.cut(MESSAGE)] for label in ("spam", "ham")}
    one, again, other = (list(corpus.Maker(sources, seed).messages(50)) for seed in (1, 1, 2))
    assert one == again != other
    assert {made.label for made in one} == {"spam", "ham"}


def test_made_mail_has_its_own_client_dates_and_body(corpus: ModuleType) -> None:
    sources = {label: [corpus.cut(MESSAGE)] for label in ("spam", "ham")}
    mail = list(corpus.Maker(sources, 3).messages(200))
    assert not any(b"198.51.100.7" in made.content for made in mail)
    assert len({made.content.partition(b"\n\n")[2] for made in mail}) >= 190
    for made in mail:
        dates = [
            datetime.strptime(text.decode(), "%d %b %Y %H:%M:%S")  # noqa: DTZ007 - only differences are used
            for text in re.findall(rb"\d\d \w{3} \d{4} [\d:]{8}", made.content)
        ]
        assert [date - dates[0] for date in dates] == [timedelta(0), timedelta(seconds=-5), timedelta(seconds=-65)]
    renamed = [made for made in mail if made.label == "spam" and b"shop.example.net" not in made.content]
    assert len(renamed) == sum(made.label == "spam" for made in mail)


def test_both_forms_hold_every_message(corpus: ModuleType, tmp_path: Path) -> None:
    sources = {label: [corpus.cut(MESSAGE)] for label in ("spam", "ham")}
    mail = list(corpus.Maker(sources, 3).messages(20))
    for sink in (corpus.TarSink(tmp_path / "made.tar"), corpus.MboxSink(tmp_path / "made.mbox")):
        for number, made in enumerate(mail):
            sink.add(number, made)
        sink.close()
    with corpus.tarfile.open(tmp_path / "made.tar") as tar:
        index = tar.extractfile("index").read().decode().splitlines()
        assert [line.split()[0] for line in index] == [made.label for made in mail]
        assert tar.extractfile(index[0].split()[1]).read() == mail[0].content
    counts = {
        label: (tmp_path / f"made-{label}.mbox").read_bytes().count(b"\nReceived: from client.example")
        for label in ("spam", "ham")
    }
    assert sum(counts.values()) == 20
