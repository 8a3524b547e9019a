// A consumer as an application would write it, with NATS's own JavaScript client: a durable pull consumer that
// acknowledges each message. Prints what it got, one message a line: sequence, subject, headers as sorted JSON, payload,
// with tabs between them.
//
// usage: node consumer.js URL STREAM DURABLE COUNT    waits for that many messages, and ends after 30 s without one
const { connect } = require("@nats-io/transport-node");
const { AckPolicy, jetstream, jetstreamManager } = require("@nats-io/jetstream");

const [servers, stream, durable, count] = process.argv.slice(2);
const patience_ms = 30_000;

const headers = (message) => {
  const pairs = message.headers ? [...message.headers] : []; // [name, [value, …]]
  return JSON.stringify(Object.fromEntries(pairs.sort(([a], [b]) => (a < b ? -1 : 1))));
};

async function main() {
  const connection = await connect({ servers });
  const manager = await jetstreamManager(connection);
  await manager.consumers.add(stream, { durable_name: durable, ack_policy: AckPolicy.Explicit });
  const consumer = await jetstream(connection).consumers.get(stream, durable);
  for (let got = 0; got < Number(count); got++) {
    const message = await consumer.next({ expires: patience_ms });
    if (message === null) throw new Error(`${got} of ${count} messages came, and then none for ${patience_ms} ms`);
    process.stdout.write([message.seq, message.subject, headers(message), message.string()].join("\t") + "\n");
    await message.ackAck();
  }
  await connection.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
