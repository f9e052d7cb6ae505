"""Asking a model server of the v2 protocol whether it answers."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp

ANSWER_MAX: Final = 2**20
"""Most of an answer that is read, in bytes."""
_QUOTE_MAX: Final = 200


async def ask(
    session: aiohttp.ClientSession, address: str, port: int, model: str, request: str | None, seconds: float
) -> str:
    """Ask for an inference with `request` as body; without one, whether `model` is loaded.

    Empty when the server answers rightly within `seconds`; else one line that says why not.
    """
    host = f"[{address}]" if ":" in address else address
    url = f"http://{host}:{port}/v2/models/{quote(model)}"
    try:
        if request is None:
            timeout = aiohttp.ClientTimeout(seconds)
            async with session.get(f"{url}/ready", timeout=timeout, allow_redirects=False) as answer:
                return "" if answer.status == HTTPStatus.OK else await _refusal(answer)
        return await _ask_infer(session, f"{url}/infer", model, request, seconds)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return _line(f"no answer: {error or type(error).__name__}")


async def _ask_infer(session: aiohttp.ClientSession, url: str, model: str, request: str, seconds: float) -> str:
    headers = {"Content-Type": "application/json"}
    timeout = aiohttp.ClientTimeout(seconds)
    async with session.post(url, data=request, headers=headers, timeout=timeout, allow_redirects=False) as answer:
        if answer.status != HTTPStatus.OK:
            return await _refusal(answer)
        body = await _read(answer)
    if len(body) > ANSWER_MAX:
        return f"the answer is longer than {ANSWER_MAX} bytes"
    return _complaint(body, model)


async def _refusal(answer: aiohttp.ClientResponse) -> str:
    said = (await _read(answer)).decode(errors="replace")
    return _line(f"HTTP {answer.status}: {said}")


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """The body, up to a little more than is accepted."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(2**16):
        body += chunk
        if len(body) > ANSWER_MAX:
            break
    return bytes(body)


def _complaint(body: bytes, model: str) -> str:
    """What is wrong with an answer to an inference; empty if nothing is."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return _line(f"the answer is not JSON: {body[:_QUOTE_MAX].decode(errors='replace')}")
    if not isinstance(answer, Mapping):
        return "the answer is not a JSON object"
    if answer.get("model_name") != model:
        return _line(f"the answer comes from model {answer.get('model_name')!r} instead of {model!r}")
    outputs = answer.get("outputs")
    if not isinstance(outputs, list) or not outputs or not all(map(_has_data, outputs)):
        return "the answer has no outputs with data"
    return ""


def _has_data(output: Any) -> bool:
    return isinstance(output, Mapping) and isinstance(output.get("data"), list) and bool(output["data"])


def _line(text: str) -> str:
    """`text` without line breaks, cut to what a status takes."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return " ".join(words)[: 2 * _QUOTE_MAX]
