//! What the objects of one request refer to, read in batches.
//!
//! All objects of a page ask for what they refer to in the same turn of their
//! request. The first of them that comes to its next turn reads what all have asked
//! for; so how many statements a page takes does not depend on how long it is, and
//! nobody waits for a timer.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest,
};
use async_graphql::{Context, Request, ServerResult, async_trait};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::task::{unconstrained, yield_now};

use super::app_and_actor;
use super::certificates::CertificateObject;
use super::listeners::ListenerObject;
use super::mappings::MappingObject;
use super::node_groups::NodeGroupObject;
use super::proxies::ProxyObject;
use super::routes::RouteObject;
use super::services::ServiceObject;
use super::snapshots::SnapshotObject;
use super::users::UserObject;
use crate::compile::blame::Nouns;
use crate::error::{Error, Result};
use crate::model::{
    Certificate, CertificateId, Listener, ListenerId, Mapping, MappingId, NodeGroup, NodeGroupId,
    Proxy, ProxyId, Route, RouteId, Service, ServiceId, SnapshotId, SnapshotRecord, User, UserId,
};

/// In how many turns nobody has come when all have. More than one: whoever has read for
/// the others may be woken by the database once more, and have a turn before them.
const QUIET: u8 = 2;

/// The loaders of one request.
#[derive(Default)]
pub(super) struct Loaders {
    groups: Batch<NodeGroupId, NodeGroup>,
    services: Batch<ServiceId, Service>,
    listeners: Batch<ListenerId, Listener>,
    certificates: Batch<CertificateId, Certificate>,
    routes: Batch<RouteId, Route>,
    mappings: Batch<MappingId, Mapping>,
    proxies: Batch<ProxyId, Proxy>,
    snapshots: Batch<SnapshotId, SnapshotRecord>,
    users: Batch<UserId, User>,
    nouns: Batch<NodeGroupId, Arc<Nouns>>,
}

/// Gives each request loaders of its own.
pub(super) struct Loading;

impl ExtensionFactory for Loading {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Loading {
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        next.run(ctx, request.data(Loaders::default())).await
    }
}

/// What is asked for and not read yet. Nothing is kept: who asks later is told what is
/// true then.
struct Batch<K, V>(Mutex<Vec<(K, oneshot::Sender<Answer<V>>)>>);

type Answer<V> = Result<Option<V>, Arc<Error>>;

impl<K, V> Default for Batch<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Copy + Eq + Hash + Ord, V: Clone> Batch<K, V> {
    /// What `key` stands for, if there is such a thing. `read` is called for all that
    /// ask in the same turn.
    async fn load(
        &self,
        key: K,
        read: impl AsyncFnOnce(Vec<K>) -> Result<HashMap<K, V>>,
    ) -> Result<Option<V>> {
        let (sender, answer) = oneshot::channel();
        let mut seen = {
            let mut waiting = self.0.lock();
            waiting.push((key, sender));
            waiting.len()
        };
        let mut quiet = 0;
        let asked = loop {
            yield_now().await; // until everything that can go on in this request has
            let mut waiting = self.0.lock();
            // Nothing is left if another one was first. As long as more come, they are
            // waited for: a request with much to do takes several turns for it.
            quiet = if waiting.len() == seen { quiet + 1 } else { 0 };
            if waiting.is_empty() || quiet == QUIET {
                break std::mem::take(&mut *waiting);
            }
            seen = waiting.len();
        };
        if !asked.is_empty() {
            let keys: BTreeSet<K> = asked.iter().map(|(key, _)| *key).collect();
            let found = read(keys.into_iter().collect()).await.map_err(Arc::new);
            for (key, sender) in asked {
                let answer = match &found {
                    Ok(found) => Ok(found.get(&key).cloned()),
                    Err(error) => Err(Arc::clone(error)),
                };
                sender.send(answer).ok(); // who asked may have gone
            }
        }
        // All go on in the same turn: tokio would send some of many to the next one. Whoever
        // reads for the others goes only with the whole request.
        unconstrained(answer).await.map_err(Error::internal)?.map_err(Error::shared)
    }
}

