"""Follow one command: print its events as they arrive, resume by itself, end after the last one.

python docs/follow.py http://localhost:8000 TOKEN COMMAND_ID    (needs: pip install websockets)
"""

import asyncio
import json
import random
import sys
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

FINAL_ERRORS = {"unauthenticated", "token_expired", "not_found", "bad_request"}


async def follow(base_url: str, token: str, command_id: str) -> int:
    address = f"{base_url.rstrip('/').replace('http', 'ws', 1)}/ws/responses/{command_id}"
    headers = {"Authorization": f"Bearer {token}"}
    after, pause = 0, 0.5
    while True:
        try:
            async with connect(f"{address}?after={after}", additional_headers=headers) as socket:
                async for text in socket:
                    print(text, flush=True)
                    frame = json.loads(text)
                    after, pause = max(after, frame["sequence_number"]), 0.5
                    if (exit_code := exit_code_of(frame)) is not None:
                        return exit_code
        except (OSError, WebSocketException) as error:
            print(f"{error}; connecting again in {pause:g} s", file=sys.stderr)
        await asyncio.sleep(pause * random.uniform(0.5, 1))
        pause = min(10, pause * 2)


def exit_code_of(frame: dict[str, Any]) -> int | None:
    """Return 0 after the terminal event, 1 after an error that stays, and None before."""
    if frame["sequence_number"] == 0:
        return 1 if frame["error_code"] in FINAL_ERRORS else None
    is_error = frame["event"] == "error"
    return 0 if is_error or frame.get("status") in ("completed", "cancelled") else None


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        sys.exit(asyncio.run(follow(*sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
