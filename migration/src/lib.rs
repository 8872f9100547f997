//! The history of the database schema.
//!
//! One file for each step, forward only, never edited once merged. It imports
//! nothing of ours, so that what it did then it does for ever.

use sea_orm_migration::async_trait::async_trait;
pub use sea_orm_migration::{MigrationTrait, MigratorTrait};

mod m20261123_000001_first_tables;
mod m20261125_000002_node_credentials;
mod m20261125_000003_accounts;
mod m20261125_000004_compat_nouns;
mod m20261125_000005_certificates;
mod m20261125_000006_snapshot_store;
mod m20261125_000007_licence;
mod m20261127_000008_revisions;
mod m20261129_000009_adoption;
mod m20261129_000010_events;
mod m20261129_000011_labels;

/// All steps in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261123_000001_first_tables::Migration),
            Box::new(m20261125_000002_node_credentials::Migration),
            Box::new(m20261125_000003_accounts::Migration),
            Box::new(m20261125_000004_compat_nouns::Migration),
            Box::new(m20261125_000005_certificates::Migration),
            Box::new(m20261125_000006_snapshot_store::Migration),
            Box::new(m20261125_000007_licence::Migration),
            Box::new(m20261127_000008_revisions::Migration),
            Box::new(m20261129_000009_adoption::Migration),
            Box::new(m20261129_000010_events::Migration),
            Box::new(m20261129_000011_labels::Migration),
        ]
    }
}
