// Tests of the shop, against Recovery in memory. RECOVERY names the command, if it is not on the path.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, beforeEach, test } from "node:test";
import { createShop, SHOP } from "./shop.mjs";

const CART = JSON.stringify({ email: "ada@example.com", name: "Ada", lamp: "Arc floor lamp" });
let daemon, recovery, server, shop;

async function ask(path, body) {
  const answer = await fetch(recovery + path, body && { method: "POST", body: JSON.stringify(body) });
  assert.equal(answer.status, 200);
  return answer.json();
}

before(async () => {
  daemon = spawn(process.env.RECOVERY ?? "recovery", ["serve", "--in-memory", "--port", "0"]);
  daemon.stderr.pipe(process.stderr);
  const [line] = await once(daemon.stdout, "data");
  recovery = /http:\/\/[\d.:]+\d/.exec(line)[0];
  server = createShop({ url: recovery }).listen(0, "127.0.0.1");
  await once(server, "listening");
  shop = `http://127.0.0.1:${server.address().port}`;
});

after(() => {
  server?.close();
  daemon.kill();
});

beforeEach(() => ask("/reset", {}));

test("who leaves is reminded of the lamp", async () => {
  await fetch(`${shop}/checkouts/1042`, { method: "PUT", body: CART });
  const { mails } = await ask("/clock/advance", { minutes: 30 });
  assert.deepEqual(mails.map((mail) => [mail.to, mail.step]), [["ada@example.com", "reminder-1"]]);
  assert.match(mails[0].text, /Arc floor lamp/);
  assert.equal(mails[0].links[0], `https://${SHOP}/checkouts/1042`);
});

test("who pays is not reminded", async () => {
  await fetch(`${shop}/checkouts/1042`, { method: "PUT", body: CART });
  await fetch(`${shop}/checkouts/1042/pay`, { method: "POST" });
  await ask("/clock/advance", { days: 4 });
  const { mails } = await ask("/mails");
  assert.deepEqual(mails.map((mail) => mail.step), ["confirmation"]);
});
