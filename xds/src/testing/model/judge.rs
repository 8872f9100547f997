//! What the session must keep to, checked with each thing that it says.

use std::collections::{BTreeMap, BTreeSet};

use super::stream::Refused;
use super::{C, Content, E, Key, L, Model, R, TTL};
use crate::testing::{Received, ReceivedResource, name_and_content};
use crate::{Event, Output, Protocol, ResourceState, ResourceType};

/// How much one input may make a session say, at most.
const MAX_OUTPUTS: usize = 64;

impl Model {
    pub(super) fn hear(&mut self, outputs: Vec<Output>) {
        assert!(outputs.len() <= MAX_OUTPUTS, "too much at once: {outputs:?}");
        let mut is_news = false;
        for output in outputs {
            is_news |= matches!(output, Output::Report(Event::Sent { .. }));
            let Output::Send(response) = output else { continue };
            let received = Received::read(&response);
            if std::mem::take(&mut is_news) {
                self.judge(&received);
            } else {
                self.judge_heartbeat(&received);
            }
            self.stream.unread.push_back(received);
        }
    }

    fn judge(&mut self, received: &Received) {
        let resource_type = received.resource_type;
        let content = content(received);
        let told = received.resources.len() + received.removed.len();
        assert_eq!(content.len(), told, "c26, a name stands twice: {received:?}");
        let may_be_empty = self.is_complete(resource_type) || self.is_wildcard(resource_type);
        assert!(may_be_empty || !content.is_empty(), "c10, it says nothing: {received:?}");
        for name in content.keys() {
            assert!(self.wants(resource_type, name), "c20, nobody asked: {received:?}");
        }
        assert!(self.stream.all_nonces.insert(received.nonce.clone()), "c2: {received:?}");
        self.judge_repetition(received, &content);
        self.judge_refused(received, &content);
        if self.is_complete(resource_type) {
            self.judge_list(received, &content);
        }
        if resource_type == C {
            self.judge_departure(received, &content);
        } else if resource_type == R {
            self.judge_order(received);
        }
        let before = self.stream.unanswered.insert(resource_type, content);
        assert_eq!(before, None, "c12, two at a time: {received:?}");
    }

    /// A heartbeat tells of what the client holds, in full lists of all of that.
    fn judge_heartbeat(&mut self, received: &Received) {
        let resource_type = received.resource_type;
        let is_complete = self.is_complete(resource_type);
        assert!(self.has_ttl, "c58, the client does not know of it: {received:?}");
        let has_ttl = |resource: &ReceivedResource| resource.ttl == Some(TTL);
        assert!(received.resources.iter().any(has_ttl), "c58, of nothing: {received:?}");
        if is_complete {
            let accepted = self.stream.accepted.get(&resource_type);
            assert_eq!(accepted, Some(&content(received)), "c59, not as it was: {received:?}");
        }
        for resource in &received.resources {
            let key = (resource_type, resource.name.clone());
            assert!(self.wants(resource_type, &resource.name), "c58, no longer: {received:?}");
            if is_complete {
                continue;
            }
            assert!(has_ttl(resource), "c58, {} lives for ever: {received:?}", resource.name);
            let told = self.stream.told.get(&key).cloned().flatten();
            let (version, held) = self.held.get(&key).expect("c58, it is held");
            assert_eq!(told.as_ref(), Some(held), "c58, not as it is held: {received:?}");
            if self.protocol == Protocol::Delta {
                assert_eq!(*version, resource.version, "c58, not as it is held");
                assert!(resource.body.is_empty(), "c58, it is held: {received:?}");
            } else {
                assert_eq!(*held, resource.content(), "c59, not as it is held");
            }
        }
        assert!(received.removed.is_empty(), "c58, that is news: {received:?}");
        assert!(self.stream.all_nonces.insert(received.nonce.clone()), "c2: {received:?}");
        self.stream.beats.insert(received.nonce.clone());
        let before = self.stream.unanswered.insert(resource_type, Content::new());
        assert_eq!(before, None, "c12, two at a time: {received:?}");
    }

