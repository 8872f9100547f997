//! Floor 4: every operation, once.
//!
//! An operation authorises, opens a transaction, does its work, and seals it:
//! the group's revision grows by one, the desired state is compiled inside the
//! transaction, the snapshot is recorded, all of it is committed, and only then
//! is the publisher nudged. What does not compile is never stored. The edges
//! (GraphQL, ADS) translate to and from this; they decide nothing.

mod adoption;
mod api_tokens;
mod assignments;
mod audit;
#[cfg(test)]
mod audit_tests;
mod certificates;
mod changes;
mod content;
mod dry_run;
mod edit;
mod events;
mod forgetting;
mod health;
#[cfg(test)]
mod history_tests;
mod import;
mod invitations;
mod kept;
mod licence;
mod listeners;
mod loads;
mod mappings;
mod node_groups;
mod node_reports;
mod node_tokens;
mod nodes;
mod preview;
mod proxies;
mod proxy_config;
mod rollback;
#[cfg(test)]
mod rollback_tests;
mod rollout;
mod routes;
mod search;
mod second_factor;
mod services;
mod setup;
mod shown;
mod sign_in;
mod sign_in_limit;
mod snapshots;
mod step;
mod sync;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod users;
mod xds_stats;

use std::sync::Arc;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use marchproxy_xds::Clients;
use tokio::sync::watch;

use crate::auth::{Actor, Keys, NodeAccess, Operation, Passwords, Scope, Sealer, Tokens};
use crate::error::Result;
use crate::events::EventLog;
use crate::hub::Hub;
use crate::licence::{LicenceSettings, Licensing};
use crate::loads::Loads;
use crate::model::NodeGroupId;
use crate::nodes::Nodes;
use crate::publish::Nudge;
use crate::secret_stores::SecretStores;
use crate::store::{Store, Tx};

use self::dry_run::Mode;
use self::edit::{Edit, check_revision};
use self::kept::{Compiled, compiled, record};
use self::node_reports::NodeReports;
use self::step::Done;

pub use certificates::{BatchItem, BatchOutcome, CertificateQuery, NewCertificate};
pub use changes::{
    Applied, ChangeReader, Changes, Made, NewChange, ReadChange, UploadedCertificate,
};
pub use content::{Content, ContentCertificate, ContentRoute};
pub use edit::{By, Change};
pub use events::EventRetention;
pub use health::Health;
pub use import::{Import, ImportReport, Remark};
pub use invitations::Registration;
pub use kept::Retention;
pub use listeners::NewListener;
pub use loads::{LoadAdmission, LoadRate, LoadWatcher};
pub use mappings::NewMapping;
pub use node_groups::CountedGroup;
pub use node_tokens::NewNodeToken;
pub use nodes::{Admission, Identity, Watcher};
pub use preview::{Preview, PreviewDiff, Problem, ReachedNode};
pub use proxy_config::{ProxyConfig, ServiceConfig};
pub use rollback::Rollback;
pub use rollout::{NodeProgress, Outcome, Progress, Quorum, WaitFor};
pub use routes::NewRoute;
pub use search::Found;
pub use second_factor::SecondFactorOffer;
pub use services::{NewService, Served, envoy_cluster};
pub use setup::{FirstAdmin, Setup};
pub use sign_in::{Authenticated, Credentials, SignIn, SignedIn};
pub use sign_in_limit::SignInLimit;
pub use snapshots::{ChangedItem, ShownItem};
pub use sync::{ResourceSync, rank};
pub use users::{NewUser, Removal};
pub use xds_stats::{Standing, XdsStats};

/// The control plane's state and operations; cheap to clone.
#[derive(Clone, Debug)]
pub struct App(Arc<Parts>, Mode);

#[derive(Debug)]
struct Parts {
    store: Store,
    hub: Arc<Hub>,
    nodes: Arc<Nodes>,
    /// The streams of nodes, to be asked how they stand.
    clients: Clients,
    loads: Arc<Loads>,
    nudge: Nudge,
    events: Arc<EventLog>,
    reports: Arc<NodeReports>,
    tokens: Tokens,
    sealer: Arc<Sealer>,
    passwords: Passwords,
    access: NodeAccess,
    licensing: Licensing,
    stores: SecretStores,
    /// Says that accounts have changed: whoever stays connected looks again.
    accounts: watch::Sender<()>,
    /// How often somebody may fail to sign in; as often as they like if not said.
    sign_ins: Option<SignInLimit>,
    retention: Retention,
    /// The group that is meant where none is named. It cannot be deleted.
    default_group: NodeGroupId,
}

/// What lets in, what keeps out, and what is fetched from elsewhere.
#[derive(Debug)]
pub struct Gates {
    /// What nodes have to prove.
    pub nodes: NodeAccess,
    /// What the licence allows.
    pub licence: Licensing,
    /// How often somebody may fail to sign in; as often as they like if not said.
    pub sign_ins: Option<SignInLimit>,
    /// Where certificates are fetched from.
    pub stores: SecretStores,
}

impl Gates {
    /// Asks nodes for what `nodes` says, and nobody for a licence; and counts no
    /// attempts to sign in.
    pub fn without_licence(nodes: NodeAccess) -> Self {
        let licence = Licensing::new(LicenceSettings::not_enforced());
        Self { nodes, licence, sign_ins: None, stores: SecretStores::default() }
    }
}

/// What the start made sure of.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// The group that is meant where none is named.
    pub default_group: NodeGroupId,
    /// How much history is kept.
    pub retention: Retention,
}

impl App {
    /// Puts the parts together.
    pub fn new(
        store: Store,
        hub: Arc<Hub>,
        nodes: Arc<Nodes>,
        nudge: Nudge,
        keys: Keys,
        gates: Gates,
        ground: Ground,
    ) -> Self {
        let (loads, passwords) = (Loads::new(), Passwords::default());
        let events = EventLog::new(store.clone());
        let reports = NodeReports::new(events.instance());
        let accounts = watch::Sender::new(());
        let Ground { default_group, retention } = ground;
        let parts = Parts {
            store,
            hub,
            nodes,
            clients: Clients::default(),
            loads,
            nudge,
            events,
            reports,
            tokens: keys.tokens,
            sealer: keys.sealer,
            passwords,
            access: gates.nodes,
            licensing: gates.licence,
            stores: gates.stores,
            accounts,
            sign_ins: gates.sign_ins,
            retention,
            default_group,
        };
        Self(Arc::new(parts), Mode::Real)
    }

    /// The group that is meant where none is named.
    pub fn default_group(&self) -> NodeGroupId {
        self.0.default_group
    }

    /// Whether `actor` may ask for things by their ids. What they are given of each is
    /// decided where it is read.
    pub fn may_read_by_id(&self, actor: &Actor) -> Result<()> {
        actor.may(Operation::ReadById, Scope::Everywhere)
    }

    /// A transaction for what `operation` reads of `scope`.
    async fn look(
        &self,
        actor: &Actor,
        operation: Operation,
        scope: impl Into<Scope>,
    ) -> Result<Tx> {
        actor.may(operation, scope)?;
        self.0.store.read().await
    }
}

/// The present, to the microsecond, as every database keeps it.
fn now() -> DateTime<Utc> {
    let now = Utc::now();
    now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
}
