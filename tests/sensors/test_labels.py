"""Labels: TREC's index, folders, archives; the most precise line wins."""

from pathlib import Path

import pytest

from whimbrel.errors import ConfigError
from whimbrel.sensors.labels import Labels


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for name in ("full", "data", "mail"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "inmail.1").write_bytes(b"To: x\n\n")
    (tmp_path / "corpus.tar").write_bytes(b"")
    (tmp_path / "box").write_bytes(b"")
    return tmp_path


def _labels(corpus: Path, text: str) -> Labels:
    index = corpus / "full" / "index"
    index.write_text(text)
    return Labels.load(str(index))


def test_trec_index(corpus: Path) -> None:
    labels = _labels(corpus, "# TREC\n\nspam ../data/inmail.1\nHAM\t../data/inmail.2\nunknown ../data/in mail\n")
    assert labels.label_of(f"{corpus}/data/inmail.1") == ("spam", "given")
    assert labels.label_of(f"{corpus}/full/../data/inmail.2") == ("ham", "given")
    assert labels.label_of(f"{corpus}/data/in mail") == ("unknown", "given")
    assert labels.label_of(f"{corpus}/data/inmail.3") is None


def test_a_path_as_the_user_knows_it(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = _labels(corpus, "spam ../data/inmail.1\nham ../box")
    monkeypatch.chdir(corpus)
    (corpus / "alias").symlink_to(corpus / "data")
    assert labels.label_of("data/inmail.1") == ("spam", "given")
    assert labels.label_of("./data/inmail.1") == ("spam", "given")
    assert labels.label_of("alias/inmail.1") == ("spam", "given")
    assert labels.label_of("box#17") == ("ham", "given")


def test_a_folder_labels_all_below_and_the_longest_match_wins(corpus: Path) -> None:
    labels = _labels(corpus, "ham ../mail/\nspam ../mail/junk\nham ../mail/junk/good\nspam ../box#2\nham ../box")
    assert labels.label_of(f"{corpus}/mail/1") == ("ham", "given")
    assert labels.label_of(f"{corpus}/mail/junk/deep/1") == ("spam", "given")
    assert labels.label_of(f"{corpus}/mail/junk/good") == ("ham", "given")
    assert labels.label_of(f"{corpus}/mailx") is None
    assert labels.label_of(f"{corpus}/box#2") == ("spam", "given")
    assert labels.label_of(f"{corpus}/box#1") == ("ham", "given")


def test_inside_an_archive_the_tail_matches(corpus: Path) -> None:
    labels = _labels(corpus, "spam ../data/inmail.1\nham data\nham ../corpus.tar\nspam x/y")
    assert labels.label_of(f"{corpus}/corpus.tar/trec/data/inmail.1") == ("spam", "given")
    assert labels.label_of(f"{corpus}/corpus.tar/trec/data/inmail.2") == ("ham", "given")
    assert labels.label_of(f"{corpus}/corpus.tar/other") == ("ham", "given")
    assert labels.label_of("-/a/x/y/1#3") == ("spam", "given")
    assert labels.label_of("-/a/yx/y") is None


def test_outside_of_archives_the_tail_does_not_match(corpus: Path) -> None:
    labels = _labels(corpus, "spam ../data/inmail.1")
    other = corpus / "mail" / "data"
    other.mkdir()
    assert labels.label_of(f"{other}/inmail.1") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ham a\nspma b\n", "index:2: unknown label 'spma'; the labels are spam, ham and unknown"),
        ("\nham\n", "index:2: no path"),
        ("ham a\nspam ./a\n", "index:2: ./a has been labelled ham"),
    ],
)
def test_a_bad_line_is_named(corpus: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _labels(corpus, text)


def test_an_index_that_is_missing(corpus: Path) -> None:
    with pytest.raises(ConfigError, match="no-index: the labels cannot be read"):
        Labels.load(str(corpus / "no-index"))
