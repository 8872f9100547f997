// The 61 audits of GraphQL over HTTP, against a running server: node audit.js URL TOKEN
// Signed in, since some of them ask for the schema.
const { auditServer } = require('graphql-http');

const AUDITS = 61;

async function main(url, token) {
  const authorization = `Bearer ${token}`;
  const fetchFn = (url, init) => fetch(url, { ...init, headers: { ...init?.headers, authorization } });
  const results = await auditServer({ url, fetchFn });
  const failed = results.filter((result) => result.status !== 'ok');
  for (const { status, id, name, reason } of failed) console.log(status, id, name, '|', reason);
  console.log(`${results.length - failed.length} of ${results.length}`);
  process.exit(failed.length > 0 || results.length !== AUDITS ? 1 : 0);
}

main(...process.argv.slice(2));
