// A shop on Node, without any package, that reports checkouts and orders to Recovery over HTTP.
// Run it with: RECOVERY_URL=http://127.0.0.1:8080 RECOVERY_KEY=... node shop.mjs
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

export const SHOP = "lamps.example";
const PRICES = { "Arc floor lamp": "189.00", "Reading lamp": "49.00" };

/** Report to Recovery; a shop that cannot report sells all the same. */
async function report(recovery, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (recovery.key) headers.Authorization = `Bearer ${recovery.key}`;
  try {
    const answer = await fetch(recovery.url + path, { method: "POST", headers, body: JSON.stringify(body) });
    if (answer.status !== 202) console.warn(`${path} was not reported:`, await answer.text());
  } catch (error) {
    console.warn(`${path} was not reported:`, error.message);
  }
}

/** Return the shop: PUT /checkouts/1042 with a cart, POST /checkouts/1042/pay. */
export function createShop(recovery) {
  return createServer(async (request, response) => {
    const [, , number, pays] = request.url.split("/");
    let text = "";
    for await (const part of request) text += part;
    if (request.method === "PUT") {
      const { email, name, lamp } = JSON.parse(text);
      await report(recovery, "/checkout", {
        shop: SHOP,
        order_id: number,
        customer: { email, name },
        items: [{ name: lamp, price: PRICES[lamp] }],
        total: PRICES[lamp],
        currency: "EUR",
        checkout_url: `https://${SHOP}/checkouts/${number}`,
      });
    } else if (request.method === "POST" && pays === "pay") {
      await report(recovery, "/order", { shop: SHOP, order_id: number });
    } else {
      response.statusCode = 404;
    }
    response.end();
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  createShop({ url: process.env.RECOVERY_URL, key: process.env.RECOVERY_KEY }).listen(3000);
}
