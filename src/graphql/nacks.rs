//! What proxies refuse, and what is behind it.

use std::sync::Arc;

use async_graphql::{Context, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};

use super::loaders;
use super::node::NodeObject;
use super::scalars::Time;
use super::xds_nodes::{XdsTypeEnum, resource_type};
use crate::compile::blame::{self, Owner};
use crate::error::Error;
use crate::model::{KeptRefusal, Nack, NodeGroupId, Revision};
use crate::nodes::Refusal;

/// A response that a proxy refused.
pub(super) struct RefusalObject {
    refusal: Arc<Refusal>,
    group: NodeGroupId,
}

/// A resource that a proxy complains about, and what is behind it.
#[derive(SimpleObject)]
#[graphql(name = "Culprit")]
pub(super) struct CulpritObject {
    /// What the resource is called.
    resource_name: String,
    /// What the resource comes of: a service, a route, a listener, a certificate or a node
    /// group. Null if that is gone by now, or cannot be told.
    object: Option<NodeObject>,
    /// The field of its input that is wrong, as a path such as `path.regex`; null if the
    /// proxy's words do not tell.
    field: Option<String>,
}

/// The first refusal of something that a snapshot changed.
#[derive(SimpleObject)]
#[graphql(name = "FirstNack")]
pub(super) struct FirstNackObject {
    /// What the proxy calls itself.
    node_id: String,
    /// What it refused.
    nack: RefusalObject,
}

impl RefusalObject {
    /// What a node of `group` refused.
    pub(super) fn new(group: NodeGroupId, refusal: Arc<Refusal>) -> Self {
        Self { refusal, group }
    }

    /// What is kept of a refusal at `revision` of `group`; none if the type is unknown.
    pub(super) fn kept(
        group: NodeGroupId,
        revision: Revision,
        nack: Nack,
        at: DateTime<Utc>,
    ) -> Option<Self> {
        let names = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        let refusal = Refusal {
            resource_type: resource_type(&nack.resource_type)?,
            version: nack.version.into(),
            revision,
            code: nack.code,
            message: nack.message,
            resources: names(nack.resources),
            culprits: names(nack.culprits),
            at,
        };
        Some(Self::new(group, Arc::new(refusal)))
    }
}

impl FirstNackObject {
    /// What history keeps of a refusal at `revision` of `group`.
    pub(super) fn new(group: NodeGroupId, revision: Revision, kept: KeptRefusal) -> Option<Self> {
        let KeptRefusal { node, nack, at } = kept;
        Some(Self { node_id: node, nack: RefusalObject::kept(group, revision, nack, at)? })
    }
}

/// A response that a proxy refused.
#[Object(name = "Nack")]
impl RefusalObject {
    /// Of which type the response was.
    #[graphql(name = "type")]
    async fn resource_type(&self) -> XdsTypeEnum {
        self.refusal.resource_type.into()
    }

    /// The version that was refused.
    async fn version(&self) -> &str {
        &self.refusal.version
    }

    /// The group's revision that it was compiled from.
    async fn revision(&self) -> i64 {
        self.refusal.revision.into()
    }

    /// The proxy's status code; not a stable one.
    async fn code(&self) -> i32 {
        self.refusal.code
    }

    /// The proxy's own words.
    async fn message(&self) -> &str {
        &self.refusal.message
    }

    /// The resources in the refused response.
    async fn resource_names(&self) -> Vec<&str> {
        self.refusal.resources.iter().map(|name| &**name).collect()
    }

    /// Those of them that the proxy's words name, or that were found to be to blame; and
    /// what is behind each. A resource that several routes are part of may stand here
    /// for each route that is to blame.
    async fn culprits(&self, ctx: &Context<'_>) -> Result<Vec<CulpritObject>> {
        let Refusal { resource_type, culprits, message, .. } = &*self.refusal;
        let nouns = loaders::nouns(ctx, self.group).await?;
        let found = blame::culprits(self.group, &nouns, *resource_type, culprits, message);
        let mut shown = vec![];
        for blame::Culprit { resource, owner, field } in found {
            let object = object(ctx, owner).await?;
            shown.push(CulpritObject { resource_name: resource.to_string(), object, field });
        }
        Ok(shown)
    }

    /// When.
    async fn at(&self) -> Time {
        Time(self.refusal.at)
    }
}

/// What is behind a resource, if there is such a thing and the actor may see it.
pub(super) async fn object(
    ctx: &Context<'_>,
    owner: Option<Owner>,
) -> Result<Option<NodeObject>, Error> {
    use super::{certificates, listeners, routes};
    let Some(owner) = owner else { return Ok(None) };
    Ok(match owner {
        Owner::Service(id) => loaders::find_service(ctx, id).await?.map(Into::into),
        Owner::NodeGroup(id) => match loaders::node_group(ctx, id).await {
            Ok(group) => Some(group.into()),
            Err(Error::NotFound { .. } | Error::Forbidden) => None,
            Err(error) => return Err(error),
        },
        Owner::Listener(listener) => Some(listeners::ListenerObject(listener).into()),
        Owner::Route(route) => Some(routes::RouteObject(route).into()),
        Owner::Certificate(certificate) => {
            Some(certificates::CertificateObject(*certificate).into())
        }
    })
}
