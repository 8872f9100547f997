//! A route: which requests go where.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::At as _;
use super::Labels;
use super::Revision;
use super::service::set;
use super::{
    HeaderName, Host, HostPattern, HttpMethod, HttpPath, Invalid, ListenerId, Millis, Name,
    NodeGroupId, PathMatch, Port, RedirectCode, RouteId, ServiceId, TextMatch, Timeout, Weight,
};

const MOST: usize = 64;

/// A route as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its identity.
    pub id: RouteId,
    /// The node group whose proxies know it; it never changes.
    pub group: NodeGroupId,
    /// What people configured.
    pub spec: RouteSpec,
    /// The group's revision at which it was last changed.
    pub revision: Revision,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What people configure of a route. History keeps it, so nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteSpec {
    /// Unique within the group.
    pub name: Name,
    /// The HTTP listener whose requests it looks at.
    pub listener: ListenerId,
    /// Which `Host` headers it answers; at least one.
    pub hosts: Vec<HostPattern>,
    /// Which paths.
    pub path: PathMatch,
    /// Which methods; any if none is named.
    pub methods: Vec<HttpMethod>,
    /// Which headers, all of them.
    pub headers: Vec<HeaderMatch>,
    /// Routes of a host are asked from the highest priority to the lowest;
    /// where it is the same, the narrower path first.
    pub priority: i32,
    /// What people sort it by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What happens to a request.
    pub action: RouteAction,
}

/// A header that a request must have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HeaderMatch {
    /// Which one.
    pub name: HeaderName,
    /// What it must say.
    pub value: TextMatch,
}

/// What happens to a request that a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteAction {
    /// It goes on to a service.
    Forward(Forward),
    /// The client is told to ask elsewhere.
    Redirect(Redirect),
}

/// How a request goes on to one of several services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// The services; at least one, with a share above zero in all.
    pub backends: Vec<Backend>,
    /// How long the response may take; the service's own limit if not said.
    pub timeout: Option<Timeout>,
    /// Whether and how a failed request is tried again.
    pub retries: Option<Retries>,
    /// What takes the place of the matched prefix of the path.
    pub prefix_rewrite: Option<HttpPath>,
    /// What takes the place of the `Host` header.
    pub host_rewrite: Option<Host>,
    /// Whether a request may become a WebSocket.
    pub websocket: bool,
}

/// One of a route's services and its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Backend {
    /// Which service of the same group.
    pub service: ServiceId,
    /// Its share among the route's services.
    pub weight: Weight,
}

/// How a failed request is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retries {
    /// How many times more; 1 to 10.
    pub attempts: Weight,
    /// How long each may take; the whole request's limit if not said.
    pub per_try_timeout: Option<Millis>,
    /// After which failures.
    pub on: BTreeSet<RetryOn>,
}

/// A failure after which a request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// The response is 5xx, or there is none.
    ServerError,
    /// The response is 502, 503 or 504.
    GatewayError,
    /// No connection could be opened.
    ConnectFailure,
    /// The connection broke before the response.
    Reset,
    /// The stream was refused before anything was done with it.
    RefusedStream,
    /// The response is 409.
    Retriable4xx,
}

/// Where a client is told to ask instead; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Redirect {
    /// By `https` from now on.
    pub https: bool,
    /// At this host.
    pub host: Option<Host>,
    /// At this port.
    pub port: Option<Port>,
    /// At this path.
    pub path: Option<HttpPath>,
    /// With this status.
    pub code: RedirectCode,
}

/// What to change of a route; what is `None` stays.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in RouteSpec")]
pub struct RouteChange {
    /// The revision that it has to be at, if any: `Stale` if it is at another.
    pub if_revision: Option<Revision>,
    pub name: Option<Name>,
    pub listener: Option<ListenerId>,
    pub hosts: Option<Vec<HostPattern>>,
    pub path: Option<PathMatch>,
    pub methods: Option<Vec<HttpMethod>>,
    pub headers: Option<Vec<HeaderMatch>>,
    pub priority: Option<i32>,
    pub labels: Option<Labels>,
    /// Makes it forward, if it names services, or changes how it does.
    pub forward: ForwardChange,
    /// Makes it redirect.
    pub redirect: Option<Redirect>,
}

