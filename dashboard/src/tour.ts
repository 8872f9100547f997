/** What the editor shows at the first visit. */
export const TOUR = `# The GraphQL API of MarchProxy. Sign in above,
# then press the run button and pick an operation,
# or put the cursor into one and press Ctrl-Enter.
# The book icon at the left shows the schema.

# The node groups, each with its configuration.
query Groups {
  nodeGroups {
    nodes {
      id name revision snapshot { version }
    }
  }
}

# A service to route to. Envoy gets it at once.
mutation CreateService {
  createService(input: {
    name: "hello", ipFqdn: "127.0.0.1"
    port: 8081, protocol: HTTP
  }) {
    service { id name }
    revision
    version
  }
}

# Live: every configuration as it is published.
subscription Published {
  snapshotPublished { revision version }
}

# Live: what each Envoy took, or why it refused.
subscription Nodes {
  nodeStatusChanged {
    cause
    node {
      nodeId
      types { type ackedVersion }
      lastNack { message }
    }
  }
}
`;
