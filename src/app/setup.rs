//! The first start: a group to put services in, and somebody to sign in.

use rand::Rng as _;
use rand::distr::Alphanumeric;
use secrecy::SecretString;

use super::{Compiled, Retention, compiled, now, record};
use crate::auth::{Passwords, Sealer};
use crate::error::{Error, Result};
use crate::model::Labels;
use crate::model::{
    ListenerProtocol, ListenerSpec, NodeGroupId, NodeGroupSpec, Page, Role, UserSpec, Username,
};
use crate::store::{Store, Tx};

/// Who is to be the administrator if there is no user yet.
#[derive(Debug)]
pub struct FirstAdmin {
    /// What they sign in with.
    pub username: Username,
    /// Their password; one is made up if there is none.
    pub password: Option<SecretString>,
}

/// What the start found or made.
#[derive(Debug)]
pub struct Setup {
    /// The group that is meant where none is named.
    pub default_group: NodeGroupId,
    /// The administrator's name and made-up password; to be shown this once.
    pub made_up: Option<(Username, SecretString)>,
    /// Whether there is no user: whoever registers first is the administrator.
    pub is_open: bool,
}

impl Setup {
    /// Makes sure that there are a default group and a user, once, however many
    /// instances start at a time; and that history has what proxies are about to be
    /// given. Without `admin` no user is made: the first one registers.
    pub async fn run(
        store: &Store,
        admin: impl Into<Option<FirstAdmin>>,
        retention: Retention,
        sealer: &Sealer,
    ) -> Result<Self> {
        let tx = store.write_alone().await?;
        let default_group = match tx.find_default_node_group().await? {
            Some(group) => group.id,
            None => first_group(&tx, retention, sealer).await?,
        };
        let is_empty = tx.count_users().await? == 0;
        let (made_up, is_open) = match admin.into().filter(|_| is_empty) {
            Some(admin) => (first_user(&tx, admin).await?, false),
            None => (None, is_empty),
        };
        let groups = tx.node_groups(Page::ALL).await?;
        tx.commit().await?;
        for group in groups {
            match catch_up(store, group.id, retention, sealer).await {
                // One group's trouble is not another's, nor is it that of the start.
                Err(error @ Error::Invalid(_)) => {
                    tracing::error!(node_group.id = %group.id, %error, "does not compile any more");
                }
                caught_up => caught_up?,
            }
        }
        Ok(Self { default_group, made_up, is_open })
    }
}

/// Makes the administrator; their name and password if that is made up.
async fn first_user(tx: &Tx, admin: FirstAdmin) -> Result<Option<(Username, SecretString)>> {
    let mut made_up = None;
    let password = admin.password.unwrap_or_else(|| {
        let password = random_password();
        made_up = Some((admin.username.clone(), password.clone()));
        password
    });
    let hash = Passwords::default().hash(password).await?;
    let spec = UserSpec {
        username: admin.username,
        email: None,
        first_name: None,
        last_name: None,
        role: Role::Admin,
        is_active: true,
        is_verified: true,
    };
    tx.insert_user(&spec, &hash, now()).await?;
    Ok(made_up)
}

async fn first_group(tx: &Tx, retention: Retention, sealer: &Sealer) -> Result<NodeGroupId> {
    let name = NodeGroupSpec::DEFAULT_NAME.to_owned();
    let spec = NodeGroupSpec::named(name.try_into().expect("a good name"));
    let group = tx.insert_node_group(&spec, true, None, now()).await?.id;
    tx.bump_revision(group).await?;
    tx.insert_listener(group, &default_listener(), true, now()).await?;
    record(tx, group, "first start".to_owned(), None, now(), retention, sealer).await?;
    Ok(group)
}

/// Keeps what this program makes of a group, if that is not what history has.
///
/// Another release may compile the same to other resources: that is a new
/// revision. One from before history kept resources has its own completed.
async fn catch_up(
    store: &Store,
    group: NodeGroupId,
    retention: Retention,
    sealer: &Sealer,
) -> Result<()> {
    let tx = store.write_alone().await?;
    let state = sealer.open_keys(tx.desired_state(group).await?);
    let revision = state.group.revision;
    let Compiled { snapshot, items, .. } = compiled(state).await??;
    let newest = tx.snapshots(group, None, 1).await?.into_iter().next();
    match newest.filter(|newest| *newest.version == **snapshot.digest()) {
        Some(newest) if newest.revision == revision => tx.keep(group, revision, items).await?,
        Some(_) | None => {
            tx.bump_revision(group).await?;
            let cause = format!("compiled by version {}", env!("CARGO_PKG_VERSION"));
            record(&tx, group, cause, None, now(), retention, sealer).await?;
        }
    }
    tx.commit().await
}

/// The listener that each group has from the start.
pub(super) fn default_listener() -> ListenerSpec {
    ListenerSpec {
        labels: Labels::NONE,
        name: ListenerSpec::DEFAULT_NAME.to_owned().try_into().expect("a good name"),
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        port: ListenerSpec::DEFAULT_PORT.try_into().expect("a good port"),
        protocol: ListenerProtocol::Http,
        certificate: None,
    }
}

/// 20 letters and digits: 119 bits.
fn random_password() -> SecretString {
    let password: String = rand::rng().sample_iter(Alphanumeric).take(20).map(char::from).collect();
    password.into()
}
