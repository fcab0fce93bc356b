"""Reads that many requests want at the same moment, made as one: a statement, or a command, for all who wait.

Nothing is remembered from one to the next. A read begins after it was asked for, so whoever asks learns all that was
committed by then, as with a read of their own; but thirty who ask at once cost about what one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Any, Generic, TypeVar

P = TypeVar("P")
Q = TypeVar("Q")
A = TypeVar("A")

Read = Callable[[P, list[Q]], Awaitable[Sequence[A]]]
"""Answers questions, in their order, by what is read with a platform."""

MOST = 100
"""Questions in one read."""
PATIENCE_S = 10.0
"""How long a read may take: while one is under way, the next wait."""


class Together:
    """The reads of one process, in one event loop."""

    def __init__(self) -> None:
        self._kinds: dict[object, _Kind[Any, Any, Any]] = {}

    async def ask(self, read: Read[P, Q, A], platform: P, question: Q) -> A:
        """The answer to ``question``. What ``read`` raises, everybody is told who waited for it."""
        kind: _Kind[P, Q, A] | None = self._kinds.get(read)
        if kind is None:
            kind = self._kinds[read] = _Kind(read, platform)
        return await kind.add(question)


class _Kind(Generic[P, Q, A]):
    """Those who wait for one kind of read."""

    def __init__(self, read: Read[P, Q, A], platform: P) -> None:
        self._read, self._platform = read, platform
        self._waiting: list[tuple[Q, asyncio.Future[A]]] = []
        self._reader: asyncio.Task[None] | None = None

    def add(self, question: Q) -> asyncio.Future[A]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[A] = loop.create_future()
        self._waiting.append((question, future))
        if self._reader is None:
            # In a context of its own: it works for many, so its log lines are under nobody's trace.
            self._reader = loop.create_task(self._go_on(), context=Context())
        return future

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._answer(asked)
        finally:
            self._reader = None

    async def _answer(self, asked: list[tuple[Q, asyncio.Future[A]]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                answers = await self._read(self._platform, [question for question, _ in asked])
            for (_, future), answer in zip(asked, answers, strict=True):
                if not future.done():  # who asked may be gone
                    future.set_result(answer)
        except Exception as error:
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
        finally:
            for _, future in asked:
                future.cancel()  # where the process ends meanwhile; to one that is done it does nothing
