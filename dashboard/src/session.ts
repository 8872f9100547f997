// Who is signed in: kept in this tab only (sessionStorage), dropped at expiry.
import { useSyncExternalStore } from 'react';

export type Session = { token: string; expiresAt: string; username: string };

const KEY = 'marchproxy.session';
const LONGEST_TIMER = 2 ** 31 - 1;
const listeners = new Set<() => void>();
let current: Session | null = null;
let timer: ReturnType<typeof setTimeout> | undefined;

function set(session: Session | null) {
  clearTimeout(timer);
  if (session) {
    sessionStorage.setItem(KEY, JSON.stringify(session));
    const left = Date.parse(session.expiresAt) - Date.now();
    if (left <= LONGEST_TIMER) timer = setTimeout(() => set(null), left);
  } else {
    sessionStorage.removeItem(KEY);
  }
  current = session;
  listeners.forEach((listener) => listener());
}

try {
  const stored: Session | null = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  if (stored && !(Date.parse(stored.expiresAt) <= Date.now())) set(stored);
  else set(null);
} catch {
  set(null);
}

export function useSession(): Session | null {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
}

/** Ends the session: here at once, and on the server, where its token is good no more. */
export function signOut() {
  const token = current?.token;
  set(null);
  if (!token) return;
  fetch('/graphql', {
    method: 'POST',
    keepalive: true, // also if the tab is closed next
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: 'mutation Logout { logout { __typename } }', operationName: 'Logout' }),
  }).catch(() => {}); // then it ends when its time is over
}

const LOGIN = `mutation Login($username: String!, $password: String!) {
  login(input: {username: $username, password: $password}) { token expiresAt user { username } }
}`;

type LoginResult = {
  data?: { login?: { token: string; expiresAt: string; user: { username: string } } | null } | null;
  errors?: { message: string }[];
};

/** Signs in, or throws an Error with a message to show. */
export async function signIn(username: string, password: string) {
  const response = await fetch('/graphql', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: LOGIN, operationName: 'Login', variables: { username, password } }),
  }).catch(() => {
    throw new Error('The server cannot be reached.');
  });
  const result: LoginResult = await response.json().catch(() => ({}));
  const login = result.data?.login;
  if (!login) {
    throw new Error(result.errors?.[0]?.message ?? `The server answered with status ${response.status}.`);
  }
  set({ token: login.token, expiresAt: login.expiresAt, username: login.user.username });
}
