"""Two streaming clients that keep alive by pings of their own: websockets and aiohttp.

clients.py KIND URL PACE: KIND is websockets or aiohttp; PACE is how many ms it takes for each message (0: reads as
fast as it can). Streams for five seconds, with a ping twice a second that wants its pong within a few; ends
with 0 and "well, N messages", or with 1 and what broke.
"""
import asyncio
import json
import sys
import time

SECONDS = 5
PING_EVERY = 0.5
PONG_WITHIN = 6
WISH = json.dumps({"action": "subscribe", "symbols": ["AAAA", "BBBB"]})


async def by_websockets(url, pace):
    import websockets

    count = 0
    async with websockets.connect(url, ping_interval=PING_EVERY, ping_timeout=PONG_WITHIN, max_queue=4) as socket:
        await socket.send(WISH)
        until = time.monotonic() + SECONDS
        while (left := until - time.monotonic()) > 0:
            try:
                await asyncio.wait_for(socket.recv(), left)
            except asyncio.TimeoutError:
                break
            count += 1
            await asyncio.sleep(pace)
    return count


async def by_aiohttp(url, pace):
    import aiohttp

    count = 0
    async with aiohttp.ClientSession() as session:
        # It gives up when half of this passes without a pong.
        async with session.ws_connect(url, heartbeat=2 * PONG_WITHIN if pace else 2 * PING_EVERY) as socket:
            await socket.send_str(WISH)
            until = time.monotonic() + SECONDS
            while (left := until - time.monotonic()) > 0:
                try:
                    message = await socket.receive(timeout=left)
                except asyncio.TimeoutError:
                    break
                if message.type != aiohttp.WSMsgType.TEXT:
                    raise RuntimeError(f"{message.type!r} {message.data!r}")
                count += 1
                await asyncio.sleep(pace)
            if socket.closed:
                raise RuntimeError(f"closed with {socket.close_code}")
    return count


kind, url, pace = sys.argv[1:]
run = {"websockets": by_websockets, "aiohttp": by_aiohttp}[kind]
try:
    print(f"well, {asyncio.run(run(url, int(pace) / 1000))} messages")
except Exception as e:
    print(f"broke: {e!r}")
    sys.exit(1)
