//! What several changes would come to, and what would be wrong with that.
//!
//! They are made as [`App::apply_changes`] makes them, and then given up. So what is
//! found is what would be, whatever else there is in the database.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use marchproxy_xds::ResourceType;
use tokio::task::spawn_blocking;

use super::changes::{Changes, Progress, checked};
use super::{App, ChangedItem, Compiled, Edit};
use crate::auth::{Actor, Operation};
use crate::compile::TYPES;
use crate::error::{Error, Result};
use crate::history::{self, Drain, ItemChange};
use crate::model::{Item, ItemKind, KeptItem, NodeGroupId, Which};
use crate::nodes::NodeStatus;
use crate::pgv::{self, Violation, ViolationKind};

/// What several changes would come to.
#[derive(Debug)]
pub struct Preview {
    /// Whose changes they are.
    pub group: NodeGroupId,
    /// What would differ; none if the changes would be refused.
    pub diff: Option<PreviewDiff>,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// The connected nodes of the group.
    pub nodes: Vec<ReachedNode>,
    /// The listeners that would close connections, by name.
    pub drains: Vec<Drain>,
}

/// What would differ from the group's newest snapshot, in order.
#[derive(Debug)]
pub struct PreviewDiff {
    /// Of the resources.
    pub resources: Vec<ChangedItem>,
    /// Of what people configured.
    pub objects: Vec<ChangedItem>,
}

/// Something that is wrong with changes, or with what they come to.
#[derive(Debug)]
pub enum Problem {
    /// They are refused, for this reason.
    Refused(Error),
    /// What one resource would say is against Envoy's API.
    Resource {
        /// The type of the resource (`cluster`).
        kind: String,
        /// Its name.
        name: String,
        /// What is wrong with it.
        violation: Violation,
        /// The way to the change that it comes of; empty if that cannot be told.
        change: Vec<String>,
    },
}

/// A node of the group.
#[derive(Debug)]
pub struct ReachedNode {
    /// The node.
    pub node: Arc<NodeStatus>,
    /// The types that it asks for and that would change.
    pub types: Vec<ResourceType>,
}

impl Problem {
    /// Whether it only warns: things work all the same, for now.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Resource { violation, .. } => violation.kind == ViolationKind::Deprecated,
        }
    }
}

