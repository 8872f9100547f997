// Opens Swagger UI and ReDoc of a running server in a headless Chromium.
//
//   BASE_URL=https://127.0.0.1:8443 USERNAME=admin PASSWORD=... node tests/api-docs.mjs
//
// CHROMIUM: path of the browser. It changes nothing.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const { BASE_URL, USERNAME, PASSWORD, CHROMIUM = '/usr/bin/chromium' } = process.env;
assert(BASE_URL && USERNAME && PASSWORD, 'set BASE_URL, USERNAME and PASSWORD');
const origin = new URL(BASE_URL).origin;

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  chromiumSandbox: false,
  args: ['--disable-gpu', '--disable-quic'],
});

try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 800 } });
  context.setDefaultTimeout(30_000);

  step('a browser is given a page at the root, a program JSON');
  const root = await context.newPage();
  const greeted = await root.goto(`${origin}/`);
  assert.match(greeted.headers()['content-type'], /^text\/html/);
  const about = await (await fetch(`${origin}/`)).json();
  assert.equal(about.docs, '/api/docs');
  await root.close();

  step('Swagger UI shows the operations');
  const swagger = await open('/api/docs');
  const list = swagger.page.locator('#operations-services-list_services');
  await list.waitFor();

  step('Swagger UI signs in and asks for services');
  const answer = await fetch(`${origin}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: USERNAME, password: PASSWORD }),
  });
  const { access_token } = await answer.json();
  await swagger.page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = swagger.page.locator('.modal-ux');
  await dialog.locator('input[type=text], input[type=password]').first().fill(access_token);
  await dialog.getByRole('button', { name: 'Apply credentials' }).first().click();
  await dialog.getByRole('button', { name: 'Close' }).first().click();
  await list.locator('.opblock-summary').click();
  await list.getByRole('button', { name: 'Try it out' }).click();
  await list.getByRole('button', { name: 'Execute' }).click();
  await list.locator('.live-responses-table').getByText('"services"').first().waitFor();
  swagger.check();

  step('ReDoc shows the operations, and its search finds one');
  const redoc = await open('/api/redoc');
  await redoc.page.getByRole('heading', { name: 'Lists services' }).first().waitFor();
  await redoc.page.getByPlaceholder('Search...').fill('services');
  await redoc.page.locator('[data-role="search:results"]').waitFor();
  redoc.check();
} finally {
  await browser.close();
}

/** Opens a page; `check` says whether all of it came from here, and was allowed. */
async function open(path) {
  const page = await browser.contexts()[0].newPage();
  const wrong = [];
  await page.exposeFunction('reportViolation', (what) => wrong.push(`policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.reportViolation(`${event.effectiveDirective}: ${event.blockedURI}`);
    });
  });
  page.on('pageerror', (error) => wrong.push(`error: ${error}`));
  page.on('request', (request) => {
    const url = request.url();
    const ours = url.startsWith(`${origin}/`) || /^(data|blob):/.test(url);
    if (!ours) wrong.push(`request: ${url}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) wrong.push(`${response.status()}: ${response.url()}`);
  });
  const response = await page.goto(`${origin}${path}`);
  assert.equal(response.status(), 200);
  return { page, check: () => assert.deepEqual(wrong, []) };
}

function step(what) {
  console.log(`- ${what}`);
}
