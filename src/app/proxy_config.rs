//! What a group's registered proxies are given: all of it, secrets too.

use chrono::{DateTime, Utc};

use super::proxies::group_of;
use super::{App, now};
use crate::auth::{PresentedToken, ServiceSecret};
use crate::error::{Error, Result};
use crate::model::{Certificate, Mapping, NodeGroup, NodeGroupId, Page, Service};

/// What a group's proxies are to do.
#[derive(Debug)]
pub struct ProxyConfig {
    /// The group.
    pub group: NodeGroup,
    /// Its active services, by name.
    pub services: Vec<ServiceConfig>,
    /// Its active mappings, by name.
    pub mappings: Vec<Mapping>,
    /// Its active certificates that have not expired, by name. Not their keys.
    pub certificates: Vec<Certificate>,
    /// Its active certificates that have expired, by name.
    pub expired: Vec<Certificate>,
    /// When it was put together.
    pub generated_at: DateTime<Utc>,
}

/// A service as proxies have to know it.
#[derive(Debug)]
pub struct ServiceConfig {
    /// The service.
    pub service: Service,
    /// What its clients prove themselves with.
    pub secret: Option<ServiceSecret>,
}

impl App {
    /// What the proxies of the key's group are to do. `ForbiddenNode` if that is
    /// not the group that is asked for.
    pub async fn proxy_config(
        &self,
        key: PresentedToken,
        group: NodeGroupId,
    ) -> Result<ProxyConfig> {
        let tx = self.0.store.read().await?;
        let proved = group_of(&tx, key).await?;
        if proved.id != group {
            return Err(Error::ForbiddenNode("this is another group's key".to_owned()));
        }
        let secrets = tx.service_secrets(group).await?;
        let mut services = vec![];
        for service in tx.services(group, Page::ALL).await? {
            if service.spec.is_active {
                let kept = secrets.iter().find(|kept| kept.service == service.id);
                let open = |kept: &crate::store::KeptSecret| {
                    ServiceSecret::open(&self.0.sealer, kept.kind, &kept.sealed, service.id)
                };
                let secret = kept.map(open).transpose()?;
                services.push(ServiceConfig { service, secret });
            }
        }
        services.sort_by(|a, b| a.service.spec.name.cmp(&b.service.spec.name));
        let mut mappings = tx.mappings(group, Page::ALL).await?;
        mappings.retain(|mapping| mapping.spec.is_active);
        mappings.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let (now, mut certificates) = (now(), tx.certificates(group, Page::ALL).await?);
        certificates.retain(|certificate| certificate.spec.is_active);
        certificates.sort_by(|a, b| a.spec.name.cmp(&b.spec.name));
        let (expired, certificates) = certificates.into_iter().partition(|c| c.is_expired(now));
        let group = proved;
        Ok(ProxyConfig { group, services, mappings, certificates, expired, generated_at: now })
    }
}