fn loaders<'a>(ctx: &Context<'a>) -> &'a Loaders {
    ctx.data_opt::<Loaders>().expect("each request is given them")
}

fn by_key<K: Eq + Hash, V>(all: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, V> {
    all.into_iter().map(|one| (key(&one), one)).collect()
}

/// The node group of this id, if there is one that the actor may see.
pub(super) async fn find_node_group(
    ctx: &Context<'_>,
    id: NodeGroupId,
) -> Result<Option<NodeGroupObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |ids: Vec<_>| {
        Ok(by_key(app.node_groups_by_id(actor, &ids).await?, |one: &NodeGroup| one.id))
    };
    Ok(loaders(ctx).groups.load(id, read).await?.map(NodeGroupObject))
}

/// The service of this id, if there is one that the actor may see.
pub(super) async fn find_service(
    ctx: &Context<'_>,
    id: ServiceId,
) -> Result<Option<ServiceObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |ids: Vec<_>| {
        Ok(by_key(app.services_by_id(actor, &ids).await?, |one: &Service| one.id))
    };
    Ok(loaders(ctx).services.load(id, read).await?.map(ServiceObject))
}

/// The listener of this id, if there is one that the actor may see.
pub(super) async fn find_listener(
    ctx: &Context<'_>,
    id: ListenerId,
) -> Result<Option<ListenerObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |ids: Vec<_>| {
        Ok(by_key(app.listeners_by_id(actor, &ids).await?, |one: &Listener| one.id))
    };
    Ok(loaders(ctx).listeners.load(id, read).await?.map(ListenerObject))
}

/// The certificate of this id, if there is one that the actor may see.
pub(super) async fn find_certificate(
    ctx: &Context<'_>,
    id: CertificateId,
) -> Result<Option<CertificateObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |ids: Vec<_>| {
        Ok(by_key(app.certificates_by_id(actor, &ids).await?, |one: &Certificate| one.id))
    };
    Ok(loaders(ctx).certificates.load(id, read).await?.map(CertificateObject))
}

/// The route of this id, if there is one that the actor may see.
pub(super) async fn find_route(ctx: &Context<'_>, id: RouteId) -> Result<Option<RouteObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read =
        async |ids: Vec<_>| Ok(by_key(app.routes_by_id(actor, &ids).await?, |one: &Route| one.id));
    Ok(loaders(ctx).routes.load(id, read).await?.map(RouteObject))
}

/// The mapping of this id, if there is one that the actor may see.
pub(super) async fn find_mapping(
    ctx: &Context<'_>,
    id: MappingId,
) -> Result<Option<MappingObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |ids: Vec<_>| {
        Ok(by_key(app.mappings_by_id(actor, &ids).await?, |one: &Mapping| one.id))
    };
    Ok(loaders(ctx).mappings.load(id, read).await?.map(MappingObject))
}

/// The proxy of this id, if there is one that the actor may see.
pub(super) async fn find_proxy(ctx: &Context<'_>, id: ProxyId) -> Result<Option<ProxyObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read =
        async |ids: Vec<_>| Ok(by_key(app.proxies_by_id(actor, &ids).await?, |one: &Proxy| one.id));
    Ok(loaders(ctx).proxies.load(id, read).await?.map(ProxyObject))
}

/// The snapshot of this id, if there is one that the actor may see.
pub(super) async fn find_snapshot(
    ctx: &Context<'_>,
    id: SnapshotId,
) -> Result<Option<SnapshotObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |ids: Vec<_>| {
        Ok(by_key(app.snapshots_by_id(actor, &ids).await?, |one: &SnapshotRecord| one.id))
    };
    Ok(loaders(ctx).snapshots.load(id, read).await?.map(SnapshotObject))
}

