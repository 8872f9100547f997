import { readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

// GraphiQL's style sheet carries its fonts as base64, half a megabyte of it. The
// page uses the fonts of the system instead (src/style.css), and the editor has
// its icon font ("codicon") in a file of its own.
const dropFonts: Plugin = {
  name: 'drop-fonts',
  enforce: 'pre',
  transform(code, id) {
    if (!id.endsWith('/graphiql/dist/style.css')) return;
    return { code: code.replace(/@font-face\s*\{[^}]*\}/g, ''), map: null };
  },
};

// ReDoc comes as one script, which public/redoc.html loads. It shows a picture from
// its maker's server, in whose place goes ours: no page loads anything from elsewhere.
const redoc: Plugin = {
  name: 'redoc',
  generateBundle() {
    const bundle = 'node_modules/redoc/bundles/redoc.standalone.js';
    const picture = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
    const script = readFileSync(bundle, 'utf8');
    if (!script.includes(picture)) this.error(`${bundle} has no ${picture} any more`);
    const source = script.replaceAll(picture, '/ui/favicon.svg').replace(/\n\/\/# sourceMappingURL=[^\n]*\s*$/, '\n');
    this.emitFile({ type: 'asset', fileName: 'redoc/redoc.standalone.js', source });
    const licences = readFileSync(`${bundle}.LICENSE.txt`);
    this.emitFile({ type: 'asset', fileName: 'redoc/redoc.standalone.js.LICENSE.txt', source: licences });
  },
};

export default defineConfig({
  // The server answers /graphiql with graphiql.html and /ui/... with the rest.
  base: '/ui/',
  plugins: [dropFonts, redoc],
  worker: { format: 'es' },
  build: {
    // No inline code and no data: URLs of our own, for the content security policy.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    // Monaco is one big lazily loaded chunk, by nature.
    chunkSizeWarningLimit: 4000,
    rolldownOptions: {
      input: 'graphiql.html',
      onwarn(warning, warn) {
        // Some libraries mark their modules "use client", which means nothing here.
        if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') warn(warning);
      },
    },
  },
});
