//! What is said of a node group, into domain types.

use std::collections::BTreeMap;

use async_graphql::{ID, InputObject, MaybeUndefined};

use crate::graphql::global_id::GlobalId as _;
use crate::graphql::parse::{number, replaced, text};
use crate::model::{
    At as _, Invalid, NodeGroupChange, NodeGroupId, NodeGroupSpec, RuntimeKey, RuntimeValue,
};

const MOST_SETTINGS: usize = 256;

/// A runtime setting of the group's Envoys, for instance
/// `upstream.healthy_panic_threshold` and `50`.
#[derive(InputObject)]
pub(in crate::graphql) struct RuntimeSettingInput {
    /// What is set.
    key: String,
    /// `true`, `false`, a number, or any other text.
    value: String,
}

/// What the group's registered proxies log; what is left out stays, or is as usual.
#[derive(InputObject)]
pub(in crate::graphql) struct LoggingInput {
    /// The syslog server, as in `syslog.internal:514`. Null: none.
    syslog_endpoint: MaybeUndefined<String>,
    /// Who proved themselves, and who could not; true if not said.
    auth: Option<bool>,
    /// Which connections there were; true if not said.
    netflow: Option<bool>,
    /// Whatever helps to find out what is wrong; false if not said.
    debug: Option<bool>,
}

/// A node group to be made.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateNodeGroupInput {
    /// Unique; an Envoy whose `node.cluster` is this belongs to the group.
    name: String,
    /// What it is for.
    #[graphql(default)]
    description: String,
    /// What its Envoys' runtime is set to.
    #[graphql(default)]
    runtime: Vec<RuntimeSettingInput>,
    /// What its proxies log.
    logging: Option<LoggingInput>,
    /// How many proxies may be registered at once.
    #[graphql(default = 3)]
    max_proxies: i64,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateNodeGroupInput {
    /// The node group.
    pub(super) id: ID,
    /// The `settingsRevision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// Unique.
    name: Option<String>,
    /// What it is for.
    description: Option<String>,
    /// Takes the place of all settings.
    runtime: Option<Vec<RuntimeSettingInput>>,
    /// What its proxies log.
    logging: Option<LoggingInput>,
    /// How many proxies may be registered at once.
    max_proxies: Option<i64>,
    /// False gives the group's Envoys nothing to serve, and makes its key good for
    /// nothing over REST. The default group stays active.
    is_active: Option<bool>,
}

impl CreateNodeGroupInput {
    pub(super) fn parse(self) -> Result<NodeGroupSpec, Invalid> {
        let logging = self.logging.map(LoggingInput::parse).transpose()?.unwrap_or_default();
        let change = NodeGroupChange {
            description: Some(text(self.description, "description")?),
            runtime: Some(runtime(self.runtime)?),
            max_proxies: Some(number(self.max_proxies).at("maxProxies")?),
            ..logging
        };
        Ok(NodeGroupSpec::named(self.name.try_into().at("name")?).changed(change))
    }
}

impl UpdateNodeGroupInput {
    pub(super) fn parse(self) -> Result<(NodeGroupId, NodeGroupChange), Invalid> {
        let logging = self.logging.map(LoggingInput::parse).transpose()?.unwrap_or_default();
        let change = NodeGroupChange {
            if_revision: Some(self.if_revision.into()),
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            description: self.description.map(|d| text(d, "description")).transpose()?,
            runtime: self.runtime.map(runtime).transpose()?,
            max_proxies: self.max_proxies.map(|n| number(n).at("maxProxies")).transpose()?,
            is_active: self.is_active,
            ..logging
        };
        Ok((NodeGroupId::parse(&self.id, "id")?, change))
    }
}

impl LoggingInput {
    /// As a change of what is named.
    fn parse(self) -> Result<NodeGroupChange, Invalid> {
        let endpoint = replaced(self.syslog_endpoint, |e| e.try_into().at("syslogEndpoint"));
        Ok(NodeGroupChange {
            syslog_endpoint: endpoint.map_err(|e| e.within("logging"))?,
            log_auth: self.auth,
            log_netflow: self.netflow,
            log_debug: self.debug,
            ..Default::default()
        })
    }
}

fn runtime(
    settings: Vec<RuntimeSettingInput>,
) -> Result<BTreeMap<RuntimeKey, RuntimeValue>, Invalid> {
    if settings.len() > MOST_SETTINGS {
        return Err(Invalid::new("runtime", format!("at most {MOST_SETTINGS} settings")));
    }
    let mut runtime = BTreeMap::new();
    for (i, setting) in settings.into_iter().enumerate() {
        let at = |e: Invalid| e.within(i).within("runtime");
        let key = RuntimeKey(setting.key.try_into().at("key").map_err(at)?);
        let value = RuntimeValue::parse(&text(setting.value, "value").map_err(at)?);
        if runtime.insert(key, value).is_some() {
            return Err(at(Invalid::new("key", "stands here twice")));
        }
    }
    Ok(runtime)
}
