//! What is said of a route, into domain types.

use async_graphql::{ID, InputObject, MaybeUndefined, OneofObject};

use super::object::{HttpMethodEnum, RedirectCodeEnum, RetryOnEnum};
use crate::app::NewRoute;
use crate::graphql::changes::Refers;
use crate::graphql::global_id::{GlobalId as _, optional};
use crate::graphql::labels::{self, LabelInput};
use crate::graphql::parse::{list, number, replaced, texts};
use crate::model::{
    At as _, Backend, Forward, ForwardChange, HeaderMatch, Invalid, PathMatch, Redirect, Retries,
    RouteAction, RouteChange, RouteId, ServiceId, TextMatch,
};

/// How a route looks at the path of a request; paths start with `/`.
#[derive(OneofObject)]
pub(in crate::graphql) enum PathMatchInput {
    /// The path starts with this.
    Prefix(String),
    /// The path is this.
    Exact(String),
    /// The whole path matches this regular expression (RE2).
    Regex(String),
}

/// What the value of a header must be.
#[derive(OneofObject)]
pub(in crate::graphql) enum TextMatchInput {
    /// The value is this.
    Exact(String),
    /// The value starts with this.
    Prefix(String),
    /// The whole value matches this regular expression (RE2).
    Regex(String),
}

/// A header that a request must have.
#[derive(InputObject)]
pub(in crate::graphql) struct HeaderMatchInput {
    /// Which header.
    name: String,
    /// What it must say; anything if not said.
    value: Option<TextMatchInput>,
}

/// A service that requests may go to, and its share.
#[derive(InputObject)]
pub(in crate::graphql) struct BackendInput {
    /// The service.
    service: ID,
    /// 0 to 10000, relative to the other backends.
    #[graphql(default = 1)]
    weight: i64,
}

/// How a failed request is tried again.
#[derive(InputObject)]
pub(in crate::graphql) struct RetriesInput {
    /// How many times more; 1 to 10.
    #[graphql(default = 1)]
    attempts: i64,
    /// How long each may take, in milliseconds.
    per_try_timeout_ms: Option<i64>,
    /// After which failures.
    #[graphql(default_with = "default_retry_on()")]
    on: Vec<RetryOnEnum>,
}

/// Where a client is told to ask instead; what is not named stays.
#[derive(InputObject)]
pub(in crate::graphql) struct RedirectInput {
    /// Whether to ask encrypted.
    #[graphql(default)]
    https: bool,
    /// Another host.
    host: Option<String>,
    /// Another port.
    port: Option<i64>,
    /// Another path.
    path: Option<String>,
    /// The status of the answer.
    #[graphql(default_with = "RedirectCodeEnum::MovedPermanently")]
    code: RedirectCodeEnum,
}

/// A route to be made.
#[derive(InputObject)]
pub(in crate::graphql) struct CreateRouteInput {
    /// The node group; the default one if not said.
    group: Option<ID>,
    /// The HTTP listener; the group's default one if not said.
    listener: Option<ID>,
    /// Unique in its group.
    name: String,
    /// Which hosts: `a.example.com`, `*.example.com` or `*`, without a port.
    hosts: Vec<String>,
    /// Which paths; any if not said.
    path: Option<PathMatchInput>,
    /// Which methods; any if none is named.
    #[graphql(default)]
    methods: Vec<HttpMethodEnum>,
    /// Which headers, all of them.
    #[graphql(default)]
    headers: Vec<HeaderMatchInput>,
    /// Higher is asked first; where it is the same, exact paths, then regular
    /// expressions, then prefixes, and the longer before the shorter.
    #[graphql(default)]
    priority: i64,
    /// The services that requests go to; or else `redirect`.
    #[graphql(default)]
    backends: Vec<BackendInput>,
    /// How long the response may take, in milliseconds; the service's own
    /// limit if not said, 0 for no limit.
    timeout_ms: Option<i64>,
    /// How a failed request is tried again; not at all if not said.
    retries: Option<RetriesInput>,
    /// What takes the place of the matched prefix of the path.
    prefix_rewrite: Option<String>,
    /// What takes the place of the `Host` header.
    host_rewrite: Option<String>,
    /// Whether a request may become a WebSocket.
    #[graphql(default)]
    websocket: bool,
    /// Where clients are told to ask instead.
    redirect: Option<RedirectInput>,
    /// What to sort it by; up to 32 labels.
    #[graphql(default)]
    labels: Vec<LabelInput>,
}

