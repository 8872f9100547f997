// The two ways to the API: HTTP for queries and mutations, WebSocket for
// subscriptions, both with the token of one session.
import type { Fetcher, Observable } from '@graphiql/toolkit';
import { getOperationAST, type ExecutionResult } from 'graphql';
import { createClient, type Sink } from 'graphql-ws';

const FORBIDDEN = 4403;

export function connect(token: string | undefined) {
  const authorization: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};

  const ws = createClient({
    url: `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/graphql/ws`,
    keepAlive: 10_000,
    connectionParams: async () => authorization,
    shouldRetry: (event) => event instanceof CloseEvent && event.code !== FORBIDDEN,
  });

  const fetcher: Fetcher = async ({ query, variables, operationName }, options) => {
    const request = { query, variables, operationName };
    const document = options?.documentAST;
    if (document && getOperationAST(document, operationName)?.operation === 'subscription') {
      return observable((sink) =>
        ws.subscribe(request, { ...sink, error: (cause) => sink.error(explain(cause)) }),
      );
    }
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/graphql-response+json, application/json;q=0.9',
        ...authorization,
        ...options?.headers,
      },
      body: JSON.stringify(request),
    });
    return response.json().catch(() => {
      throw { message: `The server answered with status ${response.status}, not with JSON.` };
    });
  };

  return { fetcher, dispose: () => void ws.dispose() };
}

/** GraphiQL subscribes with an object of callbacks, though its types allow more. */
function observable(start: (sink: Sink<ExecutionResult>) => () => void): Observable<ExecutionResult> {
  return { subscribe: (sink) => ({ unsubscribe: start(sink as Sink<ExecutionResult>) }) };
}

/** GraphiQL shows what it is given as JSON, of which a CloseEvent has none. */
function explain(cause: unknown) {
  if (!(cause instanceof CloseEvent)) return cause;
  const reason = cause.reason || (cause.code === FORBIDDEN ? 'Forbidden' : 'no reason given');
  return { message: `The subscription's connection was closed: ${cause.code} ${reason}` };
}