/// The user of this id, if there is one that the actor may see.
pub(super) async fn find_user(ctx: &Context<'_>, id: UserId) -> Result<Option<UserObject>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read =
        async |ids: Vec<_>| Ok(by_key(app.users_by_id(actor, &ids).await?, |one: &User| one.id));
    Ok(loaders(ctx).users.load(id, read).await?.map(UserObject))
}

/// The node group of this id.
pub(super) async fn node_group(ctx: &Context<'_>, id: NodeGroupId) -> Result<NodeGroupObject> {
    let (app, actor) = app_and_actor(ctx)?;
    app.may_read_node_group(actor, id)?;
    find_node_group(ctx, id).await?.ok_or_else(|| Error::not_found("node group", id))
}

/// The service of this id.
pub(super) async fn service(ctx: &Context<'_>, id: ServiceId) -> Result<ServiceObject> {
    find_service(ctx, id).await?.ok_or_else(|| Error::not_found("service", id))
}

/// The listener of this id.
pub(super) async fn listener(ctx: &Context<'_>, id: ListenerId) -> Result<ListenerObject> {
    find_listener(ctx, id).await?.ok_or_else(|| Error::not_found("listener", id))
}

/// The certificate of this id.
pub(super) async fn certificate(ctx: &Context<'_>, id: CertificateId) -> Result<CertificateObject> {
    find_certificate(ctx, id).await?.ok_or_else(|| Error::not_found("certificate", id))
}

/// What the resources of a group are called by.
pub(super) async fn nouns(ctx: &Context<'_>, group: NodeGroupId) -> Result<Arc<Nouns>> {
    let (app, actor) = app_and_actor(ctx)?;
    let read = async |groups: Vec<NodeGroupId>| {
        let mut found = HashMap::new();
        for group in groups {
            found.insert(group, Arc::new(app.nouns(actor, group).await?));
        }
        Ok(found)
    };
    Ok(loaders(ctx).nouns.load(group, read).await?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_in_one_turn_is_read_at_once() {
        let batch = Batch::<i32, String>::default();
        let reads = AtomicUsize::new(0);
        let read = async |keys: Vec<i32>| {
            reads.fetch_add(1, Ordering::Relaxed);
            assert!(keys.is_sorted());
            yield_now().await;
            Ok(keys
                .into_iter()
                .filter(|key| key % 2 == 0)
                .map(|key| (key, key.to_string()))
                .collect())
        };
        for (many, want) in [(1, 1), (1000, 2)] {
            let asked = (0..many).map(|n| batch.load(n % 100, &read));
            let found: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
            assert_eq!(reads.load(Ordering::Relaxed), want);
            for (n, found) in (0..many).zip(found) {
                assert_eq!(found, (n % 2 == 0).then(|| (n % 100).to_string()));
            }
        }
    }

    #[tokio::test]
    async fn who_is_woken_for_nothing_waits_for_the_others() {
        let (first, second) = (Batch::<i32, i32>::default(), Batch::<i32, i32>::default());
        let reads = AtomicUsize::new(0);
        let read = async |keys: Vec<i32>| {
            reads.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
            // As a database does that says more than one waits for.
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::Ready(())
            })
            .await;
            Ok(keys.into_iter().map(|key| (key, key)).collect())
        };
        let asked = (0..100).map(async |n| {
            let found = first.load(n, &read).await?.unwrap();
            second.load(found, &read).await
        });
        let found: Vec<_> = join_all(asked).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(found, (0..100).map(Some).collect::<Vec<_>>());
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn everybody_is_told_that_it_failed() {
        let batch = Batch::<i32, String>::default();
        let read = async |_| Err(Error::Forbidden);
        let answers = join_all((0..3).map(|n| batch.load(n, read))).await;
        assert!(
            answers.iter().all(|answer| matches!(answer, Err(Error::Forbidden))),
            "{answers:?}"
        );
    }
}
