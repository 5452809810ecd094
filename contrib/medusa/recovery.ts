/**
 * Reports carts with an address, and their orders, from Medusa 2 to Recovery.
 *
 * Install: copy this file to src/subscribers/recovery.ts of the Medusa project, and set in its environment
 *
 *   RECOVERY_URL           https://recovery.example
 *   RECOVERY_KEY           a key with the scopes "report" and "operate"
 *   RECOVERY_SHOP          lamps.example
 *   RECOVERY_CHECKOUT_URL  https://lamps.example/checkout?cart={id}    where the storefront opens a cart by its id
 *
 * For consent, let the storefront write what a box at the checkout says into the cart's metadata:
 *
 *   recovery_consent: { given: true, at: "2026-03-01T13:05:00Z", source: "box at the checkout, not ticked by default" }
 *
 * Medusa runs subscribers after the request that caused the event, so a customer waits for none of this. What cannot be
 * delivered is sent again for half a minute, then thrown: an event bus that repeats, as that of Redis does with
 * `attempts`, sends it once more.
 */
import type { SubscriberArgs, SubscriberConfig } from "@medusajs/framework"

const CART_FIELDS = [
  "id",
  "email",
  "currency_code",
  "total",
  "updated_at",
  "completed_at",
  "metadata",
  "items.*",
  "items.total",
  "customer.first_name",
  "customer.last_name",
  "shipping_address.first_name",
  "shipping_address.last_name",
]
const ORDER_FIELDS = ["id", "created_at", "email", "currency_code", "total", "items.*", "items.total", "cart.id"]
const TIMEOUT = 10_000 // Milliseconds.
const RETRIES = [1_000, 5_000, 25_000]

type Person = { first_name?: string | null; last_name?: string | null } | null

type Line = {
  title?: string | null
  product_title?: string | null
  variant_title?: string | null
  thumbnail?: string | null
  updated_at?: string | Date
  quantity?: unknown
  unit_price?: unknown
  total?: unknown
} | null

type Contents = {
  id: string
  email?: string | null
  currency_code?: string | null
  total?: unknown
  items?: Line[] | null
}

type Cart = Contents & {
  updated_at: string | Date
  completed_at?: string | Date | null
  metadata?: Record<string, unknown> | null
  customer?: Person
  shipping_address?: Person
}

type Order = Contents & { created_at: string | Date; cart?: { id: string } | null }

type Graph = {
  graph(asked: { entity: string; fields: string[]; filters: { id: string } }): Promise<{ data: unknown[] }>
}

export const config: SubscriberConfig = {
  event: [
    "cart.created",
    "cart.updated",
    "cart.customer_updated",
    "cart.region_updated",
    "cart.customer_transferred",
    "order.placed",
    "order.canceled",
  ],
  context: { subscriberId: "recovery" },
}

export default async function report({ event, container }: SubscriberArgs<{ id: string }>): Promise<void> {
  const { RECOVERY_URL: url, RECOVERY_KEY: key, RECOVERY_SHOP: shop } = process.env
  if (!url || !key || !shop) {
    throw new Error("Recovery is not set up: set RECOVERY_URL, RECOVERY_KEY and RECOVERY_SHOP")
  }
  const query = container.resolve("query") as unknown as Graph
  const send = (method: string, path: string, body?: object) => deliver(`${url.replace(/\/+$/, "")}${path}`, key, method, body)
  if (event.name.startsWith("order.")) {
    const order = await load<Order>(query, "order", ORDER_FIELDS, event.data.id)
    if (order?.cart) {
      await send("POST", "/order", orderReport(shop, order, order.cart.id, event.name === "order.placed"))
    }
    return
  }
  const cart = await load<Cart>(query, "cart", CART_FIELDS, event.data.id)
  if (!cart?.email || cart.completed_at) {
    return // Nobody to write to yet, or an order, which has an event of its own.
  }
  const at = touchedAt(cart, event.metadata?.created_at)
  if (itemsOf(cart).length > 0) {
    await send("POST", "/checkout", checkoutReport(shop, cart, cart.email, at))
  } else {
    const path = `/checkouts/${encodeURIComponent(shop)}/${encodeURIComponent(cart.id)}`
    await send("DELETE", `${path}?pause_at=${encodeURIComponent(at)}`) // Until something is in it again.
  }
}

async function load<T>(query: Graph, entity: string, fields: string[], id: string): Promise<T | undefined> {
  const { data } = await query.graph({ entity, fields, filters: { id } })
  return data[0] as T | undefined
}

