//! What clients get of a route.

use async_graphql::{Context, Enum, ID, Object, Result, SimpleObject};

use crate::error::Error;
use crate::graphql::app_and_actor;
use crate::graphql::global_id::GlobalId as _;
use crate::graphql::listeners::ListenerObject;
use crate::graphql::loaders::{Asked, Loaders};
use crate::graphql::node_groups::NodeGroupObject;
use crate::graphql::scalars::Time;
use crate::graphql::services::ServiceObject;
use crate::model::{Backend, Forward, HeaderMatch, PathMatch, Route, RouteAction, TextMatch};

/// A request method.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "HttpMethod", remote = "crate::model::HttpMethod")]
pub(in crate::graphql) enum HttpMethodEnum {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
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
    prefix: Option<String>,
    exact: Option<String>,
    regex: Option<String>,
}

/// A header that a request must have; whatever it says, if nothing is said.
#[derive(Default, SimpleObject)]
#[graphql(name = "HeaderMatch")]
pub(in crate::graphql) struct HeaderMatchObject {
    name: String,
    exact: Option<String>,
    prefix: Option<String>,
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
    attempts: i32,
    per_try_timeout_ms: Option<i32>,
    on: Vec<RetryOnEnum>,
}

/// Where a client is told to ask instead.
#[derive(SimpleObject)]
#[graphql(name = "Redirect")]
pub(in crate::graphql) struct RedirectObject {
    https: bool,
    host: Option<String>,
    port: Option<i32>,
    path: Option<String>,
    code: RedirectCodeEnum,
}

#[Object(name = "Route")]
impl RouteObject {
    async fn id(&self) -> ID {
        self.0.id.global()
    }

    async fn name(&self) -> &str {
        self.0.spec.name.as_str()
    }

    async fn node_group(&self, ctx: &Context<'_>) -> Result<NodeGroupObject> {
        let (app, actor) = app_and_actor(ctx)?;
        Ok(NodeGroupObject(app.node_group(actor, self.0.group).await?))
    }

    /// The listener whose requests it looks at.
    async fn listener(&self, ctx: &Context<'_>) -> Result<ListenerObject> {
        let (_, actor) = app_and_actor(ctx)?;
        let asked = Asked { actor: actor.clone(), key: self.0.spec.listener };
        let loaded = ctx.data_unchecked::<Loaders>().0.load_one(asked).await;
        let listener = loaded.map_err(Error::internal)?;
        let gone = || Error::not_found("listener", self.0.spec.listener);
        Ok(ListenerObject(listener.ok_or_else(gone)?))
    }

    async fn hosts(&self) -> Vec<String> {
        self.0.spec.hosts.iter().map(ToString::to_string).collect()
    }

    async fn path(&self) -> PathMatchObject {
        let mut shown = PathMatchObject::default();
        match &self.0.spec.path {
            PathMatch::Prefix(path) => shown.prefix = Some(path.to_string()),
            PathMatch::Exact(path) => shown.exact = Some(path.to_string()),
            PathMatch::Regex(pattern) => shown.regex = Some(pattern.to_string()),
        }
        shown
    }

    async fn methods(&self) -> Vec<HttpMethodEnum> {
        self.0.spec.methods.iter().copied().map(Into::into).collect()
    }

    async fn headers(&self) -> Vec<HeaderMatchObject> {
        self.0.spec.headers.iter().map(HeaderMatchObject::from).collect()
    }

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

    async fn created_at(&self) -> Time {
        Time(self.0.created_at)
    }

    async fn updated_at(&self) -> Time {
        Time(self.0.updated_at)
    }
}

#[Object(name = "Forward")]
impl ForwardObject {
    async fn backends(&self) -> Vec<BackendObject> {
        self.0.backends.iter().copied().map(BackendObject).collect()
    }

    /// Milliseconds; null leaves it to the service, 0 is no limit.
    async fn timeout_ms(&self) -> Option<i32> {
        self.0.timeout.map(Into::into)
    }

    async fn retries(&self) -> Option<RetriesObject> {
        self.0.retries.as_ref().map(|retries| RetriesObject {
            attempts: retries.attempts.into(),
            per_try_timeout_ms: retries.per_try_timeout.map(Into::into),
            on: retries.on.iter().copied().map(Into::into).collect(),
        })
    }

    async fn prefix_rewrite(&self) -> Option<&str> {
        self.0.prefix_rewrite.as_ref().map(|path| path.as_str())
    }

    async fn host_rewrite(&self) -> Option<String> {
        self.0.host_rewrite.as_ref().map(ToString::to_string)
    }

    async fn websocket(&self) -> bool {
        self.0.websocket
    }
}

#[Object(name = "Backend")]
impl BackendObject {
    async fn service(&self, ctx: &Context<'_>) -> Result<ServiceObject> {
        let (_, actor) = app_and_actor(ctx)?;
        let asked = Asked { actor: actor.clone(), key: self.0.service };
        let loaded = ctx.data_unchecked::<Loaders>().0.load_one(asked).await;
        let service = loaded.map_err(Error::internal)?;
        let gone = || Error::not_found("service", self.0.service);
        Ok(ServiceObject(service.ok_or_else(gone)?))
    }

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
