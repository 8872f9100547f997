//! What an import asks of the database besides the rows.

use marchproxy_schema::node_group;
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, PaginatorTrait as _};

use super::Tx;
use crate::error::Result;

/// The tables whose rows come with their ids.
const NUMBERED: [&str; 6] = ["user", "node_group", "service", "mapping", "proxy", "certificate"];

impl Tx {
    /// Whether nobody has begun here: there is no user and no group.
    pub async fn is_fresh(&self) -> Result<bool> {
        let groups = node_group::Entity::find().count(&self.0).await?;
        Ok(groups == 0 && self.count_users().await? == 0)
    }

    /// Has the next ids come after those that are there. SQLite does it by itself.
    pub async fn move_ids_on(&self) -> Result<()> {
        match self.0.get_database_backend() {
            DbBackend::Postgres => {}
            DbBackend::Sqlite | DbBackend::MySql | _ => return Ok(()),
        }
        for table in NUMBERED {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), \
                 coalesce(max(id), 1), max(id) IS NOT NULL) FROM \"{table}\""
            );
            self.0.execute_unprepared(&sql).await?;
        }
        Ok(())
    }
}
