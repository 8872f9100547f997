// Drives the GraphiQL page of a running server in a headless Chromium.
//
//   BASE_URL=https://127.0.0.1:8443 USERNAME=admin PASSWORD=... node tests/graphiql.mjs
//
// CHROMIUM: path of the browser. SCREENSHOT: where to leave a picture (.png).
// It publishes one change: it creates a service named browser-<random>.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chromium } from 'playwright-core';

const { BASE_URL, USERNAME, PASSWORD, CHROMIUM = '/usr/bin/chromium', SCREENSHOT } = process.env;
assert(BASE_URL && USERNAME && PASSWORD, 'set BASE_URL, USERNAME and PASSWORD');
const origin = new URL(BASE_URL).origin;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  chromiumSandbox: false,
  args: ['--disable-gpu', '--disable-quic'],
});
let page;

try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(30_000);
  page = await context.newPage();
  const seen = watch(page);

  step('the page loads');
  await page.exposeFunction('reportViolation', (what) => seen.violations.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.reportViolation(`${event.effectiveDirective}: ${event.blockedURI}`);
    });
  });
  const response = await page.goto(`${origin}/graphiql`);
  assert.equal(response.status(), 200);
  await page.locator('.graphiql-query-editor .view-lines').getByText('query', { exact: true }).first().waitFor();

  step('a wrong password shows the error');
  const username = page.getByLabel('Username');
  const password = page.getByLabel('Password');
  const alert = page.locator('header').getByRole('alert');
  seen.refusalExpected = true; // Chromium logs an error of its own if the status is 401
  await username.fill(USERNAME);
  await password.fill(`${PASSWORD}-wrong`);
  await password.press('Enter');
  await alert.waitFor();
  assert.notEqual((await alert.innerText()).trim(), '');
  assert.equal(await token(), undefined);
  seen.refusalExpected = false;

  step('the right password signs in');
  await password.fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const signOut = page.getByRole('button', { name: 'Sign out' });
  await signOut.waitFor();
  const status = await page.getByRole('status').innerText();
  assert(status.startsWith(`Signed in as ${USERNAME}`), status);
  assert.match(status, /, until .*\d\d:\d\d$/);
  assert.equal(await alert.count(), 0);
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Sign out');

  // It has a menu as soon as GraphiQL knows the operations, for which it needs the schema.
  const execute = page.locator('button[aria-label^="Execute query"][aria-haspopup="menu"]');
  await execute.waitFor();

  /** Picks an operation of the editor from the menu of the run button. */
  async function run(operation) {
    await execute.click();
    await page.getByRole('menuitem', { name: operation, exact: true }).click();
  }

  step('the schema explorer reads the schema');
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
  await page.locator('.graphiql-doc-explorer').getByText('Subscription', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();

  step('a reload keeps the session');
  await page.reload();
  await signOut.waitFor();
  await execute.waitFor();
  const authorization = `Bearer ${await token()}`;

  step('the Groups query shows the group "default"');
  const result = page.getByRole('region', { name: 'Result Window' });
  const [request] = await Promise.all([page.waitForRequest(isOperation('Groups')), run('Groups')]);
  assert.equal(await request.headerValue('authorization'), authorization);
  await result.getByText('"default"').first().waitFor();

  step('the Published subscription shows a version when a service is created');
  const socket = page.waitForEvent('websocket');
  const subscribed = socket.then((ws) => sent(ws, 'subscribe'));
  const greeted = socket.then((ws) => sent(ws, 'connection_init'));
  await run('Published');
  assert.equal((await greeted).payload.authorization, authorization);
  await subscribed;
  // The server may still be busy subscribing when the first change is made: then one more.
  const version = result.filter({ hasText: /"snapshotPublished"[^]*"version":\s*"?\w/ });
  for (let changes = 1; ; changes++) {
    await createService();
    try {
      await version.waitFor({ timeout: 3_000 });
      break;
    } catch (error) {
      if (changes === 5) throw error;
    }
  }
  if (SCREENSHOT) await page.screenshot({ path: SCREENSHOT });

  step('the workers of the editor run, from this origin');
  for (const name of ['editor', 'graphql']) {
    const isIt = (url) => url.startsWith(`${origin}/ui/assets/${name}-`);
    // The editor starts one when it first has a use for it.
    if (!seen.workers.some(isIt)) await page.waitForEvent('worker', (worker) => isIt(worker.url()));
  }

  step('on a phone the result stands below the editor');
  await page.setViewportSize({ width: 390, height: 844 });
  const [above, below] = await Promise.all(
    ['.graphiql-editors', '.graphiql-response'].map((pane) => page.locator(pane).boundingBox()),
  );
  assert(below.y >= above.y + above.height - 1, 'it does not stand below');
  for (const { width, height } of [above, below]) assert(width > 250 && height > 150, `${width} x ${height}`);
  await page.setViewportSize({ width: 1280, height: 800 });

  step('signing out ends the subscription and the session, and drops the token');
  const closed = socket.then((ws) => ws.isClosed() || ws.waitForEvent('close'));
  const [logout] = await Promise.all([page.waitForResponse(isAnswerTo('Logout')), signOut.click()]);
  assert(logout.ok());
  await closed;
  const late = await page.request.post(`${origin}/graphql`, {
    headers: { authorization },
    data: { query: '{ me { username } }' },
  });
  assert.equal((await late.json()).errors[0].extensions.code, 'UNAUTHENTICATED');
  await username.waitFor();
  await execute.waitFor(); // no longer "Stop query"
  assert.equal(await token(), undefined);
  seen.refusalExpected = true;
  const [anonymous] = await Promise.all([page.waitForRequest(isOperation('Groups')), run('Groups')]);
  assert.equal(await anonymous.headerValue('authorization'), null);
  await result.getByText('"errors"').waitFor();

  step('nothing left the origin, no error, no policy violation');
  assert.deepEqual(seen.elsewhere, []);
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(seen.violations, []);
  console.log('ok');
} catch (error) {
  if (SCREENSHOT) await page?.screenshot({ path: SCREENSHOT }).catch(() => {});
  throw error;
} finally {
  await browser.close();
}

function step(name) {
  console.log(`- ${name}`);
}

/** Collects what must not happen. */
function watch(page) {
  const seen = { elsewhere: [], errors: [], violations: [], workers: [], refusalExpected: false };
  const check = (url) => {
    const { protocol, origin: from } = new URL(url);
    if (protocol !== 'data:' && from.replace(/^ws/, 'http') !== origin) seen.elsewhere.push(url);
  };
  page.context().on('request', (request) => check(request.url()));
  page.on('websocket', (ws) => check(ws.url()));
  page.on('worker', (worker) => seen.workers.push(worker.url()));
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    if (/content security policy/i.test(text)) seen.violations.push(text);
    if (message.type() !== 'error') return;
    if (seen.refusalExpected && message.location().url === `${origin}/graphql`) return;
    seen.errors.push(text);
  });
  return seen;
}

function isOperation(name) {
  return (request) => request.url() === `${origin}/graphql` && request.postDataJSON()?.operationName === name;
}

function isAnswerTo(name) {
  const isAsked = isOperation(name);
  return (response) => isAsked(response.request());
}

/** The first message of a type which the page sends over a WebSocket. */
function sent(ws, type) {
  return new Promise((resolve) => {
    ws.on('framesent', ({ payload }) => {
      const message = JSON.parse(payload);
      if (message.type === type) resolve(message);
    });
  });
}

function token() {
  return page.evaluate(() => JSON.parse(sessionStorage.getItem('marchproxy.session') ?? '{}').token);
}

async function createService() {
  const response = await page.request.post(`${origin}/graphql`, {
    headers: { authorization: `Bearer ${await token()}` },
    data: {
      query: `mutation { createService(input: {
        name: "browser-${randomBytes(4).toString('hex')}", ipFqdn: "127.0.0.1", port: 8081, protocol: HTTP
      }) { version } }`,
    },
  });
  const { errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
}
