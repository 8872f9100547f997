//! The first start: a group to put services in, and somebody to sign in.

use rand::Rng as _;
use rand::distr::Alphanumeric;
use secrecy::SecretString;

use super::{now, record};
use crate::auth::password;
use crate::error::Result;
use crate::model::{ListenerProtocol, ListenerSpec, NodeGroupId, NodeGroupSpec, Role, Username};
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
}

impl Setup {
    /// Makes sure that there are a default group and a user.
    pub async fn run(store: &Store, admin: FirstAdmin) -> Result<Self> {
        let tx = store.write().await?;
        let default_group = match tx.find_default_node_group().await? {
            Some(group) => group.id,
            None => first_group(&tx).await?,
        };
        let mut made_up = None;
        if tx.count_users().await? == 0 {
            let password = admin.password.unwrap_or_else(|| {
                let password = random_password();
                made_up = Some((admin.username.clone(), password.clone()));
                password
            });
            let hash = password::hash(password).await?;
            tx.insert_user(&admin.username, &hash, Role::Admin, now()).await?;
        }
        tx.commit().await?;
        Ok(Self { default_group, made_up })
    }
}

async fn first_group(tx: &Tx) -> Result<NodeGroupId> {
    let name = NodeGroupSpec::DEFAULT_NAME.to_owned();
    let spec = NodeGroupSpec {
        name: name.try_into().expect("a good name"),
        description: String::new(),
        runtime: Default::default(),
    };
    let group = tx.insert_node_group(&spec, true, now()).await?.id;
    tx.bump_revision(group).await?;
    tx.insert_listener(group, &default_listener(), true, now()).await?;
    record(tx, group, "first start".to_owned(), None, now()).await?;
    Ok(group)
}

/// The listener that each group has from the start.
pub(super) fn default_listener() -> ListenerSpec {
    ListenerSpec {
        name: ListenerSpec::DEFAULT_NAME.to_owned().try_into().expect("a good name"),
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        port: ListenerSpec::DEFAULT_PORT.try_into().expect("a good port"),
        protocol: ListenerProtocol::Http,
    }
}

/// 20 letters and digits: 119 bits.
fn random_password() -> SecretString {
    let password: String = rand::rng().sample_iter(Alphanumeric).take(20).map(char::from).collect();
    password.into()
}
