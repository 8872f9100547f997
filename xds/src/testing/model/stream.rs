//! What a client knows of one stream, and forgets when it breaks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{C, Content, Key};
use crate::testing::Received;
use crate::{ResourceType, Session};

/// What is forgotten when the stream breaks.
pub(super) struct Stream {
    pub(super) session: Session,
    pub(super) asked: BTreeSet<ResourceType>,
    pub(super) unread: VecDeque<Received>,
    /// The last nonce read, by type.
    pub(super) nonces: BTreeMap<ResourceType, String>,
    pub(super) all_nonces: BTreeSet<String>,
    /// The nonces of heartbeats that were not read.
    pub(super) beats: BTreeSet<String>,
    pub(super) unanswered: BTreeMap<ResourceType, Content>,
    /// What the client has been told, and has not refused.
    pub(super) told: BTreeMap<Key, Option<String>>,
    /// What may be sent although the client has been told.
    pub(super) may_repeat: BTreeSet<Key>,
    /// Of which types a full list may be sent although the client has it.
    pub(super) may_relist: BTreeSet<ResourceType>,
    /// Of which types it held a list when the stream began.
    pub(super) came_with: BTreeSet<ResourceType>,
    /// The last complete list that it has accepted, by type.
    pub(super) accepted: BTreeMap<ResourceType, Content>,
    pub(super) refused: Vec<Refused>,
    /// Clusters that the client has answered to.
    pub(super) answered: BTreeSet<String>,
    /// What the client dropped while it was on its way in a list, and may ask for again
    /// before it reads that: nobody can know whether it has it then.
    pub(super) crossed: BTreeSet<(ResourceType, String)>,
    /// Types of which the list on its way had something that the client has dropped: if
    /// it is refused, that may have been to blame.
    pub(super) narrowed: BTreeSet<ResourceType>,
    /// Clusters that were refused, and not accepted since.
    pub(super) declined: BTreeSet<String>,
    /// Clusters that wait for their endpoints, whether the client has them or not.
    pub(super) warming: BTreeSet<String>,
    pub(super) lifted: bool,
    /// Whether what it hears comes of the end of a time of grace.
    pub(super) grace_is_over: bool,
}

/// A complete list, and what the client had when the stream began.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// Nothing.
    First,
    /// Another list.
    OnTop,
}

/// What was refused together, and must not come again together.
pub(super) struct Refused {
    pub(super) resource_type: ResourceType,
    pub(super) content: Content,
    /// All that the response said.
    pub(super) said: Content,
    /// Whether it is a list of which nobody knows what is new in it.
    pub(super) is_whole: bool,
}

impl Stream {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            asked: BTreeSet::new(),
            unread: VecDeque::new(),
            nonces: BTreeMap::new(),
            all_nonces: BTreeSet::new(),
            beats: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            told: BTreeMap::new(),
            may_repeat: BTreeSet::new(),
            may_relist: BTreeSet::new(),
            came_with: BTreeSet::new(),
            accepted: BTreeMap::new(),
            refused: Vec::new(),
            crossed: BTreeSet::new(),
            narrowed: BTreeSet::new(),
            answered: BTreeSet::new(),
            declined: BTreeSet::new(),
            warming: BTreeSet::new(),
            lifted: false,
            grace_is_over: false,
        }
    }

    /// The client itself gives up what it has said of a name.
    pub(super) fn forgive(&mut self, resource_type: ResourceType, name: &str) {
        self.refused.retain(|refused| {
            let is_other = !refused.is_whole && !refused.content.contains_key(name);
            refused.resource_type != resource_type || is_other
        });
    }

    /// What was refused together and accepted since, in parts, is no longer refused.
    pub(super) fn acquit(&mut self, resource_type: ResourceType) {
        let told = &self.told;
        let is_told = |(name, version): (&String, &Option<String>)| {
            told.get(&(resource_type, name.clone())) == Some(version)
        };
        self.refused.retain(|refused| {
            refused.resource_type != resource_type || !refused.content.iter().all(is_told)
        });
    }

    /// The client wants nothing of that type any more.
    pub(super) fn start_over(&mut self, resource_type: ResourceType) {
        self.unread.retain(|received| received.resource_type != resource_type);
        self.unanswered.remove(&resource_type);
        self.told.retain(|(t, _), _| *t != resource_type);
        self.came_with.remove(&resource_type);
        self.accepted.remove(&resource_type);
        self.refused.retain(|refused| refused.resource_type != resource_type);
        if resource_type == C {
            self.answered.clear();
        }
    }

    /// Notes that a response was refused, of which `blame` is blamed. Of a
    /// complete list only what is new in it counts, if anybody can know what that is.
    pub(super) fn note_refusal(
        &mut self,
        resource_type: ResourceType,
        content: Content,
        blame: Option<&str>,
        list: Option<List>,
    ) {
        if resource_type == C {
            self.answered.extend(content.keys().cloned());
            self.declined.extend(content.keys().cloned());
        }
        let accepted = self.accepted.get(&resource_type);
        let is_whole = accepted.is_none() && list == Some(List::OnTop);
        let (said, mut news) = (content.clone(), content);
        if list.is_some() && !is_whole {
            let nothing = Content::new();
            let accepted = accepted.unwrap_or(&nothing);
            let gone = accepted.keys().filter(|name| !news.contains_key(*name)).cloned();
            let gone: Vec<_> = gone.collect();
            news.retain(|name, version| accepted.get(name) != Some(version));
            news.extend(gone.into_iter().map(|name| (name, None)));
        }
        self.told.retain(|(t, name), _| *t != resource_type || !news.contains_key(name));
        if list.is_some() {
            // What it may have applied may have to be taken back.
            self.may_relist.insert(resource_type);
        }
        if let Some(blame) = blame.filter(|blame| !is_whole && news.contains_key(*blame)) {
            news.retain(|name, _| name == blame);
        }
        if self.narrowed.contains(&resource_type) && list.is_some() {
            return;
        }
        self.refused.push(Refused { resource_type, content: news, said, is_whole });
    }
}
