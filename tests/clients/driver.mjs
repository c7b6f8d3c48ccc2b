// One real client library against a server: told by JSON lines on stdin, it says what happens by JSON lines on stdout.
// argv[2]: {"kind": "rails" | "core" | "core-ext", "url", "token", "freshToken", "channels": [{"channel", "params"}],
//           "reconnectMs", "staleS"}
import readline from 'node:readline'
import { WebSocket } from 'ws'

const options = JSON.parse(process.argv[2])
const say = (event, more = {}) => process.stdout.write(JSON.stringify({ event, ...more }) + '\n')

// The libraries get this class, so that a test can tear the TCP connection away under them.
let current
class Socket extends WebSocket {
  constructor(...args) {
    super(...args)
    current = this
    this.on('error', () => {})
  }
}
const drop = () => current?._socket?.destroy()

async function rails() {
  globalThis.addEventListener = () => {}
  globalThis.removeEventListener = () => {}
  globalThis.document = { visibilityState: 'visible' }
  globalThis.self = globalThis
  globalThis.WebSocket = Socket
  const { default: ActionCable } = await import('@rails/actioncable')
  ActionCable.adapters.WebSocket = Socket
  ActionCable.ConnectionMonitor.staleThreshold = options.staleS
  const consumer = ActionCable.createConsumer(`${options.url}?token=${options.token}`)
  const subscriptions = options.channels.map(({ channel, params }, index) =>
    consumer.subscriptions.create(
      { channel, ...params },
      {
        connected: () => say('confirmed', { index }),
        disconnected: () => say('disconnected', { index }),
        rejected: () => say('rejected', { index }),
        received: message => say('message', { index, message })
      }
    )
  )
  return {
    perform: (index, action, data) => subscriptions[index].perform(action, data),
    unsubscribe: index => subscriptions[index].unsubscribe(),
    close: () => consumer.disconnect()
  }
}

async function core(protocol) {
  const { createCable, Channel } = await import('@anycable/core')
  const pongs = protocol.includes('ext')
  const cable = createCable(options.url, {
    protocol,
    auth: { token: options.token },
    websocketImplementation: Socket,
    websocketAuthStrategy: options.auth || 'sub-protocol',
    reconnectStrategy: () => options.reconnectMs,
    protocolOptions: { pongs },
    performFailures: 'warn',
    tokenRefresher: async transport => transport.setToken(options.freshToken),
    logLevel: 'error'
  })
  cable.on('connect', ({ reconnect, restored }) => say('connected', { reconnect, restored }))
  cable.on('disconnect', () => say('lost'))
  cable.on('close', reason => say('closed', { reason: reason?.reason }))
  class Any extends Channel {}
  const channels = options.channels.map(({ channel, params }, index) => {
    const made = new Any(params)
    Object.defineProperty(made, 'channelId', { value: channel })
    made.on('connect', ({ restored }) => say('confirmed', { index, restored }))
    made.on('message', (message, meta) => say('message', { index, message, meta }))
    made.on('info', ({ type }) => say(type, { index }))
    made.on('presence', event => say('presence', { index, presence: event }))
    cable.subscribe(made)
    made.ensureSubscribed().catch(error => say('rejected', { index, reason: error.name }))
    return made
  })
  return {
    perform: (index, action, data) => channels[index].perform(action, data).catch(() => say('not_performed')),
    whisper: (index, data) => channels[index].whisper(data),
    join: (index, id, info) => channels[index].presence.join(id, info),
    who: async index => say('who', { index, who: await channels[index].presence.info() }),
    unsubscribe: index => channels[index].disconnect(),
    close: () => cable.disconnect()
  }
}

const clients = {
  rails,
  core: () => core('actioncable-v1-json'),
  'core-ext': () => core('actioncable-v1-ext-json')
}
const client = await clients[options.kind]()
say('ready')
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line)
  if (name === 'drop') drop()
  else if (name === 'end') break
  else await client[name](...args)
}
client.close()
process.exit(0)
