// The real clients of both protocols for subscriptions, against a running server:
// node clients.js PORT TOKEN. Prints a line for each thing that holds; ends with 1 at
// the first that does not.
const assert = require('node:assert/strict');
const graphqlWs = require('graphql-ws');
const graphqlSse = require('graphql-sse');
const WebSocket = require('ws');

const [port, token] = process.argv.slice(2);
const authorization = `Bearer ${token}`;
const SNAPSHOTS = 'subscription { snapshotPublished { revision } }';

async function first(iterable, count) {
  const got = [];
  for await (const result of iterable) {
    got.push(result);
    if (got.length === count) break;
  }
  return got;
}

function overWebSocket(options = {}) {
  const url = `ws://127.0.0.1:${port}/graphql/ws`;
  const connectionParams = { authorization };
  return graphqlWs.createClient({ url, webSocketImpl: WebSocket, connectionParams, ...options });
}

function overEvents(headers = { authorization }) {
  return graphqlSse.createClient({ url: `http://127.0.0.1:${port}/graphql`, headers, retryAttempts: 0 });
}

const checks = {
  'graphql-ws: a subscription begins with what is': async () => {
    const client = overWebSocket();
    const [result] = await first(client.iterate({ query: SNAPSHOTS }), 1);
    assert.ok(result.data.snapshotPublished.revision > 0);
    await client.dispose();
  },
  'graphql-ws: queries are answered, and complete': async () => {
    const client = overWebSocket();
    const results = await first(client.iterate({ query: '{ me { username } }' }), 9);
    assert.deepEqual(results.map((result) => result.data), [{ me: { username: 'admin' } }]);
    await client.dispose();
  },
  'graphql-ws: what is invalid is an error': async () => {
    const client = overWebSocket();
    const invalid = first(client.iterate({ query: 'subscription { nope }' }), 1);
    await assert.rejects(invalid, (errors) => errors[0].extensions.code === 'INVALID');
    await client.dispose();
  },
  'graphql-ws: after a token that is no good it comes back with a better one': async () => {
    let attempts = 0;
    const client = overWebSocket({
      connectionParams: async () => ({ authorization: attempts++ ? authorization : 'Bearer old' }),
      retryWait: async () => {},
    });
    const [result] = await first(client.iterate({ query: SNAPSHOTS }), 1);
    assert.ok(result.data.snapshotPublished.revision > 0);
    assert.equal(attempts, 2);
    await client.dispose();
  },
  'graphql-sse: a subscription begins with what is': async () => {
    const client = overEvents();
    const [result] = await first(client.iterate({ query: SNAPSHOTS }), 1);
    assert.ok(result.data.snapshotPublished.revision > 0);
    client.dispose();
  },
  'graphql-sse: queries are answered, and complete': async () => {
    const client = overEvents();
    const results = await first(client.iterate({ query: '{ me { username } }' }), 9);
    assert.deepEqual(results.map((result) => result.data), [{ me: { username: 'admin' } }]);
    client.dispose();
  },
  'graphql-sse: nobody is told nothing': async () => {
    const client = overEvents({});
    const [result] = await first(client.iterate({ query: SNAPSHOTS }), 1);
    assert.equal(result.errors[0].extensions.code, 'UNAUTHENTICATED');
    client.dispose();
  },
};

async function main() {
  for (const [name, check] of Object.entries(checks)) {
    await check();
    console.log(name);
  }
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
