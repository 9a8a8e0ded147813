"""Answers, and GETs of the pages they are given on, sent at an even pace by a process of its own.

Run as a script it is that process: it reads what to send as JSON from the first line of its input,
sends until its input ends, and prints as JSON what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

_PATIENCE = 120  # seconds that a page is waited for

Request = tuple[str, float, float | None, bool]
"""A method, when it was due by time.monotonic, its seconds from then, and whether it was refused.

The seconds are None unless it came to 200. It was refused if it was asked to come again (503 with
Retry-After), and failed if it came to anything else.
"""


@contextlib.contextmanager
def sending(load: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Send answers and GETs until the input of the process that is yielded ends.

    `load` has the `port` of the pages, the paths of `answers` to POST and of `pages` to GET, and
    the `pace`: how many of each are due in a second. Once no answers are left, pages are asked for
    instead. The page of an answer is opened first, which is not counted.
    """
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        process.stdin.write(json.dumps(load) + "\n")
        process.stdin.flush()
        yield process


async def _send(load: dict[str, Any]) -> None:
    over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    answers, pages = iter(load["answers"]), cycle(load["pages"])
    began = time.monotonic()
    tasks: list[asyncio.Task[Request]] = []
    while not over.done():
        due = began + len(tasks) / 2 / load["pace"]
        await asyncio.wait([over], timeout=max(0, due - time.monotonic()))
        answer = None if len(tasks) % 2 else next(answers, None)
        if answer is None:
            request = _get(load["port"], next(pages), due)
        else:
            request = _press(load["port"], answer, due)
        tasks.append(asyncio.create_task(request))
    print(json.dumps(await asyncio.gather(*tasks)))


async def _get(port: int, path: str, due: float) -> Request:
    return _make_result("GET", due, await _request(port, "GET", path))


async def _press(port: int, path: str, due: float) -> Request:
    """Open a page and press its button; the seconds are those of the press."""
    opened = time.monotonic()
    page = await _request(port, "GET", path)
    numbers = re.findall(rb'name="number" value="([^"]*)"', page)
    if not numbers:
        return "POST", due, None, _is_refused(page)
    due += time.monotonic() - opened
    # That of a Yes is the longest.
    number = max(numbers, key=len).decode()
    return _make_result("POST", due, await _request(port, "POST", path, f"number={number}"))


def _make_result(method: str, due: float, response: bytes) -> Request:
    is_answered = response.startswith(b"HTTP/1.1 200 ")
    seconds = time.monotonic() - due if is_answered else None
    return method, due, seconds, _is_refused(response)


def _is_refused(response: bytes) -> bool:
    return response.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: " in response


def has_failed(request: Request) -> bool:
    """Say whether a request came to neither 200 nor the page that asks to come again."""
    _, _, seconds, is_refused = request
    return seconds is None and not is_refused


async def _request(port: int, method: str, path: str, body: str = "") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    response = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write((head + body).encode())
            response = await reader.read(-1)
            writer.close()
    return response


def print_title(first: str, pace: int) -> None:
    """Print what stands above the lines; `first` stands above whatever they begin with."""
    titles = (f"{pace} answers a second, ms", f"{pace} GETs a second, ms")
    columns = ("median", "99%", "longest", "503", "failed")
    print(" " * len(first) + "".join(f"{title:>45}" for title in titles))
    print(first + "".join(f"{text:>9}" for text in columns * 2))


def in_words(requests: Sequence[Request], method: str, *, unrecorded: int = 0) -> str:
    """Return the milliseconds of the requests of a method, how many were refused, and failed."""
    own = [request for request in requests if request[0] == method]
    times = [seconds * 1e3 for _, _, seconds, _ in own if seconds is not None]
    failed = sum(map(has_failed, own))
    rest = f"{len(own) - len(times) - failed:9,}{failed + unrecorded:9,}"
    if len(times) < 2:
        return f"{'–':>9}" * 3 + rest
    hundredths = statistics.quantiles(times, n=100, method="inclusive")
    figures = (statistics.median(times), hundredths[-1], max(times))
    return "".join(f"{figure:9,.0f}" for figure in figures) + rest


if __name__ == "__main__":
    asyncio.run(_send(json.loads(sys.stdin.readline())))