/// What to change of how a route forwards; `Some(None)` takes away.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "as in Forward")]
pub struct ForwardChange {
    pub backends: Option<Vec<Backend>>,
    pub timeout: Option<Option<Timeout>>,
    pub retries: Option<Option<Retries>>,
    pub prefix_rewrite: Option<Option<HttpPath>>,
    pub host_rewrite: Option<Option<Host>>,
    pub websocket: Option<bool>,
}

// === impl RouteSpec ===

impl RouteSpec {
    /// Applies `change`; what comes out is checked by [`RouteSpec::check`].
    #[must_use]
    pub fn changed(mut self, change: RouteChange) -> Self {
        set(&mut self.name, change.name);
        set(&mut self.listener, change.listener);
        set(&mut self.hosts, change.hosts);
        set(&mut self.path, change.path);
        set(&mut self.methods, change.methods);
        set(&mut self.headers, change.headers);
        set(&mut self.priority, change.priority);
        set(&mut self.labels, change.labels);
        self.action = match (change.redirect, self.action) {
            (Some(redirect), _) => RouteAction::Redirect(redirect),
            (None, RouteAction::Redirect(redirect)) if change.forward.backends.is_none() => {
                RouteAction::Redirect(redirect)
            }
            (None, RouteAction::Redirect(_)) => {
                RouteAction::Forward(Forward::default().changed(change.forward))
            }
            (None, RouteAction::Forward(forward)) => {
                RouteAction::Forward(forward.changed(change.forward))
            }
        };
        self
    }

    /// Checks what the fields must agree on, and hands the spec back.
    pub fn check(self) -> Result<Self, Invalid> {
        if self.hosts.is_empty() {
            return Err(Invalid::new("hosts", "a route needs a host; '*' stands for any"));
        }
        for (field, n) in [
            ("hosts", self.hosts.len()),
            ("methods", self.methods.len()),
            ("headers", self.headers.len()),
        ] {
            if n > MOST {
                return Err(Invalid::new(field, format!("at most {MOST}, not {n}")));
            }
        }
        if let PathMatch::Regex(pattern) = &self.path {
            pattern.check().at("regex").map_err(|e| e.within("path"))?;
        }
        for (place, header) in self.headers.iter().enumerate() {
            if let TextMatch::Regex(pattern) = &header.value {
                let checked = pattern.check().at("regex").map_err(|e| e.within("value"));
                checked.map_err(|e| e.within(place).within("headers"))?;
            }
        }
        if let Some(twice) = first_repeated(&self.hosts) {
            return Err(Invalid::new(twice, "stands here twice").within("hosts"));
        }
        match &self.action {
            RouteAction::Forward(forward) => forward.check(&self.path)?,
            RouteAction::Redirect(redirect) => redirect.check()?,
        }
        Ok(self)
    }

    /// The services that requests may go to.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        let backends = match &self.action {
            RouteAction::Forward(forward) => forward.backends.as_slice(),
            RouteAction::Redirect(_) => &[],
        };
        backends.iter().map(|backend| backend.service)
    }
}

impl Forward {
    /// Applies `change`.
    #[must_use]
    pub fn changed(mut self, change: ForwardChange) -> Self {
        set(&mut self.backends, change.backends);
        set(&mut self.timeout, change.timeout);
        set(&mut self.retries, change.retries);
        set(&mut self.prefix_rewrite, change.prefix_rewrite);
        set(&mut self.host_rewrite, change.host_rewrite);
        set(&mut self.websocket, change.websocket);
        self
    }

    fn check(&self, path: &PathMatch) -> Result<(), Invalid> {
        let wrong = |field, reason: &str| Err(Invalid::new(field, reason));
        if self.backends.len() > MOST {
            return Err(Invalid::new("backends", format!("at most {MOST}")));
        }
        if self.backends.iter().all(|backend| backend.weight.get() == 0) {
            return wrong("backends", "a route needs a service with a weight above 0");
        }
        let services: Vec<_> = self.backends.iter().map(|backend| backend.service).collect();
        if let Some(twice) = first_repeated(&services) {
            let at = Invalid::new("service", "stands here twice");
            return Err(at.within(twice).within("backends"));
        }
        if self.prefix_rewrite.is_some() && matches!(path, PathMatch::Regex(_)) {
            return wrong("prefixRewrite", "needs a prefix or exact path, not a regex");
        }
        if let Some(retries) = &self.retries {
            if !(1..=10).contains(&retries.attempts.get()) {
                return Err(Invalid::new("attempts", "must be 1 to 10").within("retries"));
            }
            if retries.on.is_empty() {
                return Err(Invalid::new("on", "must name a failure").within("retries"));
            }
        }
        Ok(())
    }
}

