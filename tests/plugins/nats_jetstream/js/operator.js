// Makes a JWT operator with accounts and users, as `nsc` would, into the folder that is named: server.conf, the same with
// the relay's user revoked (revoked.conf), and a credentials file for each user. Keys are new each time.
//
// usage: node operator.js FOLDER            makes them
//        node operator.js FOLDER SECONDS    adds short.creds, of a user that expires after so many seconds
const { createAccount, createOperator, createUser, fromSeed } = require("@nats-io/nkeys");
const { encodeAccount, encodeOperator, encodeUser, fmtCreds } = require("@nats-io/jwt");
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");

const [folder, seconds] = process.argv.slice(2);
const text = (bytes) => new TextDecoder().decode(bytes);
const write = (name, content) => writeFileSync(join(folder, name), content);
const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
const jetstream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

async function writeUser(file, issuer, options = {}, dates = {}) {
  const key = createUser();
  write(file, text(fmtCreds(await encodeUser(file, key, issuer, options, dates), key)));
  return key;
}

async function addShortLived() {
  const events = fromSeed(readFileSync(join(folder, "events.seed")));
  await writeUser("short.creds", events, {}, { exp: Math.floor(Date.now() / 1000) + Number(seconds) });
}

async function makeAll() {
  const operator = createOperator();
  const [system, events, empty, bare] = [0, 1, 2, 3].map(() => createAccount());
  const account = (name, key, more) => encodeAccount(name, key, more, { signer: operator });
  write("events.seed", text(events.getSeed()));

  const relay = await writeUser("relay.creds", events);
  await writeUser("next.creds", events);
  await writeUser("no-publish.creds", events, { pub: { deny: ["events.>"] } });
  await writeUser("empty-account.creds", empty);
  await writeUser("bare-account.creds", bare);
  const now = Math.floor(Date.now() / 1000);
  await writeUser("expired.creds", events, {}, { exp: now - 60 });
  await writeUser("stranger.creds", createAccount()); // of an account that the server does not know
  const other = createUser();
  write("wrong-seed.creds", text(fmtCreds(await encodeUser("relay", relay, events), other)));

  const accounts = async (revocations) => {
    const jwts = [
      [system, await account("SYS", system, { limits: unlimited })],
      [events, await account("EVENTS", events, { limits: { ...unlimited, ...jetstream }, revocations })],
      [empty, await account("EMPTY", empty, { limits: { ...unlimited, ...jetstream } })],
      [bare, await account("BARE", bare, { limits: unlimited })],
    ];
    return jwts.map(([key, jwt]) => `  ${key.getPublicKey()}: ${jwt}\n`).join("");
  };
  const jwt = await encodeOperator("tide-test", operator, { system_account: system.getPublicKey() });
  const config = async (revocations) =>
    `operator: ${jwt}\nresolver: MEMORY\nresolver_preload: {\n${await accounts(revocations)}}\n`;
  write("server.conf", await config({}));
  write("revoked.conf", await config({ [relay.getPublicKey()]: now + 3600 }));
}

(seconds ? addShortLived : makeAll)().catch((error) => {
  console.error(error);
  process.exit(1);
});
