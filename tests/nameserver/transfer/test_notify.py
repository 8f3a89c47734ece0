"""Secondaries are told of each new list until they say that they have heard."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from tests.nameserver.transfer.asking import KEYS
from tests.nameserver.transfer.some_lists import snapshot_of

from whimbrel.model.endpoint import Endpoint
from whimbrel.model.transfer import Secondary
from whimbrel.nameserver.transfer.notify import Notifier

PATIENCE_SECONDS = 10.0

Answer = Callable[[dns.message.Message], bytes | None]


class Listener(asyncio.DatagramProtocol):
    """A secondary that notes what it is told, and answers as it is made to."""

    def __init__(self, answer: Answer) -> None:
        self.told: asyncio.Queue[dns.message.Message] = asyncio.Queue()
        self._answer = answer

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = dns.message.from_wire(data, keyring=KEYS)
        self.told.put_nowait(message)
        answer = self._answer(message)
        if answer is not None:
            self._transport.sendto(answer, addr)


def acknowledged(message: dns.message.Message) -> bytes:
    answer = dns.message.make_response(message)
    answer.flags |= dns.flags.AA
    return answer.to_wire()


def told(answer: Answer, key: str | None, serials: list[int], times: int) -> list[dns.message.Message]:
    """Return what a secondary is told so many times, which answers so, when there are these lists one after another."""

    async def listen() -> list[dns.message.Message]:
        loop = asyncio.get_running_loop()
        transport, listener = await loop.create_datagram_endpoint(lambda: Listener(answer), ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        notifier = Notifier(Secondary(Endpoint("127.0.0.1", port), key), KEYS)
        for serial in serials:
            notifier.tell(snapshot_of({}, serial=serial))
        task = asyncio.create_task(notifier.run())
        try:
            found = [await asyncio.wait_for(listener.told.get(), PATIENCE_SECONDS) for _ in range(times)]
            await asyncio.sleep(0.2)
            assert listener.told.empty()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            transport.close()
        return found

    return asyncio.run(listen())


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whimbrel.nameserver.transfer.notify.WAITS_SECONDS", (0.02, 0.02, 0.02))


@pytest.mark.parametrize("key", [None, "secondary.example"])
def test_the_newest_list_is_told_of_once(key: str | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (message,) = told(acknowledged, key, [7, 8], 1)
    assert message.opcode() == dns.opcode.NOTIFY
    assert message.flags & dns.flags.AA
    assert message.had_tsig == (key is not None)
    assert message.question[0].to_text() == "bl.example. IN SOA"
    assert message.answer[0][0].serial == 8
    assert "knows of list 8" in caplog.text


@pytest.mark.usefixtures("short_waits")
def test_who_is_silent_is_told_again_and_then_given_up(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(lambda _: None, "secondary.example", [7], 3)) == 3
    assert "does not answer when told of list 7" in caplog.text


def unsigned(rcode: dns.rcode.Rcode) -> Answer:
    def answer(message: dns.message.Message) -> bytes:
        made = dns.message.Message(message.id)
        made.flags = dns.flags.QR
        made.set_opcode(dns.opcode.NOTIFY)
        made.set_rcode(rcode)
        return made.to_wire()

    return answer


@pytest.mark.usefixtures("short_waits")
def test_an_answer_that_is_not_signed_is_none() -> None:
    assert len(told(unsigned(dns.rcode.NOERROR), "secondary.example", [7], 3)) == 3


def test_unsigned_news_take_an_unsigned_answer() -> None:
    assert len(told(unsigned(dns.rcode.NOERROR), None, [7], 1)) == 1


def test_a_refusal_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(unsigned(dns.rcode.NOTAUTH), "secondary.example", [7], 1)) == 1
    assert "says NOTAUTH when told of list 7" in caplog.text


@pytest.mark.usefixtures("short_waits")
def test_nobody_there_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    async def alone() -> None:
        notifier = Notifier(Secondary(Endpoint("127.0.0.1", 1), None), KEYS)
        notifier.tell(snapshot_of({}))
        with suppress(TimeoutError):
            await asyncio.wait_for(notifier.run(), 0.5)

    asyncio.run(alone())
    assert "does not answer when told" in caplog.text
