//! What the client does: it reads, applies, answers, asks.

use std::collections::BTreeMap;

use marchproxy_proto as proto;

use super::stream::List;
use super::{C, E, Key, Model};
use crate::testing::Received;
use crate::{Protocol, Request, ResourceType};

impl Model {
    pub(super) fn subscribe(&mut self, resource_type: ResourceType, name: &str) {
        if self.is_wildcard(resource_type) {
            return;
        }
        let is_new = self.names.entry(resource_type).or_default().insert(name.into());
        let key = (resource_type, name.to_owned());
        if is_new || self.protocol == Protocol::Delta {
            self.stream.may_repeat.insert(key);
            self.stream.may_relist.insert(resource_type);
            self.stream.forgive(resource_type, name);
        }
        let nonce = self.nonce(resource_type);
        self.say(resource_type, [name.to_owned()], [], None, &nonce);
    }

    pub(super) fn unsubscribe(&mut self, resource_type: ResourceType, name: &str) {
        if self.is_wildcard(resource_type) || !self.stream.asked.contains(&resource_type) {
            return;
        }
        self.names.entry(resource_type).or_default().remove(name);
        let key = (resource_type, name.to_owned());
        self.held.remove(&key);
        self.tainted.remove(&key);
        self.stream.told.remove(&key);
        self.stream.forgive(resource_type, name);
        if let Some(content) = self.stream.unanswered.get_mut(&resource_type) {
            content.remove(name);
            self.stream.crossed.insert(key);
            self.stream.narrowed.insert(resource_type);
        }
        if let Some(content) = self.stream.accepted.get_mut(&resource_type) {
            content.remove(name);
        }
        if resource_type == C {
            self.stream.answered.remove(name);
        }
        if resource_type == E {
            self.stream.warming.remove(name);
        }
        if self.wanted(resource_type).is_empty() {
            // Envoy drops what it has not read, and does not answer to it.
            self.stream.start_over(resource_type);
            self.lists.remove(&resource_type);
        }
        let nonce = self.nonce(resource_type);
        self.say(resource_type, [], [name.to_owned()], None, &nonce);
    }

    /// Reads a response, and refuses it if told whom to blame and what to apply. There
    /// is nothing in a heartbeat to be refused.
    pub(super) fn read(
        &mut self,
        resource_type: ResourceType,
        refusal: Option<(Option<&str>, bool)>,
    ) -> Option<()> {
        let stream = &mut self.stream;
        let is_first = |received: &Received| received.resource_type == resource_type;
        let received = stream.unread.remove(stream.unread.iter().position(is_first)?)?;
        stream.nonces.insert(resource_type, received.nonce.clone());
        let content = stream.unanswered.remove(&resource_type).expect("it was not answered");
        if stream.beats.remove(&received.nonce) {
            self.say(resource_type, [], [], None, &received.nonce);
            return Some(());
        }
        let is_complete = self.is_complete(resource_type);
        let error = match refusal {
            None => {
                self.apply(&received, |_| true);
                let is_open = |(t, name): &Key| *t != resource_type || !content.contains_key(name);
                self.stream.crossed.retain(is_open);
                if is_complete {
                    self.stream.told.retain(|(t, _), _| *t != resource_type);
                    self.stream.accepted.insert(resource_type, content.clone());
                    self.lists.insert(resource_type, received.version.clone());
                }
                if resource_type == C {
                    let answered = &mut self.stream.answered;
                    if is_complete {
                        // A refusal is an answer, too.
                        let declined = &mut self.stream.declined;
                        declined.retain(|name| !content.contains_key(name));
                        answered.retain(|name| declined.contains(name));
                    }
                    answered.retain(|name| content.get(name) != Some(&None));
                    let there = content.iter().filter(|(_, version)| version.is_some());
                    answered.extend(there.map(|(name, _)| name.clone()));
                }
                let told = content.into_iter();
                let told = told.map(|(name, version)| ((resource_type, name), version));
                self.stream.told.extend(told);
                self.stream.acquit(resource_type);
                None
            }
            Some((blame, applies_others)) => {
                self.apply_refused(&received, |name| applies_others && Some(name) != blame);
                let came_with = self.stream.came_with.contains(&resource_type);
                let list = if came_with { List::OnTop } else { List::First };
                let list = is_complete.then_some(list);
                self.stream.note_refusal(resource_type, content, blame, list);
                self.release();
                Some(blame.map_or("no".to_owned(), |blame| format!("bad '{blame}'")))
            }
        };
        self.stream.narrowed.remove(&resource_type);
        if resource_type == C {
            self.stream.lifted = false;
        }
        self.say(resource_type, [], [], error, &received.nonce);
        Some(())
    }

