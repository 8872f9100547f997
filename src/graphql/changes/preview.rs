//! What several changes would come to.

use async_graphql::{Context, Enum, ID, InputObject, Object, Result, SimpleObject};

use super::super::app_and_actor;
use super::super::global_id::{GlobalId as _, optional};
use super::super::page::{Paged, Slice};
use super::super::parse::in_input;
use super::super::payload::{UserErrorCode, UserErrorObject};
use super::super::scalars::int;
use super::super::snapshots::{
    DifferenceEnum, ObjectDifference, ResourceDifference, kind_of, resource_type,
};
use super::super::xds_nodes::{XdsNodeObject, XdsTypeEnum};
use super::ChangeInput;
use crate::app::{ChangedItem, Changes, Preview, PreviewDiff, Problem, ReachedNode};
use crate::error::Error;
use crate::history::{Drain, DrainCause};
use crate::model::{Invalid, NodeGroupId};
use crate::pgv::ViolationKind;

#[derive(Default)]
pub(in super::super) struct PreviewQuery;

/// Changes of a node group to look at before they are made.
#[derive(InputObject)]
pub(super) struct PreviewInput {
    /// The node group that all of them are made in; the default one if not said.
    group: Option<ID>,
    /// 1 to 100, as those of `applyChanges`.
    changes: Vec<ChangeInput>,
}

pub(super) struct PreviewObject {
    group: NodeGroupId,
    diff: Option<PreviewDiffObject>,
    problems: Vec<Problem>,
    nodes: Vec<ReachedNode>,
    drains: Vec<Drain>,
}

pub(super) struct PreviewDiffObject(PreviewDiff);

/// How bad a problem is.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProblemSeverity")]
pub(super) enum SeverityEnum {
    /// The changes are refused, or what comes of them is, by every Envoy.
    Error,
    /// It works for now.
    Warning,
}

/// What a problem is. There may come more.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProblemCode")]
pub(super) enum ProblemCodeEnum {
    /// Another one has that name already.
    AlreadyExists,
    /// Things are not (any more) as the changes take them to be.
    Conflict,
    /// Something else needs it.
    InUse,
    /// The input breaks a rule.
    Invalid,
    /// The licence does not allow it.
    LicenceLimit,
    /// There are as many as there may be.
    Limit,
    /// There is no such thing, or none that you may see.
    NotFound,
    /// A rule is against it, however it is put.
    Refused,
    /// A store of secrets says no, or has nothing that helps.
    Source,
    /// A resource breaks a rule of Envoy's API.
    ApiRule,
    /// A resource says something that Envoy's API calls deprecated.
    Deprecated,
}

/// Something that is wrong with changes, or with what they come to.
#[derive(SimpleObject)]
#[graphql(name = "PreviewProblem")]
pub(super) struct ProblemObject {
    /// How bad it is.
    severity: SeverityEnum,
    /// For programs.
    code: ProblemCodeEnum,
    /// For people.
    message: String,
    /// The way to the argument that is wrong, as in
    /// `["input", "changes", "3", "updateRoute", "path", "regex"]`. Of a resource: the way to
    /// the change that it comes of; null if that cannot be told.
    field: Option<Vec<String>>,
    /// The resource that is wrong, if it is one.
    resource: Option<ProblemResource>,
}

/// A resource that is wrong.
#[derive(SimpleObject)]
pub(super) struct ProblemResource {
    /// Of which type it is.
    #[graphql(name = "type")]
    resource_type: XdsTypeEnum,
    /// What it is called.
    name: String,
    /// The way to what is wrong in it, as in `filter_chains[0].filters[1].name`; empty
    /// for the resource as a whole.
    path: String,
}

/// A proxy that the changes would reach.
#[derive(SimpleObject)]
#[graphql(name = "PreviewNode")]
pub(super) struct NodeObject {
    /// The proxy.
    node: XdsNodeObject,
    /// The types that would change and that it asks for; it hears of nothing if there is
    /// none.
    types: Vec<XdsTypeEnum>,
}

/// Which connections of a listener Envoys would close, and why.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "DrainCause", remote = "DrainCause")]
pub(super) enum DrainCauseEnum {
    /// All: the listener goes.
    Removed,
    /// All: it binds another address, or is another listener in any other way.
    Replaced,
    /// Those that its filter chains have accepted which become others: it reads requests or
    /// hands connections on in another way, or proves itself with another certificate.
    FilterChains,
}

/// A listener whose connections Envoys would close, after a while.
#[derive(SimpleObject)]
#[graphql(name = "ListenerDrain")]
pub(super) struct DrainObject {
    /// What it is called.
    listener: String,
    /// Which connections, and why.
    cause: DrainCauseEnum,
}

#[Object]
impl PreviewQuery {
    /// What several changes of a node group would come to, for whoever may make them.
    /// They are made and compiled, and then given up. Ask by POST where a key is among
    /// them: addresses are logged.
    async fn preview(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to do.")] input: PreviewInput,
    ) -> Result<PreviewObject> {
        let (app, actor) = app_and_actor(ctx)?;
        let changes = in_input(input.parse())?;
        Ok(in_input(app.preview(actor, changes).await)?.into())
    }
}

impl PreviewInput {
    fn parse(self) -> Result<Changes, Invalid> {
        Ok(Changes {
            group: optional(self.group.as_ref(), "group")?,
            changes: self.changes.into_iter().map(ChangeInput::read).collect(),
            message: None,
        })
    }
}