    fn judge_repetition(&mut self, received: &Received, content: &Content) {
        let resource_type = received.resource_type;
        let is_complete = self.is_complete(resource_type);
        let stream = &mut self.stream;
        let key = |name: &String| (resource_type, name.clone());
        if is_complete {
            let of_type = |((t, name), version): (&Key, &Option<String>)| {
                (*t == resource_type).then(|| (name.clone(), version.clone()))
            };
            let told: Content = stream.told.iter().filter_map(of_type).collect();
            let is_asked = stream.may_relist.remove(&resource_type);
            let is_first = !stream.asked.contains(&resource_type) || told.is_empty();
            assert!(is_asked || is_first || told != *content, "c9, sent twice: {received:?}");
        } else {
            for (name, version) in content {
                let is_asked = stream.may_repeat.remove(&key(name));
                let is_known = stream.told.get(&key(name)) == Some(version);
                assert!(is_asked || !is_known, "c9, {name} is sent twice: {received:?}");
            }
        }
        if resource_type == C {
            let is_news = |name: &String, version: &Option<String>| {
                version.is_some() && stream.told.get(&key(name)) != Some(version)
            };
            let news = content.iter().filter(|(name, version)| is_news(name, version));
            let news: Vec<_> = news.map(|(name, _)| name.clone()).collect();
            for name in news {
                stream.may_repeat.insert((E, name.clone()));
                let is_asked = self.names.get(&E).is_some_and(|names| names.contains(&name));
                if is_asked && self.latest.find(E, &name).is_some() {
                    stream.warming.insert(name);
                }
            }
        }
        if resource_type == E {
            stream.warming.retain(|name| !content.contains_key(name));
        }
    }

    fn judge_refused(&self, received: &Received, content: &Content) {
        let resource_type = received.resource_type;
        let is_list = self.is_complete(resource_type);
        let of_type = |refused: &&Refused| refused.resource_type == resource_type;
        let accepted = self.stream.accepted.get(&resource_type);
        for Refused { content: refused, said, is_whole, .. } in
            self.stream.refused.iter().filter(of_type)
        {
            // What was refused with something that was accepted since may be tried
            // alone, unless the list is just the one that was refused.
            let is_news = |(name, _): (&String, &Option<String>)| {
                !is_list || accepted.is_none_or(|a| a.get(name) != content.get(name))
            };
            let is_as_before = |(name, version): (&String, &Option<String>)| {
                let told = content.get(name);
                told == Some(version) || (is_list && told.is_none() && version.is_none())
            };
            let is_again = if *is_whole {
                refused == content
            } else {
                let is_as_before = !refused.is_empty() && refused.iter().all(is_as_before);
                is_as_before && (said == content || refused.iter().all(is_news))
            };
            assert!(!is_again, "c6, {refused:?} is sent again: {received:?}");
        }
    }

    /// A list must not remove what is there: the client holds at least an older one.
    fn judge_list(&self, received: &Received, content: &Content) {
        let resource_type = received.resource_type;
        let crossed = &self.stream.crossed;
        let is_sure = |key: &&Key| !self.tainted.contains(*key) && !crossed.contains(*key);
        let of_type = |key: &&Key| key.0 == resource_type && is_sure(key);
        for (_, name) in self.held.keys().filter(of_type) {
            let is_there = self.latest.find(resource_type, name).is_some();
            let is_wanted = is_there && self.wants(resource_type, name);
            assert!(!is_wanted || content.contains_key(name), "{name} is taken away: {received:?}");
        }
    }