function checkoutReport(shop: string, cart: Cart, email: string, at: string): object {
  const template = process.env.RECOVERY_CHECKOUT_URL
  if (!template?.includes("{id}")) {
    throw new Error("Recovery is not set up: set RECOVERY_CHECKOUT_URL, with {id} in the place of the cart's id")
  }
  const consent = consentOf(cart)
  const locale = cart.metadata?.locale
  return {
    shop,
    order_id: cart.id,
    customer: { email, ...nameOf(cart.customer, cart.shipping_address) },
    ...contentsOf(cart),
    checkout_url: template.replace("{id}", encodeURIComponent(cart.id)),
    touched_at: at,
    ...(consent && { consent }),
    ...(typeof locale === "string" && { locale }),
  }
}

function orderReport(shop: string, order: Order, cart: string, placed: boolean): object {
  return {
    shop,
    order_id: cart,
    ordered_at: timeOf(order.created_at),
    ...(order.email && { customer: { email: order.email } }),
    ...contentsOf(order),
    ...(!placed && { confirm: false }),
  }
}

function contentsOf(contents: Contents): object {
  const currency = (contents.currency_code ?? "").toUpperCase()
  return { items: itemsOf(contents), total: amount(contents.total, currency), currency }
}

/** Return the lines that can be shown, each with the price that is paid for a piece. */
function itemsOf({ items, currency_code }: Contents): object[] {
  return (items ?? []).slice(0, 200).flatMap((line) => {
    const name = line?.product_title || line?.title
    const quantity = Number(line?.quantity)
    if (!line || !name || !Number.isInteger(quantity) || quantity < 1) {
      return []
    }
    const paid = line.total == null ? Number(line.unit_price) : Number(line.total) / quantity
    const variant = line.variant_title && line.variant_title !== name ? line.variant_title : undefined
    const price = amount(paid, (currency_code ?? "").toUpperCase())
    return [{ name: name.slice(0, 300), variant, quantity, price, image_url: address(line.thumbnail) }]
  })
}

/** Return an amount as a text, with the decimals of its currency: none in yen. Medusa has major units. */
function amount(value: unknown, currency: string): string {
  const { maximumFractionDigits } = new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions()
  return Number(value).toFixed(maximumFractionDigits)
}

function address(value: string | null | undefined): string | undefined {
  return value && /^https?:\/\/\S+$/.test(value) ? value : undefined
}

/** Return the first name that is known: a Japanese, Chinese or Korean family name is first, as it is written. */
function nameOf(...people: (Person | undefined)[]): { name?: string } {
  for (const person of people) {
    const [given, family] = [person?.first_name?.trim() ?? "", person?.last_name?.trim() ?? ""]
    const eastAsian = /^[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}ー々]+$/u.test(given + family)
    const name = eastAsian ? [family, given] : [given, family]
    if (given || family) {
      return { name: name.join(/\p{sc=Hangul}/u.test(given) ? "" : " ").trim().slice(0, 300) }
    }
  }
  return {}
}

/** Return the consent that the storefront wrote into the cart's metadata, or undefined. */
function consentOf({ metadata }: Cart): object | undefined {
  const said = metadata?.recovery_consent
  if (typeof said !== "object" || said === null) {
    return undefined
  }
  const { given, at, source } = said as Record<string, unknown>
  if (typeof at !== "string") {
    return undefined
  }
  const place = typeof source === "string" ? source : "box at the checkout"
  return { given: given === true ? true : null, basis: "opt-in", at, source: place }
}

/** Return the time of the customer's last activity: a line that is added or removed does not change the cart's own. */
function touchedAt(cart: Cart, emitted: unknown): string {
  const event = emitted instanceof Date || typeof emitted === "string" ? emitted : new Date()
  const times = [cart.updated_at, event, ...(cart.items ?? []).map((line) => line?.updated_at ?? 0)]
  return timeOf(new Date(Math.max(...times.map((time) => new Date(time).getTime()))))
}

function timeOf(value: string | Date): string {
  return new Date(value).toISOString()
}

/** Send a request, and again if it fails. Throws, without anybody's data, if all fail; what is refused is logged. */
async function deliver(url: string, key: string, method: string, body?: object): Promise<void> {
  for (const wait of RETRIES) {
    try {
      return await attempt(url, key, method, body)
    } catch {
      await new Promise<void>((resolve) => setTimeout(resolve, wait))
    }
  }
  await attempt(url, key, method, body)
}

async function attempt(url: string, key: string, method: string, body?: object): Promise<void> {
  const answer = await fetch(url, {
    method,
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT),
  })
  await answer.arrayBuffer()
  if (answer.status >= 500 || answer.status === 429) {
    throw new Error(`Recovery answered with ${answer.status}: it is to be asked again`)
  }
  if (!answer.ok && !(method === "DELETE" && answer.status === 404)) {
    console.error(`Recovery refused a report with ${answer.status}: compare RECOVERY_URL, the key and its scopes`)
  }
}