impl Redirect {
    fn check(&self) -> Result<(), Invalid> {
        if self.https || self.host.is_some() || self.port.is_some() || self.path.is_some() {
            Ok(())
        } else {
            Err(Invalid::new("redirect", "must name https, a host, a port or a path"))
        }
    }
}

fn first_repeated<T: PartialEq>(items: &[T]) -> Option<usize> {
    items.iter().enumerate().find(|(i, item)| items[..*i].contains(item)).map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(service: i32, weight: i32) -> Backend {
        Backend { service: service.try_into().unwrap(), weight: weight.try_into().unwrap() }
    }

    fn forward(backends: Vec<Backend>) -> Forward {
        Forward { backends, ..Default::default() }
    }

    fn spec(action: RouteAction) -> RouteSpec {
        RouteSpec {
            labels: Labels::NONE,
            name: "r".to_owned().try_into().unwrap(),
            listener: 1.try_into().unwrap(),
            hosts: vec!["a.example".to_owned().try_into().unwrap()],
            path: PathMatch::Prefix("/".to_owned().try_into().unwrap()),
            methods: vec![],
            headers: vec![],
            priority: 0,
            action,
        }
    }

    #[test]
    fn a_spec_names_the_field_that_is_wrong() {
        let retries = |attempts: i32, on: &[RetryOn]| Retries {
            attempts: attempts.try_into().unwrap(),
            per_try_timeout: None,
            on: on.iter().copied().collect(),
        };
        let good = forward(vec![backend(1, 1)]);
        let host = good_host();
        let table = [
            (spec(RouteAction::Forward(forward(vec![]))), "backends"),
            (spec(RouteAction::Forward(forward(vec![backend(1, 0)]))), "backends"),
            (spec(RouteAction::Forward(forward(vec![backend(1, 1), backend(1, 2)]))), "backends"),
            (spec(RouteAction::Redirect(Redirect::default())), "redirect"),
            (RouteSpec { hosts: vec![], ..spec(RouteAction::Forward(good.clone())) }, "hosts"),
            (
                RouteSpec {
                    hosts: vec![host.clone(), host],
                    ..spec(RouteAction::Forward(good.clone()))
                },
                "hosts",
            ),
            (
                spec(RouteAction::Forward(Forward {
                    retries: Some(retries(0, &[RetryOn::Reset])),
                    ..good.clone()
                })),
                "retries",
            ),
            (
                spec(RouteAction::Forward(Forward {
                    retries: Some(retries(1, &[])),
                    ..good.clone()
                })),
                "retries",
            ),
            (
                RouteSpec {
                    path: PathMatch::Regex("/a.*".to_owned().try_into().unwrap()),
                    ..spec(RouteAction::Forward(Forward {
                        prefix_rewrite: Some("/".to_owned().try_into().unwrap()),
                        ..good.clone()
                    }))
                },
                "prefixRewrite",
            ),
        ];
        for (spec, field) in table {
            let shown = format!("{spec:?}");
            assert_eq!(spec.check().unwrap_err().path()[0], field, "{shown}");
        }
        assert!(spec(RouteAction::Forward(good)).check().is_ok());
    }

    #[test]
    fn a_change_of_the_weights_leaves_the_timeout() {
        let timeout = Some(Timeout::Never);
        let before = Forward { timeout, ..forward(vec![backend(1, 1)]) };
        let change = RouteChange {
            forward: ForwardChange { backends: Some(vec![backend(1, 9)]), ..Default::default() },
            ..Default::default()
        };
        let after = spec(RouteAction::Forward(before)).changed(change.clone()).action;
        let want = Forward { timeout, ..forward(vec![backend(1, 9)]) };
        assert_eq!(after, RouteAction::Forward(want));

        let redirect = Redirect { https: true, ..Default::default() };
        let was_redirect = spec(RouteAction::Redirect(redirect)).changed(change).action;
        assert_eq!(was_redirect, RouteAction::Forward(forward(vec![backend(1, 9)])));
    }

    fn good_host() -> HostPattern {
        "*.example".to_owned().try_into().unwrap()
    }
}
