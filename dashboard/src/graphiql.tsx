import './workers/setup';
import 'graphiql/style.css';
import './style.css';
import { GraphiQL } from 'graphiql';
import { useEffect, useMemo } from 'react';
import { createRoot } from 'react-dom/client';
import { connect } from './connection';
import { useSession } from './session';
import { SessionBar } from './SessionBar';
import { TOUR } from './tour';

function Page() {
  const token = useSession()?.token;
  // A new token is a new connection. GraphiQL reads the schema again when its
  // fetcher changes; running subscriptions end with the old connection.
  const connection = useMemo(() => connect(token), [token]);
  useEffect(() => connection.dispose, [connection]);

  return (
    <>
      <SessionBar />
      <main>
        <GraphiQL
          fetcher={connection.fetcher}
          // Nobody but those who are signed in is told the schema.
          schema={token ? undefined : null}
          defaultQuery={TOUR}
          shouldPersistHeaders={false}
        >
          <GraphiQL.Logo>
            <span className="logo">GraphiQL</span>
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}

createRoot(document.getElementById('root')!).render(<Page />);
