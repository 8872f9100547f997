//! What both benches need: options, and a world of services.

pub(crate) mod floor;
pub(crate) mod hostile;
#[expect(dead_code, reason = "the tests use all of it")]
pub(crate) mod raw;
pub(crate) mod serve;
pub(crate) mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;

use marchproxy_xds::testing::{cluster, endpoint, listener, resource, snapshot};
use marchproxy_xds::{Protocol, Resource, ResourceType, Snapshot};

/// Options as `--name value`, after cargo's own `--bench`.
pub(crate) struct Options {
    given: BTreeMap<String, String>,
    /// Whether this only shows that the bench runs, and measures nothing.
    smoke: bool,
}

impl Options {
    /// Reads the arguments of the process.
    pub(crate) fn read() -> Self {
        let mut given = BTreeMap::new();
        // `cargo bench` says `--bench`, and `cargo test --benches` does not.
        let mut smoke = true;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--bench" {
                smoke = false;
            } else if let Some(name) = argument.strip_prefix("--") {
                let value = arguments.next().unwrap_or_else(|| panic!("{argument} wants a value"));
                given.insert(name.to_owned(), value);
            }
        }
        Self { given, smoke }
    }

    /// The text given for `name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// The number given for `name`, or else `usual`, or in a smoke run `few`.
    pub(crate) fn number(&self, name: &str, usual: usize, few: usize) -> usize {
        let otherwise = if self.smoke { few } else { usual };
        self.text(name).map_or(otherwise, |text| {
            text.parse().unwrap_or_else(|_| panic!("--{name} wants a number, not {text:?}"))
        })
    }

    /// The numbers given for `name` with commas between them.
    pub(crate) fn numbers(&self, name: &str, usual: &[usize], few: &[usize]) -> Vec<usize> {
        let otherwise = if self.smoke { few } else { usual };
        self.text(name).map_or(otherwise.to_vec(), |text| {
            let number = |part: &str| {
                part.parse().unwrap_or_else(|_| panic!("--{name} wants numbers, not {text:?}"))
            };
            text.split(',').map(number).collect()
        })
    }

    /// The protocols given for `mode`: `delta`, `sotw`, or both.
    pub(crate) fn protocols(&self) -> Vec<Protocol> {
        match self.text("mode") {
            None => vec![Protocol::Delta, Protocol::Sotw],
            Some("delta") => vec![Protocol::Delta],
            Some("sotw") => vec![Protocol::Sotw],
            Some(other) => panic!("--mode wants delta or sotw, not {other:?}"),
        }
    }
}

/// What changes from one round to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The endpoints of one cluster.
    Endpoint,
    /// One cluster, and so its endpoints are sent again as well.
    Cluster,
}

impl Change {
    pub(crate) fn read(options: &Options) -> Self {
        match options.text("change") {
            None | Some("endpoint") => Self::Endpoint,
            Some("cluster") => Self::Cluster,
            Some(other) => panic!("--change wants endpoint or cluster, not {other:?}"),
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Cluster => "cluster",
        }
    }
}

/// Services, each a cluster with its endpoints, behind one listener and its routes.
///
/// All resources but the changed one are made once, as an application would.
pub(crate) struct World {
    names: Vec<String>,
    steady: Vec<Resource>,
    change: Change,
}

/// About as many bytes as a cluster or its endpoints usually have.
const PADDING: usize = 100;

impl World {
    pub(crate) fn new(services: usize, change: Change) -> Self {
        let names = world_names(services);
        let padding = "x".repeat(PADDING);
        let routes = resource(ResourceType::Route, "r", &padding.repeat(services));
        let routes =
            names.iter().fold(routes, |r, name| r.requiring(ResourceType::Cluster, name.as_str()));
        let mut steady = vec![listener("l", "r", &padding), routes];
        for name in &names {
            steady.push(cluster(name, &padding));
            steady.push(endpoint(name, &padding));
        }
        Self { names, steady, change }
    }

    /// The snapshot of a round: the last service differs from that of any other.
    pub(crate) fn at(&self, round: u64) -> Arc<Snapshot> {
        let last = self.names.last().expect("there are services");
        // At the end, where a client looks for it.
        let content = format!("{}{}", "x".repeat(PADDING), mark(round));
        let changed = match self.change {
            Change::Endpoint => endpoint(last, &content),
            Change::Cluster => cluster(last, &content),
        };
        let is_changed = |r: &Resource| {
            r.resource_type() == changed.resource_type() && r.name() == changed.name()
        };
        let others = self.steady.iter().filter(|r| !is_changed(r)).cloned();
        snapshot(round + 1, others.chain([changed.clone()]))
    }
}

/// The names of so many services.
pub(crate) fn world_names(services: usize) -> Vec<String> {
    (0..services).map(|n| format!("service-{n:05}")).collect()
}

/// What only the resources of this round have in them.
pub(crate) fn mark(round: u64) -> String {
    format!("round-{round:08}")
}
