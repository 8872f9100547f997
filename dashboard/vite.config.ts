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

export default defineConfig({
  // The server answers /graphiql with graphiql.html and /ui/... with the rest.
  base: '/ui/',
  plugins: [dropFonts],
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