/// What to change; what is left out stays as it is.
#[derive(InputObject)]
pub(in crate::graphql) struct UpdateRouteInput {
    /// The route.
    pub(super) id: ID,
    /// The `revision` that you have seen: `CONFLICT` if it was changed since.
    if_revision: i64,
    /// The HTTP listener.
    listener: Option<ID>,
    /// Unique in its group.
    name: Option<String>,
    /// Which hosts.
    hosts: Option<Vec<String>>,
    /// Which paths.
    path: Option<PathMatchInput>,
    /// Which methods; any if the list is empty.
    methods: Option<Vec<HttpMethodEnum>>,
    /// Which headers, all of them.
    headers: Option<Vec<HeaderMatchInput>>,
    /// Higher is asked first.
    priority: Option<i64>,
    /// Makes a route that redirects forward.
    backends: Option<Vec<BackendInput>>,
    /// Null leaves it to the service.
    timeout_ms: MaybeUndefined<i64>,
    /// How a failed request is tried again; null is not at all.
    retries: MaybeUndefined<RetriesInput>,
    /// What takes the place of the matched prefix of the path; null leaves it.
    prefix_rewrite: MaybeUndefined<String>,
    /// What takes the place of the `Host` header; null leaves it.
    host_rewrite: MaybeUndefined<String>,
    /// Whether a request may become a WebSocket.
    websocket: Option<bool>,
    /// Makes a route that forwards redirect.
    redirect: Option<RedirectInput>,
    /// Takes the place of all labels.
    labels: Option<Vec<LabelInput>>,
}

impl CreateRouteInput {
    pub(in crate::graphql) fn parse(self) -> Result<NewRoute, Invalid> {
        let action = match self.redirect {
            Some(_) if !self.backends.is_empty() => {
                let why = "a route forwards to backends or redirects, not both";
                return Err(Invalid::new("redirect", why));
            }
            Some(redirect) => RouteAction::Redirect(redirect.parse()?),
            None => RouteAction::Forward(Forward {
                backends: parse_backends(self.backends)?,
                timeout: self.timeout_ms.map(|ms| number(ms).at("timeoutMs")).transpose()?,
                retries: self.retries.map(RetriesInput::parse).transpose()?,
                prefix_rewrite: self
                    .prefix_rewrite
                    .map(|path| path.try_into().at("prefixRewrite"))
                    .transpose()?,
                host_rewrite: self
                    .host_rewrite
                    .map(|host| host.try_into().at("hostRewrite"))
                    .transpose()?,
                websocket: self.websocket,
            }),
        };
        let path = self.path.unwrap_or_else(|| PathMatchInput::Prefix("/".to_owned()));
        Ok(NewRoute {
            group: optional(self.group.as_ref(), "group")?,
            listener: optional(self.listener.as_ref(), "listener")?,
            name: self.name.try_into().at("name")?,
            hosts: texts(self.hosts, "hosts")?,
            path: path.parse()?,
            methods: self.methods.into_iter().map(Into::into).collect(),
            headers: list(self.headers, "headers", HeaderMatchInput::parse)?,
            priority: number(self.priority).at("priority")?,
            labels: labels::parse(self.labels)?,
            action,
        })
    }
}

impl UpdateRouteInput {
    pub(in crate::graphql) fn parse(self) -> Result<(RouteId, RouteChange), Invalid> {
        if self.redirect.is_some() && self.backends.is_some() {
            let why = "a route forwards to backends or redirects, not both";
            return Err(Invalid::new("redirect", why));
        }
        let change = RouteChange {
            labels: self.labels.map(labels::parse).transpose()?,
            if_revision: Some(self.if_revision.into()),
            listener: optional(self.listener.as_ref(), "listener")?,
            name: self.name.map(|name| name.try_into().at("name")).transpose()?,
            hosts: self.hosts.map(|hosts| texts(hosts, "hosts")).transpose()?,
            path: self.path.map(PathMatchInput::parse).transpose()?,
            methods: self.methods.map(|methods| methods.into_iter().map(Into::into).collect()),
            headers: self
                .headers
                .map(|headers| list(headers, "headers", HeaderMatchInput::parse))
                .transpose()?,
            priority: self.priority.map(|p| number(p).at("priority")).transpose()?,
            forward: ForwardChange {
                backends: self.backends.map(parse_backends).transpose()?,
                timeout: replaced(self.timeout_ms, |ms| number(ms).at("timeoutMs"))?,
                retries: replaced(self.retries, RetriesInput::parse)?,
                prefix_rewrite: replaced(self.prefix_rewrite, |path| {
                    path.try_into().at("prefixRewrite")
                })?,
                host_rewrite: replaced(self.host_rewrite, |host| {
                    host.try_into().at("hostRewrite")
                })?,
                websocket: self.websocket,
            },
            redirect: self.redirect.map(RedirectInput::parse).transpose()?,
        };
        Ok((RouteId::parse(&self.id, "id")?, change))
    }
}