    /// Clusters that go: nothing that the client holds, or will, may need them.
    fn judge_departure(&self, received: &Received, content: &Content) {
        let is_gone = |name: &String| {
            if self.is_complete(C) {
                !content.contains_key(name)
            } else {
                content.get(name) == Some(&None)
            }
        };
        let told = self.stream.told.iter().filter(|((t, _), v)| *t == C && v.is_some());
        for ((_, name), _) in told.filter(|((_, name), _)| is_gone(name)) {
            if !self.wants(C, name) {
                continue;
            }
            let is_used = self.stream.asked.contains(&L) || self.stream.asked.contains(&R);
            let in_grace = self.has_grace && is_used && !self.stream.grace_is_over;
            assert!(!in_grace, "c48, {name} goes at once: {received:?}");
            for resource_type in [L, R] {
                let is_under_way = self.stream.unanswered.contains_key(&resource_type);
                assert!(!is_under_way, "c48, {resource_type} is under way: {received:?}");
            }
            for ((_, route), (_, content)) in self.held.iter().filter(|((t, _), _)| *t == R) {
                let is_there = self.latest.find(R, route).is_some();
                let needs = needed(content).any(|needed| needed == name);
                assert!(!is_there || !needs, "c48, {route} needs {name}: {received:?}");
            }
        }
    }

    /// Routes that come: the client must have answered to what they need.
    fn judge_order(&self, received: &Received) {
        if self.stream.lifted || !self.stream.asked.contains(&C) {
            return;
        }
        for route in &received.resources {
            let content = route.content();
            for name in needed(&content).filter(|name| self.wants(C, name)) {
                let is_answered = self.stream.answered.contains(name);
                assert!(is_answered, "c47, {} before {name}: {received:?}", route.name);
            }
        }
    }

    /// Accepts everything, until nothing more comes.
    pub(super) fn drain(&mut self) {
        for _ in 0..100 {
            let Some(received) = self.stream.unread.front() else {
                if self.stream.session.is_in_grace() {
                    self.end_grace();
                    continue;
                }
                assert!(self.stream.unanswered.is_empty(), "someone is stuck");
                assert!(!self.stream.session.is_gated(), "someone waits for ever");
                let is_refused = self.stream.session.held().any(|held| held == E);
                let warming = &self.stream.warming;
                assert!(is_refused || warming.is_empty(), "c45, {warming:?} wait");
                return;
            };
            self.read(received.resource_type, None);
        }
        panic!("responses never end");
    }

    /// Checks that the client holds what it should, except what it has refused.
    pub(super) fn check(&self, resource_type: ResourceType) {
        let is_held_back = |t| self.stream.session.held().any(|held| held == t);
        if !self.stream.asked.contains(&resource_type) {
            return;
        }
        let reports = self.stream.session.report().into_iter();
        let refused: BTreeSet<_> = reports
            .filter(|r| r.resource_type == resource_type && r.state == ResourceState::Nacked)
            .map(|report| report.name)
            .collect();
        let should: BTreeMap<_, _> = self
            .latest
            .resources(resource_type)
            .filter(|resource| self.wants(resource_type, resource.name()))
            .filter(|resource| !refused.contains(resource.name()))
            .map(|resource| (resource.name().to_string(), name_and_content(resource.body()).1))
            .collect();
        // Nobody is told that a route is gone, or that endpoints are on SotW; and
        // what a refused route may still need stays.
        let is_told = if resource_type == E {
            self.protocol == Protocol::Delta
        } else {
            resource_type.is_full_state()
        };
        let keeps = is_held_back(L) || is_held_back(R);
        let is_told = is_told && !(keeps && matches!(resource_type, C | E));
        let is_told = is_told && !is_held_back(resource_type);
        let does: BTreeMap<_, _> = self
            .held
            .iter()
            .filter(|((t, name), _)| *t == resource_type && (is_told || should.contains_key(name)))
            .map(|((_, name), (_, content))| (name.clone(), content.clone()))
            .collect();
        assert_eq!(does, should, "{resource_type} {:?}", self.protocol);
    }
}

/// What a response says of each name.
fn content(received: &Received) -> Content {
    let there = received.resources.iter().map(|r| (r.name.clone(), Some(r.content())));
    there.chain(received.removed.iter().map(|name| (name.clone(), None))).collect()
}

/// The clusters that a route needs, by its content.
fn needed(content: &str) -> impl Iterator<Item = &str> {
    let (_, needed) = content.split_once(':').unwrap_or_default();
    needed.split(',').filter(|name| !name.is_empty())
}
