//! What history keeps: each content once, and the revisions that had it.
//!
//! A thing of a group has a span for each content that it had: from the first
//! revision that had it so to the first that had not. A change closes the spans
//! of what it changed and opens new ones; what it left alone costs nothing.

use std::collections::{BTreeMap, HashMap};

use marchproxy_schema::{history_blob, history_span, snapshot};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Set,
};

use super::Tx;
use super::rows::Row;
use crate::error::{Error, Result};
use crate::model::{Item, ItemKind, KeptItem, NodeGroupId, Revision, Which};

/// How many rows go into one statement: databases bound its parameters.
const CHUNK: usize = 1000;

impl Tx {
    /// Keeps what `revision`, the newest of `group`, is made of.
    pub async fn keep(
        &self,
        group: NodeGroupId,
        revision: Revision,
        items: Vec<KeptItem>,
    ) -> Result<()> {
        let mut before: HashMap<(String, String), String> = self.open_spans(group).await?;
        let mut new = vec![];
        let mut over: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for KeptItem { item, content } in items {
            let place = (item.kind.to_string(), item.name);
            match before.remove(&place) {
                Some(hash) if hash == item.hash => continue,
                Some(_) => over.entry(place.0.clone()).or_default().push(place.1.clone()),
                None => {}
            }
            new.push((place, item.hash, content));
        }
        for (kind, name) in before.into_keys() {
            over.entry(kind).or_default().push(name);
        }
        for (kind, names) in over {
            self.close_spans(group, revision, &kind, names).await?;
        }
        self.open(group, revision, new).await
    }

    async fn open_spans(&self, group: NodeGroupId) -> Result<HashMap<(String, String), String>> {
        use history_span::Column;
        let rows: Vec<(String, String, String)> = history_span::Entity::find()
            .select_only()
            .columns([Column::Kind, Column::Name, Column::Hash])
            .filter(Column::NodeGroupId.eq(i32::from(group)))
            .filter(Column::ToRevision.is_null())
            .into_tuple()
            .all(&self.0)
            .await?;
        Ok(rows.into_iter().map(|(kind, name, hash)| ((kind, name), hash)).collect())
    }

    async fn close_spans(
        &self,
        group: NodeGroupId,
        revision: Revision,
        kind: &str,
        names: Vec<String>,
    ) -> Result<()> {
        use history_span::Column;
        for names in names.chunks(CHUNK) {
            history_span::Entity::update_many()
                .col_expr(Column::ToRevision, Expr::value(i64::from(revision)))
                .filter(Column::NodeGroupId.eq(i32::from(group)))
                .filter(Column::ToRevision.is_null())
                .filter(Column::Kind.eq(kind))
                .filter(Column::Name.is_in(names))
                .exec(&self.0)
                .await?;
        }
        Ok(())
    }

    async fn open(
        &self,
        group: NodeGroupId,
        revision: Revision,
        mut new: Vec<((String, String), String, Vec<u8>)>,
    ) -> Result<()> {
        // In one order, so that two changes that keep the same do not wait for each other.
        new.sort_by(|(_, a, _), (_, b, _)| a.cmp(b));
        while !new.is_empty() {
            let rest = new.split_off(CHUNK.min(new.len()));
            let chunk = std::mem::replace(&mut new, rest);
            let mut blobs: Vec<history_blob::ActiveModel> = Vec::with_capacity(chunk.len());
            let mut spans = Vec::with_capacity(chunk.len());
            for ((kind, name), hash, content) in chunk {
                spans.push(history_span::ActiveModel {
                    node_group_id: Set(group.into()),
                    kind: Set(kind),
                    name: Set(name),
                    from_revision: Set(revision.into()),
                    to_revision: Set(None),
                    hash: Set(hash.clone()),
                    ..Default::default()
                });
                if blobs.last().is_none_or(|blob| *blob.hash.as_ref() != hash) {
                    let blob = history_blob::ActiveModel { hash: Set(hash), content: Set(content) };
                    blobs.push(blob);
                }
            }
            // What is there is written again, which locks it: it must not be collected now.
            let again = OnConflict::column(history_blob::Column::Hash)
                .update_column(history_blob::Column::Hash)
                .to_owned();
            history_blob::Entity::insert_many(blobs)
                .on_conflict(again)
                .exec_without_returning(&self.0)
                .await?;
            history_span::Entity::insert_many(spans).exec_without_returning(&self.0).await?;
        }
        Ok(())
    }

    /// What `revision` of `group` was made of, by kind and name.
    pub async fn items(
        &self,
        group: NodeGroupId,
        revision: Revision,
        which: Which,
    ) -> Result<Vec<Item>> {
        let spans = at(group, revision, which).all(&self.0).await?;
        let mut items = spans.into_iter().map(parse).collect::<Result<Vec<_>>>()?;
        items.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        Ok(items)
    }

