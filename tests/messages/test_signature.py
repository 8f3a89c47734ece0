"""The near-duplicate signature: pinned values, what does not change it, what must."""

import random

from hypothesis import given
from hypothesis import strategies as st

from whimbrel.messages.signature import BANDS, signature

TEMPLATE = (
    "Congratulations, valued customer! Your account has been selected for an exclusive mortgage refinance offer with interest "  # noqa: E501
    "rates beginning lower than traditional banks charge. Qualified homeowners receive approval quickly, regardless of "
    "previous credit problems or bankruptcy. Simply complete our secure application form, and a licensed representative "  # noqa: E501
    "will contact you regarding available programs. Thousands of satisfied families already enjoy reduced monthly payments "  # noqa: E501
    "and consolidated debts. This limited promotion expires soon, therefore apply immediately."
)
OTHER = (
    "The kernel patch attached below fixes a race between the scheduler and the driver when an interrupt arrives during "  # noqa: E501
    "suspend. I tested it under heavy load overnight using two processors without crashes; previously the machine locked "  # noqa: E501
    "within minutes. Comments about locking order welcome, especially whether spinlocks should cover the queue "
    "structure. Documentation updates follow in a separate patch once everybody agrees the approach looks reasonable."
)
VOCABULARY = [
    f"{first}{last}"
    for first in ("garden", "silver", "thunder", "paper", "copper")
    for last in ("field", "stone", "light", "smith")
]


def _changed(text: str, part: float, seed: int) -> str:
    drawn = random.Random(seed)
    return " ".join(drawn.choice(VOCABULARY) if drawn.random() < part else word for word in text.split())


def test_values_never_change() -> None:
    assert signature(TEMPLATE) == PINNED


def test_personal_parts_do_not_count() -> None:
    personal = f"Dear Bob,\n{TEMPLATE.upper()}  \r\n Order 4711 at http://a1.example.com/x?id=99 to bob@example.com. xkqzjvbtrw\n-- \nBob's list"  # noqa: E501
    assert set(signature(personal)) & set(signature(TEMPLATE))
    assert signature(TEMPLATE.replace(" ", "\n  ") + " 12345 http://example.com/q7 qwrtzpsdf") == signature(TEMPLATE)


def test_copies_of_a_template_share_a_key() -> None:
    keys = set(signature(TEMPLATE))
    kept = [bool(keys & set(signature(_changed(TEMPLATE, 0.1, seed)))) for seed in range(50)]
    assert sum(kept) >= 40


def test_different_texts_share_none() -> None:
    assert not set(signature(TEMPLATE)) & set(signature(OTHER))


def test_footers_do_not_make_messages_alike() -> None:
    footer = "\n_______________________________________________\n" + TEMPLATE
    assert not set(signature(OTHER + footer)) & set(signature(TEMPLATE))
    assert signature("a short note" + footer) == ()


def test_texts_without_blanks_have_a_signature() -> None:
    text = "尊敬的客户您的账户已经被选中参加我们的特别优惠活动请立即点击下面的网址完成身份验证否则您的账户将会被冻结谢谢合作"  # noqa: E501
    assert len(signature(text)) == BANDS
    assert set(signature(text)) & set(signature("王先生" + text))


def test_too_few_words() -> None:
    assert signature("") == ()
    assert signature("buy now " * 100) == ()


@given(st.text())
def test_never_raises(text: str) -> None:
    keys = signature(text)
    assert len(keys) in (0, BANDS)
    assert all(0 <= key < 2**64 for key in keys)


@given(st.permutations(TEMPLATE.split()))
def test_order_of_words_does_not_count(words: list[str]) -> None:
    assert signature(" ".join(words)) == PINNED


PINNED = (
    0x984ECAC53EB26B70,
    0x75F6A56D920B80B0,
    0xE766F7E4F0331E7B,
    0x8FE5D36A0799AEAE,
    0xC0313C3E0EC855B8,
    0x4916552E63B8DF86,
    0xC6A337BC8BB5D2EA,
    0xDD6E3806883BB94F,
)
