//! Proxies that register over REST, with their group's key.
//!
//! They are no part of what nodes are given, so no revision grows.

use std::time::Duration;

use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::audit::{Act, Note};
use super::{App, now};
use crate::auth::{Actor, Operation, PresentedToken, Scope, SecretKind};
use crate::error::{Error, Result};
use crate::model::{
    ConfigVersion, Heartbeat, Metrics, NodeGroup, NodeGroupId, Proxy, ProxyId, ProxySpec,
    ProxyStatus, Report,
};
use crate::model::{Listed, Page, Window};
use crate::store::Tx;

/// How often it is looked which proxies have not been heard of.
const TICK: Duration = Duration::from_secs(15);

impl App {
    /// A group's proxies.
    pub async fn proxies(
        &self,
        actor: &Actor,
        group: NodeGroupId,
        page: Page,
    ) -> Result<Vec<Proxy>> {
        let tx = self.look(actor, Operation::ReadProxy, group).await?;
        tx.proxies(group, page).await
    }

    /// A window on the proxies of a group, or of all that `actor` may look at.
    pub async fn list_proxies(
        &self,
        actor: &Actor,
        group: Option<NodeGroupId>,
        window: Window,
    ) -> Result<Listed<Proxy>> {
        let tx = self.look(actor, Operation::ListProxies, Scope::Everywhere).await?;
        tx.list_proxies(group, actor.seen_groups().as_deref(), window).await
    }

    /// One proxy.
    pub async fn proxy(&self, actor: &Actor, id: ProxyId) -> Result<Proxy> {
        let tx = self.0.store.read().await?;
        seen_proxy(&tx, actor, Operation::ReadProxy, id).await
    }

    /// Those of these proxies that there are and `actor` may see, in any order.
    pub async fn proxies_by_id(&self, actor: &Actor, ids: &[ProxyId]) -> Result<Vec<Proxy>> {
        let mut proxies = self.0.store.read().await?.proxies_by_id(ids).await?;
        proxies.retain(|proxy| actor.sees_group(proxy.group));
        proxies.retain(|proxy| actor.may(Operation::ReadProxy, proxy.group).is_ok());
        Ok(proxies)
    }

    /// A proxy and what it measured, the latest first.
    pub async fn proxy_metrics(
        &self,
        actor: &Actor,
        id: ProxyId,
        limit: u64,
    ) -> Result<(Proxy, Vec<Report>)> {
        let tx = self.0.store.read().await?;
        let proxy = seen_proxy(&tx, actor, Operation::ReadProxy, id).await?;
        let reports = tx.metrics(id, limit).await?;
        Ok((proxy, reports))
    }

    /// Takes a proxy to be offline, until it is heard of again.
    #[tracing::instrument(skip_all, fields(proxy.id = %id))]
    pub async fn retire_proxy(&self, actor: &Actor, id: ProxyId) -> Result<Proxy> {
        let operation = Operation::RetireProxy;
        let tx = self.write().await?;
        let before = seen_proxy(&tx, actor, operation, id).await?;
        let seen = before.last_seen.unwrap_or(before.registered_at);
        let proxy = tx.set_proxy_status(id, ProxyStatus::Offline, seen).await?;
        let act = Act { tx, actor, operation, now: now() };
        let note = Note::changed(&before, &proxy);
        act.done(format!("retire proxy {}", proxy.spec.name), note).await?;
        Ok(proxy)
    }

    /// Registers a proxy in the group whose key it has; by its name it may be one
    /// that has registered before. `ProxyLimit` if the group has enough of them.
    #[tracing::instrument(skip_all, fields(proxy.name = %spec.name))]
    pub async fn register_proxy(&self, key: PresentedToken, spec: ProxySpec) -> Result<Proxy> {
        let tx = self.write().await?;
        let (group, now) = (group_of(&tx, key).await?, now());
        tx.lock_node_group(group.id).await?;
        let known = tx.find_proxy(group.id, spec.name.as_str()).await?;
        let proxy = match known {
            Some(known) => {
                self.check_comes_back(&tx, &group, &known).await?;
                tx.update_proxy(known.id, &spec, now).await?
            }
            None => {
                self.check_room(&tx, &group).await?;
                tx.insert_proxy(group.id, &spec, now).await?
            }
        };
        tx.commit().await?;
        tracing::info!(node_group.id = %group.id, proxy.id = %proxy.id, "a proxy registered");
        Ok(proxy)
    }