    /// These things with what they are made of.
    pub async fn contents(&self, items: Vec<Item>) -> Result<Vec<KeptItem>> {
        let mut contents: HashMap<String, Vec<u8>> = HashMap::new();
        for items in items.chunks(CHUNK) {
            let hashes = items.iter().map(|item| item.hash.as_str());
            let rows = history_blob::Entity::find()
                .filter(history_blob::Column::Hash.is_in(hashes))
                .all(&self.0)
                .await?;
            contents.extend(rows.into_iter().map(|row| (row.hash, row.content)));
        }
        let whole = |item: Item| match contents.get(&item.hash) {
            Some(content) => Ok(KeptItem { content: content.clone(), item }),
            None => Err(Error::internal(format!("history has lost {}", item.hash))),
        };
        items.into_iter().map(whole).collect()
    }

    /// How many spans and contents there are, of all groups.
    #[cfg(test)]
    pub async fn count_kept(&self) -> Result<(u64, u64)> {
        use sea_orm::PaginatorTrait as _;
        let spans = history_span::Entity::find().count(&self.0).await?;
        Ok((spans, history_blob::Entity::find().count(&self.0).await?))
    }

    /// Forgets what `group` was before `oldest`.
    pub async fn forget_before(&self, group: NodeGroupId, oldest: Revision) -> Result<()> {
        let forgotten = snapshot::Entity::delete_many()
            .filter(snapshot::Column::NodeGroupId.eq(i32::from(group)))
            .filter(snapshot::Column::Revision.lt(i64::from(oldest)))
            .exec(&self.0)
            .await?;
        if forgotten.rows_affected == 0 {
            return Ok(());
        }
        let over = Condition::all()
            .add(history_span::Column::NodeGroupId.eq(i32::from(group)))
            .add(history_span::Column::ToRevision.lte(i64::from(oldest)));
        let hashes = self.hashes(over.clone()).await?;
        if hashes.is_empty() {
            return Ok(());
        }
        history_span::Entity::delete_many().filter(over).exec(&self.0).await?;
        self.collect(hashes).await
    }

    /// Forgets all that `group` ever was.
    pub(super) async fn forget_all(&self, group: NodeGroupId) -> Result<()> {
        let all = history_span::Column::NodeGroupId.eq(i32::from(group));
        let hashes = self.hashes(Condition::all().add(all.clone())).await?;
        history_span::Entity::delete_many().filter(all).exec(&self.0).await?;
        self.collect(hashes).await
    }

    async fn hashes(&self, spans: Condition) -> Result<Vec<String>> {
        let hashes = history_span::Entity::find()
            .select_only()
            .column(history_span::Column::Hash)
            .distinct()
            .filter(spans)
            .order_by_asc(history_span::Column::Hash)
            .into_tuple();
        Ok(hashes.all(&self.0).await?)
    }

    /// Removes those of these contents that nothing is made of any more.
    async fn collect(&self, hashes: Vec<String>) -> Result<()> {
        for hashes in hashes.chunks(CHUNK) {
            let these = history_blob::Column::Hash.is_in(hashes);
            // Locked first, so that the next statement sees who uses them: on a database
            // that lets other writers in, one of them may be about to.
            let _: Vec<String> = history_blob::Entity::find()
                .select_only()
                .column(history_blob::Column::Hash)
                .filter(these.clone())
                .order_by_asc(history_blob::Column::Hash)
                .lock_exclusive()
                .into_tuple()
                .all(&self.0)
                .await?;
            let used = Query::select()
                .expr(Expr::value(1))
                .from(history_span::Entity)
                .and_where(
                    Expr::col((history_span::Entity, history_span::Column::Hash))
                        .equals((history_blob::Entity, history_blob::Column::Hash)),
                )
                .to_owned();
            history_blob::Entity::delete_many()
                .filter(these)
                .filter(Expr::exists(used).not())
                .exec(&self.0)
                .await?;
        }
        Ok(())
    }
}

/// The spans that `revision` is in.
fn at(
    group: NodeGroupId,
    revision: Revision,
    which: Which,
) -> sea_orm::Select<history_span::Entity> {
    use history_span::Column;
    let revision = i64::from(revision);
    let kinds = match which {
        Which::Desired => "desired/",
        Which::Resources => "resource/",
    };
    history_span::Entity::find()
        .filter(Column::NodeGroupId.eq(i32::from(group)))
        .filter(Column::Kind.starts_with(kinds))
        .filter(Column::FromRevision.lte(revision))
        .filter(Column::ToRevision.is_null().or(Column::ToRevision.gt(revision)))
        .order_by_asc(Column::Id)
}

fn parse(row: history_span::Model) -> Result<Item> {
    let at = Row { table: "history_span", id: row.id };
    let kind: ItemKind = at.parse("kind", row.kind)?;
    Ok(Item { kind, name: row.name, hash: row.hash })
}
