//! What clients get of a route.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use crate::graphql::global_id::GlobalId as _;
use crate::graphql::labels::{self, LabelObject};
use crate::graphql::listeners::ListenerObject;
use crate::graphql::loaders;
use crate::graphql::node_groups::NodeGroupObject;
use crate::graphql::scalars::Time;
use crate::graphql::services::ServiceObject;
use crate::model::{Backend, Forward, HeaderMatch, PathMatch, Route, RouteAction, TextMatch};

/// A request method.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "HttpMethod", remote = "crate::model::HttpMethod")]
pub(in crate::graphql) enum HttpMethodEnum {
    /// Takes away.
    Delete,
    /// Reads.
    Get,
    /// Reads the headers only.
    Head,
    /// Asks what can be done.
    Options,
    /// Changes in part.
    Patch,
    /// Hands something in.
    Post,
    /// Replaces.
    Put,
    /// Has the request sent back.
    Trace,
}

/// A failure after which a request may be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RetryOn", remote = "crate::model::RetryOn")]
pub(in crate::graphql) enum RetryOnEnum {
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
    #[graphql(name = "RETRIABLE_4XX")]
    Retriable4xx,
}

/// The status of a redirect.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "RedirectCode", remote = "crate::model::RedirectCode")]
pub(in crate::graphql) enum RedirectCodeEnum {
    /// 301; the client may change the method to GET.
    MovedPermanently,
    /// 302; the client may change the method to GET.
    Found,
    /// 303; the client changes the method to GET.
    SeeOther,
    /// 307; the client keeps the method.
    TemporaryRedirect,
    /// 308; the client keeps the method.
    PermanentRedirect,
}

/// Which requests go where.
pub(in crate::graphql) struct RouteObject(pub(in crate::graphql) Route);

/// How a route looks at the path of a request; one of the three.
#[derive(Default, SimpleObject)]
#[graphql(name = "PathMatch")]
pub(in crate::graphql) struct PathMatchObject {
    /// The path starts with this.
    prefix: Option<String>,
    /// The path is this.
    exact: Option<String>,
    /// The whole path matches this regular expression (RE2).
    regex: Option<String>,
}

/// A header that a request must have; whatever it says, if nothing is said.
#[derive(Default, SimpleObject)]
#[graphql(name = "HeaderMatch")]
pub(in crate::graphql) struct HeaderMatchObject {
    /// Which header.
    name: String,
    /// It says this.
    exact: Option<String>,
    /// It starts with this.
    prefix: Option<String>,
    /// All of it matches this regular expression (RE2).
    regex: Option<String>,
}

/// How a request goes on to one of several services.
pub(in crate::graphql) struct ForwardObject(Forward);

/// A service that requests may go to, and its share.
pub(in crate::graphql) struct BackendObject(Backend);

/// How a failed request is tried again.
#[derive(SimpleObject)]
#[graphql(name = "Retries")]
pub(in crate::graphql) struct RetriesObject {
    /// How many times more.
    attempts: i32,
    /// How long each may take, in milliseconds; no longer than all of it if null.
    per_try_timeout_ms: Option<i32>,
    /// After which failures.
    on: Vec<RetryOnEnum>,
}

/// Where a client is told to ask instead.
#[derive(SimpleObject)]
#[graphql(name = "Redirect")]
pub(in crate::graphql) struct RedirectObject {
    /// Whether to ask encrypted.
    https: bool,
    /// Another host.
    host: Option<String>,
    /// Another port.
    port: Option<i32>,
    /// Another path.
    path: Option<String>,
    /// The status of the answer.
    code: RedirectCodeEnum,
}

/// Which requests go where.
#[Object(name = "Route")]
impl RouteObject {
    /// Its global id.
    pub(in crate::graphql) async fn id(&self) -> ID {
        self.0.id.global()
    }

