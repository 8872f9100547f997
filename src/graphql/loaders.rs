//! Data loaders: what many objects of a page refer to is read once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};

use crate::app::App;
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::model::{Listener, ListenerId, Service, ServiceId};

/// The loader of every type. It keeps nothing, so that one serves every
/// request; a key carries who asks.
pub(super) struct Loaders(pub(super) DataLoader<ByActor>);

/// Loads for whoever asks.
pub(super) struct ByActor(App);

/// A key, and who asks for it.
#[derive(Clone)]
pub(super) struct Asked<K> {
    pub(super) actor: Actor,
    pub(super) key: K,
}

impl Loaders {
    #[expect(clippy::disallowed_methods, reason = "the loader owns its batches; each ends itself")]
    pub(super) fn new(app: &App) -> Self {
        Self(DataLoader::new(ByActor(app.clone()), tokio::spawn))
    }
}

impl Loader<Asked<ServiceId>> for ByActor {
    type Value = Service;
    type Error = Arc<Error>;

    async fn load(
        &self,
        keys: &[Asked<ServiceId>],
    ) -> Result<HashMap<Asked<ServiceId>, Service>, Arc<Error>> {
        let mut loaded = HashMap::new();
        for (actor, ids) in by_actor(keys) {
            let services = self.0.services_by_id(&actor, &ids).await.map_err(Arc::new)?;
            loaded.extend(
                services.into_iter().map(|s| (Asked { actor: actor.clone(), key: s.id }, s)),
            );
        }
        Ok(loaded)
    }
}

impl Loader<Asked<ListenerId>> for ByActor {
    type Value = Listener;
    type Error = Arc<Error>;

    async fn load(
        &self,
        keys: &[Asked<ListenerId>],
    ) -> Result<HashMap<Asked<ListenerId>, Listener>, Arc<Error>> {
        let mut loaded = HashMap::new();
        for (actor, ids) in by_actor(keys) {
            let listeners = self.0.listeners_by_id(&actor, &ids).await.map_err(Arc::new)?;
            loaded.extend(
                listeners.into_iter().map(|l| (Asked { actor: actor.clone(), key: l.id }, l)),
            );
        }
        Ok(loaded)
    }
}

fn by_actor<K: Copy>(keys: &[Asked<K>]) -> Vec<(Actor, Vec<K>)> {
    let mut groups: HashMap<_, (Actor, Vec<K>)> = HashMap::new();
    for Asked { actor, key } in keys {
        let group =
            groups.entry((actor.user, actor.via())).or_insert_with(|| (actor.clone(), vec![]));
        group.1.push(*key);
    }
    groups.into_values().collect()
}

impl<K: PartialEq> PartialEq for Asked<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
            && self.actor.user == other.actor.user
            && self.actor.via() == other.actor.via()
    }
}

impl<K: Eq> Eq for Asked<K> {}

impl<K: Hash> Hash for Asked<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
        self.actor.user.hash(state);
        self.actor.via().hash(state);
    }
}
