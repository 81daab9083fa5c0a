"""A request takes one hand-over to a thread, also if no static files are collected."""

import asyncio
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from sovd.asgi import application


@pytest.mark.parametrize(
    ("path", "status"), [("/accounts/login/", 200), ("/api/v1/commands/", 401)]
)
async def test_a_request_takes_one_hand_over(path: str, status: int) -> None:
    loop: Any = asyncio.get_running_loop()
    run, handed_over = loop.run_in_executor, []

    def counting(executor: Any, call: Any, *args: Any) -> Any:
        handed_over.append(call)
        return run(executor, call, *args)

    loop.run_in_executor = counting
    transport = ASGITransport(application)
    async with AsyncClient(transport=transport, base_url="http://localhost") as browser:
        assert (await browser.get(path)).status_code == status
    assert len(handed_over) == 1
