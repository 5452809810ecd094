// Runs Medusa's subscriber on events from standard input, with a container that knows the carts and orders given.
import { pathToFileURL } from "node:url"

const { default: report, config } = await import(pathToFileURL(process.argv[2]).href)
let text = ""
for await (const part of process.stdin) {
  text += part
}
const { events, cart, order } = JSON.parse(text)
const waited = []
const { setTimeout: wait } = globalThis
globalThis.setTimeout = (callback, milliseconds, ...others) => {
  if (![1000, 5000, 25000].includes(milliseconds)) {
    return wait(callback, milliseconds, ...others) // One of Node's own, as for a connection.
  }
  waited.push(milliseconds)
  return wait(callback, 0)
}
const results = []
const asked = []
for (const event of events) {
  const query = {
    async graph({ entity, fields, filters }) {
      asked.push({ entity, fields, id: filters.id })
      const found = { cart, order }[entity]
      return { data: found ? [found] : [] }
    },
  }
  const container = { resolve: (name) => ({ query })[name] }
  try {
    await report({ event, container, pluginOptions: {} })
    results.push(null)
  } catch (fault) {
    results.push(String(fault))
  }
}
console.log(JSON.stringify({ results, asked, config, waited }))
