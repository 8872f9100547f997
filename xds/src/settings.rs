//! How a server behaves: limits and times, with defaults that suit most.

use std::time::Duration;

/// Limits and times of a server. Start from the default.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long listeners and routes wait for the answer to clusters that they
    /// need. Longer than the 15 s after which an Envoy gives up on endpoints.
    pub gate: Duration,
    /// How long clusters stay once nothing uses them: requests may be under way.
    pub grace: Duration,
    /// How often a connection is asked whether its client is still there.
    pub keepalive: Duration,
    /// How long the client has to answer to that.
    pub keepalive_answer: Duration,
    /// After what time a connection is ended, in good order, so that the clients of
    /// several servers spread over them again; a fifth less or so. Never if `None`.
    pub connection_age: Option<Duration>,
    /// How long a client may leave what it was sent unread before it is dropped; and how
    /// long calls may go on when their connection is to end.
    pub write_deadline: Duration,
    /// The size of the largest request, in bytes. A client that comes back names
    /// all that it holds, which can be more than gRPC's usual 4 MiB.
    pub largest_request: usize,
    /// How much is kept of requests that have not come whole, of all streams together, in
    /// bytes; beside 128 KiB of each. A stream that would need more is ended.
    pub unread_requests: usize,
    /// How many streams are given their first response at once; at least one. One is
    /// under way until the transport has taken it. Clients that hold everything do
    /// not count.
    pub first_responses: usize,
    /// How long a stream waits for its turn to be given one. Then it does not any
    /// longer: those before it may be clients that do not read.
    pub first_response_wait: Duration,
    /// How many streams are served at once.
    pub streams: usize,
    /// How many of them to the same IP address.
    pub streams_per_peer: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gate: Duration::from_secs(20),
            grace: Duration::from_secs(1),
            keepalive: Duration::from_secs(30),
            keepalive_answer: Duration::from_secs(10),
            connection_age: None,
            write_deadline: Duration::from_secs(30),
            largest_request: 64 << 20,
            unread_requests: 512 << 20,
            first_responses: 128,
            first_response_wait: Duration::from_secs(5),
            streams: 100_000,
            streams_per_peer: 20_000,
        }
    }
}
