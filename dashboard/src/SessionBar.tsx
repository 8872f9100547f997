import { useEffect, useRef, useState, type FormEvent } from 'react';
import { signIn, signOut, useSession } from './session';

export function SessionBar() {
  const session = useSession();
  const bar = useRef<HTMLElement>(null);
  const moveFocus = useRef(false);

  // Signing in or out swaps the controls: keep the keyboard in the bar.
  useEffect(() => {
    if (moveFocus.current) bar.current?.querySelector<HTMLElement>('input, button')?.focus();
    moveFocus.current = false;
  }, [session]);

  return (
    <header ref={bar} className="session-bar">
      <h1>MarchProxy</h1>
      <p role="status">
        {session && `Signed in as ${session.username}${until(session.expiresAt)}`}
      </p>
      {session ? (
        <button type="button" onClick={() => ((moveFocus.current = true), signOut())}>
          Sign out
        </button>
      ) : (
        <SignInForm onSignIn={() => (moveFocus.current = true)} />
      )}
    </header>
  );
}

function SignInForm({ onSignIn }: { onSignIn: () => void }) {
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const password = useRef<HTMLInputElement>(null);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    if (busy) return;
    const data = new FormData(event.currentTarget);
    setBusy(true);
    setError('');
    try {
      onSignIn();
      await signIn(String(data.get('username')), String(data.get('password')));
    } catch (caught) {
      setError((caught as Error).message);
      setBusy(false);
      password.current?.select();
    }
  }

  return (
    <form aria-label="Sign in" onSubmit={submit}>
      <label htmlFor="username">Username</label>
      <input id="username" name="username" autoComplete="username" autoCapitalize="none" spellCheck={false} required />
      <label htmlFor="password">Password</label>
      <input
        ref={password}
        id="password"
        name="password"
        type="password"
        autoComplete="current-password"
        required
        aria-invalid={error !== ''}
        aria-describedby={error ? 'sign-in-error' : undefined}
      />
      <button type="submit" aria-disabled={busy}>
        Sign in
      </button>
      {error && (
        <p id="sign-in-error" role="alert">
          {error}
        </p>
      )}
    </form>
  );
}

/** ", until 17:30", with the date when that is not today. */
function until(expiresAt: string): string {
  const end = new Date(expiresAt);
  if (Number.isNaN(end.getTime())) return '';
  const time = end.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  const today = end.toDateString() === new Date().toDateString();
  return `, until ${today ? '' : `${end.toLocaleDateString()} `}${time}`;
}
