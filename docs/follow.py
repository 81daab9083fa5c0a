"""Follow one command: print its frames as they arrive, resume by itself, end after the last one.

python docs/follow.py http://localhost:8000 TOKEN COMMAND_ID    (needs: pip install websockets)
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

ENDED = {"completed", "failed", "timed_out", "cancelled", "expired"}
FINAL_REFUSALS = {4400, 4401, 4404}


async def follow(base_url: str, token: str, command_id: str) -> int:
    after, pause = 0, 0.5
    while True:
        url = f"{base_url.replace('http', 'ws', 1)}/ws/responses/{command_id}"
        try:
            async with connect(f"{url}?token={token}&after={after}") as socket:
                async for text in socket:
                    frame = json.loads(text)
                    print(text, flush=True)
                    after, pause = max(after, frame["sequence_number"]), 0.5
                    if frame.get("status") in ENDED:
                        return 0
        except (OSError, ConnectionClosed, InvalidHandshake) as error:
            code = error.rcvd.code if isinstance(error, ConnectionClosed) and error.rcvd else None
            if code in FINAL_REFUSALS:
                return 1
            print(f"{error}; connecting again in {pause:g} s", file=sys.stderr)
        await asyncio.sleep(pause)
        pause = min(10, pause * 2)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(asyncio.run(follow(*sys.argv[1:])))
