// A streaming client that keeps alive by pings of its own: Node's ws, as its documentation shows it.
//
// clients.mjs URL PACE: PACE is how many ms it takes for each message (0: reads as fast as it can).
import { setTimeout as sleep } from 'node:timers/promises'
import WebSocket, { createWebSocketStream } from 'ws'

const SECONDS = 5
const PING_EVERY_MS = 500
const PONG_WITHIN_MS = 6_000

const [url, pace] = process.argv.slice(2)
const socket = new WebSocket(url)
let count = 0
let pinged = null

function end(code, words) {
  console.log(words)
  socket.terminate()
  process.exit(code)
}

socket.on('open', () => {
  socket.send(JSON.stringify({ action: 'subscribe', symbols: ['AAAA', 'BBBB'] }))
  setInterval(() => {
    if (pinged !== null && Date.now() - pinged > PONG_WITHIN_MS) end(1, 'broke: no pong')
    if (pinged === null) {
      pinged = Date.now()
      socket.ping()
    }
  }, PING_EVERY_MS)
  setTimeout(() => end(0, `well, ${count} messages`), SECONDS * 1_000)
})
socket.on('pong', () => { pinged = null })
if (Number(pace) > 0) read(createWebSocketStream(socket, { readableObjectMode: true }))
else socket.on('message', () => { count += 1 })
socket.on('close', (code, why) => end(1, `broke: closed with ${code} ${why}`))
socket.on('error', e => end(1, `broke: ${e}`))

// What it has not read yet holds up what comes.
async function read(messages) {
  for await (const _ of messages) {
    count += 1
    await sleep(Number(pace))
  }
}