impl App {
    /// Finds out what several changes of a group would come to. Nothing is kept.
    ///
    /// Each change is tried, whatever is wrong with the ones before it.
    #[tracing::instrument(skip_all, fields(changes = changes.changes.len()))]
    pub async fn preview(&self, actor: &Actor, changes: Changes) -> Result<Preview> {
        let Changes { group, changes, message } = changes;
        let checked = checked(&changes, message);
        let app = self.dry_run(true);
        let group = group.unwrap_or(self.default_group());
        let edit = app.begin(actor, Operation::Preview, group).await?;
        if let Err(invalid) = checked {
            return Ok(refused(group, vec![invalid.into()]));
        }
        let (mut progress, mut errors) = (Progress::default(), vec![]);
        for (place, change) in changes.into_iter().enumerate() {
            let field = change.field;
            edit.tx.mark().await?;
            match edit.step(place, change, &mut progress).await {
                Ok(()) => edit.tx.forget_mark().await?,
                Err(error) if error.can_be_mended() => {
                    edit.tx.back_to_mark().await?;
                    progress.skip(field);
                    errors.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        // What can be made may still not fit together.
        match edit.compile().await? {
            Ok(compiled) if errors.is_empty() => edit.previewed(compiled, &progress).await,
            Ok(_) => Ok(refused(group, errors)),
            Err(error) => match progress.blame(error) {
                error if error.can_be_mended() => {
                    errors.push(error);
                    Ok(refused(group, errors))
                }
                error => Err(error),
            },
        }
    }
}

/// What is said of changes that would be refused.
fn refused(group: NodeGroupId, errors: Vec<Error>) -> Preview {
    let problems = errors.into_iter().map(Problem::Refused).collect();
    Preview { group, diff: None, problems, nodes: vec![], drains: vec![] }
}

impl Edit<'_> {
    /// Compares what the changes come to with what there is, and gives them up.
    async fn previewed(self, compiled: Compiled, progress: &Progress) -> Result<Preview> {
        let (tx, group) = (&self.tx, self.group);
        let newest = tx.snapshots(group, None, 1).await?.into_iter().next();
        let mut changes = vec![];
        let mut before = vec![];
        for which in [Which::Resources, Which::Desired] {
            let from = match &newest {
                Some(newest) => tx.items(group, newest.revision, which).await?,
                None => vec![],
            };
            let to = compiled.items.iter().map(|kept| &kept.item);
            let to = to.filter(|item| item.kind.is_among(which)).cloned().collect();
            let changed = history::changes(from, to);
            let gone = changed.iter().filter_map(|change| change.from.clone());
            before.extend(tx.contents(gone.collect()).await?);
            changes.push(changed);
        }
        let app = self.app;
        self.tx.commit().await?; // of a dry run: it is rolled back
        let types: HashSet<String> = changes[0].iter().map(|c| type_name(&c.kind)).collect();
        let (diff, mut problems, drains) =
            spawn_blocking(move || compared(changes, &before, &compiled.items))
                .await
                .map_err(Error::internal)??;
        for problem in &mut problems {
            if let Problem::Resource { kind, name, change, .. } = problem
                && let Some(of) = TYPES.into_iter().find(|of| of.to_string() == *kind)
            {
                *change = progress.place_of(group, of, name).unwrap_or_default();
            }
        }
        let nodes = app.reached(group, &types);
        Ok(Preview { group, diff: Some(diff), problems, nodes, drains })
    }
}

impl App {
    /// The connected nodes of a group, each with those of the types that it asks for.
    fn reached(&self, group: NodeGroupId, types: &HashSet<String>) -> Vec<ReachedNode> {
        let connected = self.0.nodes.list(Some(group)).into_iter().filter(|n| n.is_connected());
        let reached = connected.map(|node| {
            let asked = TYPES.into_iter().filter(|of| node.types.contains_key(of));
            let types = asked.filter(|of| types.contains(&of.to_string())).collect();
            ReachedNode { types, node }
        });
        reached.collect()
    }
}

/// What is different, what is wrong with it, and which listeners would close connections.
fn compared(
    changes: Vec<Vec<ItemChange>>,
    before: &[KeptItem],
    after: &[KeptItem],
) -> Result<(PreviewDiff, Vec<Problem>, Vec<Drain>)> {
    let contents: HashMap<&Item, &KeptItem> =
        before.iter().chain(after).map(|kept| (&kept.item, kept)).collect();
    let mut changes = changes.into_iter();
    let (resources, objects) =
        (changes.next().unwrap_or_default(), changes.next().unwrap_or_default());
    let side = |item: &Option<Item>| item.as_ref().and_then(|item| contents.get(item).copied());
    let mut problems = vec![];
    let mut drains = vec![];
    for change in &resources {
        let (from, to) = (side(&change.from), side(&change.to));
        let broken = to.map(|kept| pgv::violations(&kept.content)).unwrap_or_default();
        problems.extend(broken.into_iter().map(|violation| Problem::Resource {
            kind: type_name(&change.kind),
            name: change.name.clone(),
            violation,
            change: vec![],
        }));
        drains.extend(history::drain(from, to)?);
    }
    let shown = |changes: Vec<ItemChange>| {
        let shown = changes.into_iter().map(|change| {
            let json = |item| side(item).map(history::json).transpose();
            let (from, to) = (json(&change.from)?, json(&change.to)?);
            let diff = history::unified_diff(from.as_ref(), to.as_ref());
            Ok(ChangedItem { change, diff })
        });
        shown.collect::<Result<Vec<_>>>()
    };
    let diff = PreviewDiff { resources: shown(resources)?, objects: shown(objects)? };
    Ok((diff, problems, drains))
}

/// The type of a resource, by its name.
fn type_name(kind: &ItemKind) -> String {
    match kind {
        ItemKind::Resource(name) => name.clone(),
        ItemKind::Desired(noun) => noun.as_str().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::listener::v3 as envoy_listener;
    use marchproxy_xds::Resource;

    use super::*;

    #[test]
    fn what_is_deprecated_only_warns_and_what_is_against_a_rule_does_more() {
        #[expect(deprecated, reason = "that is what is tested")]
        let listener = envoy_listener::Listener {
            name: "l".to_owned(),
            reuse_port: true,
            ..Default::default()
        };
        let listener = Resource::encode(ResourceType::Listener, "l", &listener);
        let kind = ItemKind::Resource(ResourceType::Listener.to_string());
        let item = Item { kind, name: "l".to_owned(), hash: listener.version().to_string() };
        let after = [KeptItem { item: item.clone(), content: listener.body().to_vec() }];
        let changes = vec![history::changes(vec![], vec![item]), vec![]];
        let (diff, problems, drains) = compared(changes, &[], &after).unwrap();
        assert_eq!((diff.resources.len(), diff.objects.len(), drains), (1, 0, vec![]));
        let [warning] = problems.as_slice() else { panic!("{problems:?}") };
        let Problem::Resource { kind, name, violation, .. } = warning else {
            panic!("{warning:?}")
        };
        assert_eq!((kind.as_str(), name.as_str()), ("listener", "l"));
        assert_eq!(violation.path, "reuse_port");
        assert!(warning.is_warning());
        let violation = Violation { kind: ViolationKind::Rule, ..violation.clone() };
        let (kind, name) = (kind.clone(), name.clone());
        assert!(!Problem::Resource { kind, name, violation, change: vec![] }.is_warning());
        assert!(!Problem::Refused(Error::Refused("no")).is_warning());
    }
}