impl Refers for CreateRouteInput {
    fn ids(&mut self) -> Vec<&mut ID> {
        let backends = self.backends.iter_mut().map(|backend| &mut backend.service);
        self.listener.iter_mut().chain(backends).collect()
    }
}

impl Refers for UpdateRouteInput {
    fn ids(&mut self) -> Vec<&mut ID> {
        let backends = self.backends.iter_mut().flatten().map(|backend| &mut backend.service);
        self.listener.iter_mut().chain(backends).collect()
    }
}

fn parse_backends(backends: Vec<BackendInput>) -> Result<Vec<Backend>, Invalid> {
    list(backends, "backends", |backend| {
        Ok(Backend {
            service: ServiceId::parse(&backend.service, "service")?,
            weight: number(backend.weight).at("weight")?,
        })
    })
}

impl PathMatchInput {
    pub(super) fn parse(self) -> Result<PathMatch, Invalid> {
        let parsed = match self {
            Self::Prefix(path) => path.try_into().at("prefix").map(PathMatch::Prefix),
            Self::Exact(path) => path.try_into().at("exact").map(PathMatch::Exact),
            Self::Regex(pattern) => pattern.try_into().at("regex").map(PathMatch::Regex),
        };
        parsed.map_err(|e| e.within("path"))
    }
}

impl HeaderMatchInput {
    pub(super) fn parse(self) -> Result<HeaderMatch, Invalid> {
        let value = match self.value {
            None => TextMatch::Present,
            Some(TextMatchInput::Exact(value)) => TextMatch::Exact(header_value(value, "exact")?),
            Some(TextMatchInput::Prefix(value)) => {
                TextMatch::Prefix(header_value(value, "prefix")?)
            }
            Some(TextMatchInput::Regex(pattern)) => {
                let pattern = pattern.try_into().at("regex").map_err(|e| e.within("value"));
                TextMatch::Regex(pattern?)
            }
        };
        Ok(HeaderMatch { name: self.name.try_into().at("name")?, value })
    }
}

/// What Envoy can compare a header with: not nothing, and on one line.
fn header_value(value: String, field: &str) -> Result<String, Invalid> {
    let wrong = |why: &str| Err(Invalid::new(field, why).within("value"));
    if value.is_empty() {
        wrong("must not be empty")
    } else if value.len() > 1024 {
        wrong("must be at most 1024 bytes long")
    } else if value.chars().any(char::is_control) {
        wrong("may not hold control characters")
    } else {
        Ok(value)
    }
}

impl RetriesInput {
    pub(super) fn parse(self) -> Result<Retries, Invalid> {
        let parse = || {
            Ok(Retries {
                attempts: number(self.attempts).at("attempts")?,
                per_try_timeout: self
                    .per_try_timeout_ms
                    .map(|ms| number(ms).at("perTryTimeoutMs"))
                    .transpose()?,
                on: self.on.into_iter().map(Into::into).collect(),
            })
        };
        parse().map_err(|e: Invalid| e.within("retries"))
    }
}

fn default_retry_on() -> Vec<RetryOnEnum> {
    vec![RetryOnEnum::GatewayError, RetryOnEnum::ConnectFailure, RetryOnEnum::RefusedStream]
}

impl RedirectInput {
    pub(super) fn parse(self) -> Result<Redirect, Invalid> {
        let parse = || {
            Ok(Redirect {
                https: self.https,
                host: self.host.map(|host| host.try_into().at("host")).transpose()?,
                port: self.port.map(|port| number(port).at("port")).transpose()?,
                path: self.path.map(|path| path.try_into().at("path")).transpose()?,
                code: self.code.into(),
            })
        };
        parse().map_err(|e: Invalid| e.within("redirect"))
    }
}