    fn apply(&mut self, received: &Received, takes: impl Fn(&str) -> bool) {
        let resource_type = received.resource_type;
        if self.is_complete(resource_type) {
            let names = received.names();
            self.held.retain(|(t, name), _| {
                *t != resource_type || !takes(name) || names.contains(&&**name)
            });
        }
        for resource in received.resources.iter().filter(|resource| takes(&resource.name)) {
            if self.wants(resource_type, &resource.name) {
                let key = (resource_type, resource.name.clone());
                self.tainted.remove(&key);
                self.held.insert(key, (resource.version.clone(), resource.content()));
            }
        }
        for name in received.removed.iter().filter(|name| takes(name)) {
            self.held.remove(&(resource_type, name.clone()));
        }
    }

    fn apply_refused(&mut self, received: &Received, takes: impl Fn(&str) -> bool) {
        self.apply(received, &takes);
        let names = received.resources.iter().map(|r| &r.name).filter(|name| takes(name));
        let keys = names.map(|name| (received.resource_type, name.clone()));
        self.tainted.extend(keys);
    }

    pub(super) fn say(
        &mut self,
        resource_type: ResourceType,
        subscribe: impl Into<Vec<String>>,
        unsubscribe: impl Into<Vec<String>>,
        error: Option<String>,
        nonce: &str,
    ) {
        let type_url = resource_type.type_url().to_owned();
        let error_detail = error.map(|message| proto::Status { code: 13, message });
        let request = match self.protocol {
            Protocol::Sotw => Request::Sotw(proto::DiscoveryRequest {
                resource_names: self.wanted(resource_type),
                version_info: self.lists.get(&resource_type).cloned().unwrap_or_default(),
                type_url,
                response_nonce: nonce.to_owned(),
                error_detail,
                ..proto::DiscoveryRequest::default()
            }),
            Protocol::Delta => Request::Delta(proto::DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe: subscribe.into(),
                resource_names_unsubscribe: unsubscribe.into(),
                // Too many but in the first request: there they must not count.
                initial_resource_versions: self.versions(resource_type),
                response_nonce: nonce.to_owned(),
                error_detail,
                ..proto::DeltaDiscoveryRequest::default()
            }),
        };
        if nonce.is_empty() && self.lists.contains_key(&resource_type) {
            self.stream.came_with.insert(resource_type);
        }
        self.stream.asked.insert(resource_type);
        let outputs = self.stream.session.on_request(request, self.now).expect("it is in order");
        self.hear(outputs);
    }
}

// === impl Model: questions ===

impl Model {
    pub(super) fn is_wildcard(&self, resource_type: ResourceType) -> bool {
        self.wildcard && resource_type.is_full_state()
    }

    pub(super) fn is_complete(&self, resource_type: ResourceType) -> bool {
        self.protocol == Protocol::Sotw && resource_type.is_full_state()
    }

    pub(super) fn wanted(&self, resource_type: ResourceType) -> Vec<String> {
        self.names.get(&resource_type).into_iter().flatten().cloned().collect()
    }

    pub(super) fn wants(&self, resource_type: ResourceType, name: &str) -> bool {
        self.is_wildcard(resource_type)
            || self.names.get(&resource_type).is_some_and(|names| names.contains(name))
    }

    fn nonce(&self, resource_type: ResourceType) -> String {
        match self.protocol {
            Protocol::Sotw => self.stream.nonces.get(&resource_type).cloned().unwrap_or_default(),
            Protocol::Delta => String::new(),
        }
    }

    fn versions(&self, resource_type: ResourceType) -> BTreeMap<String, String> {
        let held = self.held.iter().filter(|(key, _)| key.0 == resource_type);
        let version = |key, version: &String| {
            // Envoy forgets here that it holds anything. No server could mend that.
            if self.tainted.contains(key) { "unsure".to_owned() } else { version.clone() }
        };
        held.map(|(key, (held, _))| (key.1.clone(), version(key, held))).collect()
    }
}