impl From<Preview> for PreviewObject {
    fn from(Preview { group, diff, problems, nodes, drains }: Preview) -> Self {
        Self { group, diff: diff.map(PreviewDiffObject), problems, nodes, drains }
    }
}

/// What several changes would come to.
#[Object(name = "Preview")]
impl PreviewObject {
    /// The node group that they are made in.
    async fn node_group_id(&self) -> ID {
        self.group.global()
    }

    /// What would not be the same as in the newest snapshot; null if the changes are
    /// refused.
    async fn diff(&self) -> Option<&PreviewDiffObject> {
        self.diff.as_ref()
    }

    /// What is wrong with the changes, or with the resources that they change. What only an
    /// Envoy can know, for instance that a port is taken, is not among it.
    async fn problems(&self) -> Vec<ProblemObject> {
        self.problems.iter().map(ProblemObject::of).collect()
    }

    /// The connected proxies of the node group, as this process has seen them; none if the
    /// changes are refused.
    async fn nodes(&self) -> Vec<NodeObject> {
        let nodes = self.nodes.iter();
        nodes
            .map(|ReachedNode { node, types }| NodeObject {
                node: XdsNodeObject(node.clone()),
                types: types.iter().map(|of| (*of).into()).collect(),
            })
            .collect()
    }

    /// The listeners whose connections Envoys would close. Changed routes, clusters and
    /// secrets close none.
    async fn drains(&self) -> Vec<DrainObject> {
        let drains = self.drains.iter().cloned();
        drains
            .map(|Drain { listener, cause }| DrainObject { listener, cause: cause.into() })
            .collect()
    }
}

/// What would not be the same as in the newest snapshot of a node group.
#[Object(name = "PreviewDiff")]
impl PreviewDiffObject {
    /// How many resources would be added.
    async fn added(&self) -> i32 {
        self.count(DifferenceEnum::Added)
    }

    /// How many resources would be removed.
    async fn removed(&self) -> i32 {
        self.count(DifferenceEnum::Removed)
    }

    /// How many resources would be changed.
    async fn changed(&self) -> i32 {
        self.count(DifferenceEnum::Changed)
    }

    /// The resources that would not be the same.
    async fn resources(
        &self,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ResourceDifference>> {
        let slice = Slice::parse(first, after.as_deref())?;
        let (changes, places) = slice.part(self.0.resources.clone());
        let rows = places.zip(changes).collect();
        Ok(slice.present(rows, |(place, _)| *place, |(_, change)| change.into()))
    }

    /// What people would have configured otherwise. What is new has an id that is not its
    /// own yet: something else may be given it until it is made.
    async fn objects(
        &self,
        #[graphql(desc = "How many at the most; 1 to 200.", default = 50)] first: i64,
        #[graphql(desc = "The cursor that the page comes after, as `pageInfo.endCursor`.")]
        after: Option<String>,
    ) -> Result<Paged<ObjectDifference>> {
        let slice = Slice::parse(first, after.as_deref())?;
        let (changes, places) = slice.part(self.0.objects.clone());
        let changes = changes.into_iter().map(ObjectDifference::try_from);
        let rows = places.zip(changes.collect::<Result<Vec<_>, Error>>()?).collect();
        Ok(slice.present(rows, |(place, _)| *place, |(_, difference)| difference))
    }
}

impl PreviewDiffObject {
    fn count(&self, kind: DifferenceEnum) -> i32 {
        let resources = self.0.resources.iter();
        int(resources.filter(|ChangedItem { change, .. }| kind_of(change) == kind).count())
    }
}

impl ProblemObject {
    fn of(problem: &Problem) -> Self {
        let severity =
            if problem.is_warning() { SeverityEnum::Warning } else { SeverityEnum::Error };
        match problem {
            Problem::Refused(error) => {
                let code = UserErrorObject::of(error).map(|error| error.code.into());
                Self {
                    severity,
                    code: code.unwrap_or(ProblemCodeEnum::Refused),
                    message: error.to_string(),
                    field: Some(input(error.path())),
                    resource: None,
                }
            }
            Problem::Resource { kind, name, violation, change } => Self {
                severity,
                code: match violation.kind {
                    ViolationKind::Rule => ProblemCodeEnum::ApiRule,
                    ViolationKind::Deprecated => ProblemCodeEnum::Deprecated,
                },
                message: violation.reason.clone(),
                field: Some(input(change)).filter(|_| !change.is_empty()),
                resource: Some(ProblemResource {
                    resource_type: resource_type(kind),
                    name: name.clone(),
                    path: violation.path.clone(),
                }),
            },
        }
    }
}

/// The way to something in the argument.
fn input(path: &[String]) -> Vec<String> {
    ["input".to_owned()].into_iter().chain(path.iter().cloned()).collect()
}

impl From<UserErrorCode> for ProblemCodeEnum {
    fn from(code: UserErrorCode) -> Self {
        match code {
            UserErrorCode::AlreadyExists => Self::AlreadyExists,
            UserErrorCode::Conflict => Self::Conflict,
            UserErrorCode::InUse => Self::InUse,
            UserErrorCode::Invalid => Self::Invalid,
            UserErrorCode::LicenceLimit => Self::LicenceLimit,
            UserErrorCode::Limit => Self::Limit,
            UserErrorCode::NotFound => Self::NotFound,
            UserErrorCode::Refused => Self::Refused,
            UserErrorCode::Source => Self::Source,
        }
    }
}