    /// Notes that a proxy of the key's group is well, and what it measured.
    pub async fn heartbeat(&self, key: PresentedToken, beat: Heartbeat) -> Result<Proxy> {
        let tx = self.write().await?;
        let (group, now) = (group_of(&tx, key).await?, now());
        let known = proxy_of(&tx, &group, beat.proxy).await?;
        if beat.status != ProxyStatus::Offline {
            self.check_comes_back(&tx, &group, &known).await?;
        }
        let mut proxy = tx.set_proxy_status(beat.proxy, beat.status, now).await?;
        if let Some(version) =
            beat.config_version.filter(|v| known.config_version.as_ref() != Some(v))
        {
            proxy = tx.set_proxy_config(beat.proxy, &version, now).await?;
        }
        if let Some(metrics) = beat.metrics {
            tx.insert_metrics(beat.proxy, &metrics, now).await?;
        }
        tx.commit().await?;
        Ok(proxy)
    }

    /// Keeps what a proxy of the key's group measured.
    pub async fn report_metrics(
        &self,
        key: PresentedToken,
        id: ProxyId,
        metrics: Metrics,
    ) -> Result<()> {
        let tx = self.write().await?;
        let group = group_of(&tx, key).await?;
        let proxy = proxy_of(&tx, &group, id).await?;
        tx.insert_metrics(proxy.id, &metrics, now()).await?;
        tx.commit().await
    }

    /// Notes which configuration a proxy of the key's group has fetched.
    pub async fn note_config_fetch(
        &self,
        key: PresentedToken,
        id: ProxyId,
        version: &ConfigVersion,
    ) -> Result<()> {
        let tx = self.write().await?;
        let group = group_of(&tx, key).await?;
        proxy_of(&tx, &group, id).await?;
        tx.set_proxy_config(id, version, now()).await?;
        tx.commit().await
    }

    /// Takes proxies that are not heard of to be in trouble, and then offline,
    /// until `stop`.
    pub async fn watch_proxies(&self, stop: CancellationToken) {
        let mut tick = time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            match self.mark_stale_proxies().await {
                Ok(0) => {}
                Ok(marked) => tracing::warn!(marked, "proxies have not been heard of"),
                Err(e) => {
                    let error = &e as &dyn std::error::Error;
                    tracing::error!(error, "cannot look for proxies that are not heard of");
                }
            }
        }
    }

    async fn mark_stale_proxies(&self) -> Result<u64> {
        let tx = self.write().await?;
        let marked = tx.mark_stale_proxies(now()).await?;
        tx.commit().await?;
        Ok(marked)
    }

    /// Checks that a proxy which was offline finds room.
    async fn check_comes_back(&self, tx: &Tx, group: &NodeGroup, known: &Proxy) -> Result<()> {
        match known.status {
            ProxyStatus::Offline => {
                tx.lock_node_group(group.id).await?;
                self.check_room(tx, group).await
            }
            ProxyStatus::Pending | ProxyStatus::Active | ProxyStatus::Degraded => Ok(()),
        }
    }

    async fn check_room(&self, tx: &Tx, group: &NodeGroup) -> Result<()> {
        let licence = self.licence_status().licence;
        let room = group.spec.max_proxies.get();
        let most = licence.most_proxies.map_or(room, |licensed| licensed.min(room));
        if tx.count_proxies(group.id).await? < most {
            return Ok(());
        }
        let licensed = licence.most_proxies.map_or("unlimited".to_owned(), |n| n.to_string());
        Err(Error::ProxyLimit(format!(
            "proxy limit reached ({most}). License tier: {}, max proxies: {licensed}",
            licence.tier
        )))
    }
}

/// The active group that a key is of; `UnprovenNode` if there is none.
pub(super) async fn group_of(tx: &Tx, key: PresentedToken) -> Result<NodeGroup> {
    const UNKNOWN: Error = Error::UnprovenNode("this is no active group's key");
    let group = match key.kind {
        SecretKind::GroupKey => tx.find_node_group_of_key(key.hash).await?.ok_or(UNKNOWN)?,
        SecretKind::NodeToken => return Err(UNKNOWN),
    };
    let group = tx.node_group(group).await?;
    if group.spec.is_active { Ok(group) } else { Err(UNKNOWN) }
}

/// A proxy that `actor` may do this with; one that they may not look at is
/// `NotFound`.
async fn seen_proxy(tx: &Tx, actor: &Actor, operation: Operation, id: ProxyId) -> Result<Proxy> {
    let proxy = tx.proxy(id).await?;
    if !actor.sees_group(proxy.group) {
        return Err(Error::not_found("proxy", id));
    }
    actor.may(operation, proxy.group)?;
    Ok(proxy)
}

/// A group's proxy; another's is `NotFound`.
async fn proxy_of(tx: &Tx, group: &NodeGroup, id: ProxyId) -> Result<Proxy> {
    let proxy = tx.proxy(id).await?;
    if proxy.group == group.id { Ok(proxy) } else { Err(Error::not_found("proxy", id)) }
}