    /// Unique in its group.
    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    /// The node group that it belongs to.
    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        Ok(loaders::node_group(ctx, self.0.group).await?)
    }

    /// The listener whose requests it looks at.
    async fn listener(&self, ctx: &Context<'_>) -> Result<ListenerObject> {
        Ok(loaders::listener(ctx, self.0.spec.listener).await?)
    }

    /// Which hosts.
    async fn hosts(&self) -> Vec<String> {
        self.0.spec.hosts.iter().map(ToString::to_string).collect()
    }

    /// Which paths.
    async fn path(&self) -> PathMatchObject {
        let mut shown = PathMatchObject::default();
        match &self.0.spec.path {
            PathMatch::Prefix(path) => shown.prefix = Some(path.to_string()),
            PathMatch::Exact(path) => shown.exact = Some(path.to_string()),
            PathMatch::Regex(pattern) => shown.regex = Some(pattern.to_string()),
        }
        shown
    }

    /// Which methods; any if there is none.
    async fn methods(&self) -> Vec<HttpMethodEnum> {
        self.0.spec.methods.iter().copied().map(Into::into).collect()
    }

    /// Which headers, all of them.
    async fn headers(&self) -> Vec<HeaderMatchObject> {
        self.0.spec.headers.iter().map(HeaderMatchObject::from).collect()
    }

    /// Higher is asked first.
    async fn priority(&self) -> i32 {
        self.0.spec.priority
    }

    /// How a request goes on; null if it is redirected.
    async fn forward(&self) -> Option<ForwardObject> {
        match &self.0.spec.action {
            RouteAction::Forward(forward) => Some(ForwardObject(forward.clone())),
            RouteAction::Redirect(_) => None,
        }
    }

    /// Where a client is told to ask instead; null if the request goes on.
    async fn redirect(&self) -> Option<RedirectObject> {
        match &self.0.spec.action {
            RouteAction::Forward(_) => None,
            RouteAction::Redirect(redirect) => Some(RedirectObject {
                https: redirect.https,
                host: redirect.host.as_ref().map(ToString::to_string),
                port: redirect.port.map(Into::into),
                path: redirect.path.as_ref().map(ToString::to_string),
                code: redirect.code.into(),
            }),
        }
    }

    /// What people sort it by, by key.
    async fn labels(&self) -> Vec<LabelObject> {
        labels::shown(&self.0.spec.labels)
    }

    /// The group's revision at which it was last changed; goes into `ifRevision`.
    async fn revision(&self) -> i64 {
        self.0.revision.into()
    }

    /// When it was made.
    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    /// When it was last changed.
    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}

/// Where a request is sent, and how.
#[Object(name = "Forward")]
impl ForwardObject {
    /// The services that it may go to.
    async fn backends(&self) -> Vec<BackendObject> {
        self.0.backends.iter().copied().map(BackendObject).collect()
    }

    /// Milliseconds; null leaves it to the service, 0 is no limit.
    async fn timeout_ms(&self) -> Option<i32> {
        self.0.timeout.map(Into::into)
    }

    /// How it is tried again if it fails; not at all if null.
    async fn retries(&self) -> Option<RetriesObject> {
        self.0.retries.as_ref().map(|retries| RetriesObject {
            attempts: retries.attempts.into(),
            per_try_timeout_ms: retries.per_try_timeout.map(Into::into),
            on: retries.on.iter().copied().map(Into::into).collect(),
        })
    }

    /// What takes the place of the matched prefix of the path.
    async fn prefix_rewrite(&self) -> Option<&str> {
        self.0.prefix_rewrite.as_ref().map(|path| path.as_str())
    }

    /// What takes the place of the `Host` header.
    async fn host_rewrite(&self) -> Option<String> {
        self.0.host_rewrite.as_ref().map(ToString::to_string)
    }

    /// Whether it may become a WebSocket.
    async fn websocket(&self) -> bool {
        self.0.websocket
    }
}

/// A service that requests may go to, and its share.
#[Object(name = "Backend")]
impl BackendObject {
    /// The service.
    async fn service(&self, ctx: &Context<'_>) -> Result<ServiceObject> {
        Ok(loaders::service(ctx, self.0.service).await?)
    }

    /// 0 to 10000, relative to the other backends.
    async fn weight(&self) -> i32 {
        self.0.weight.into()
    }
}

impl From<&HeaderMatch> for HeaderMatchObject {
    fn from(header: &HeaderMatch) -> Self {
        let mut shown = Self { name: header.name.to_string(), ..Self::default() };
        match &header.value {
            TextMatch::Present => {}
            TextMatch::Exact(value) => shown.exact = Some(value.clone()),
            TextMatch::Prefix(value) => shown.prefix = Some(value.clone()),
            TextMatch::Regex(pattern) => shown.regex = Some(pattern.to_string()),
        }
        shown
    }
}
