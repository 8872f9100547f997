// Tells the editor (Monaco) where its web workers are. GraphiQL ships
// 'graphiql/setup-workers/vite' for this, but that breaks Vite's dev server.
import type {} from 'monaco-editor';

self.MonacoEnvironment = {
  getWorker(_id, label) {
    switch (label) {
      case 'json':
        return new Worker(new URL('./json.ts', import.meta.url), { type: 'module' });
      case 'graphql':
        return new Worker(new URL('./graphql.ts', import.meta.url), { type: 'module' });
      default:
        return new Worker(new URL('./editor.ts', import.meta.url), { type: 'module' });
    }
  },
};
