//! How things look in the audit log, and whom they concern.

use serde_json::{Value, json};

use crate::model::{
    ApiToken, Certificate, Email, GroupAssignment, Invitation, Listener, ListenerProtocol, Mapping,
    NodeGroup, NodeGroupId, NodeToken, PersonName, Proxy, Route, Service, ServiceAssignment, User,
    UserId,
};

/// Whom something concerns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct About {
    /// The node group that it is, or is in.
    pub(super) group: Option<NodeGroupId>,
    /// The user that it is, or belongs to.
    pub(super) owner: Option<UserId>,
}

/// A thing that the audit log shows as it was and is.
pub(super) trait Shown {
    /// What such things are called.
    const NOUN: &'static str;

    /// Which one it is.
    fn id(&self) -> String;

    /// It, without what is secret.
    fn shown(&self) -> Value;

    /// Whom it concerns.
    fn about(&self) -> About {
        About::default()
    }
}

impl Shown for User {
    const NOUN: &'static str = "user";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let spec = &self.spec;
        json!({
            "username": spec.username.as_str(),
            "email": spec.email.as_ref().map(Email::as_str),
            "firstName": spec.first_name.as_ref().map(PersonName::as_str),
            "lastName": spec.last_name.as_ref().map(PersonName::as_str),
            "role": spec.role.as_str(),
            "isActive": spec.is_active,
            "isVerified": spec.is_verified,
            "secondFactor": self.second_factor.is_on(),
        })
    }

    fn about(&self) -> About {
        About { group: None, owner: Some(self.id) }
    }
}

impl Shown for ApiToken {
    const NOUN: &'static str = "API token";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        json!({
            "user": self.user,
            "name": self.spec.name,
            "role": self.spec.role.as_str(),
            "group": self.spec.group,
            "expiresAt": self.spec.expires_at,
        })
    }

    fn about(&self) -> About {
        About { group: None, owner: Some(self.user) }
    }
}

impl Shown for Invitation {
    const NOUN: &'static str = "invitation";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        json!({
            "role": self.spec.role.as_str(),
            "email": self.spec.email.as_ref().map(Email::as_str),
            "expiresAt": self.spec.expires_at,
        })
    }
}

impl Shown for GroupAssignment {
    const NOUN: &'static str = "node group assignment";

    fn id(&self) -> String {
        format!("{}/{}", self.user, self.group)
    }

    fn shown(&self) -> Value {
        json!({ "user": self.user, "group": self.group, "role": self.role.as_str() })
    }

    fn about(&self) -> About {
        About { group: None, owner: Some(self.user) }
    }
}

impl Shown for ServiceAssignment {
    const NOUN: &'static str = "service assignment";

    fn id(&self) -> String {
        format!("{}/{}", self.user, self.service)
    }

    fn shown(&self) -> Value {
        json!({ "user": self.user, "service": self.service, "role": self.role.as_str() })
    }

    fn about(&self) -> About {
        About { group: None, owner: Some(self.user) }
    }
}

impl Shown for NodeGroup {
    const NOUN: &'static str = "node group";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let spec = &self.spec;
        json!({
            "name": spec.name,
            "description": spec.description,
            "runtime": spec.runtime,
            "syslogEndpoint": spec.logging.endpoint,
            "logAuth": spec.logging.auth,
            "logNetflow": spec.logging.netflow,
            "logDebug": spec.logging.debug,
            "maxProxies": spec.max_proxies,
            "isActive": spec.is_active,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.id), owner: None }
    }
}

impl Shown for NodeToken {
    const NOUN: &'static str = "node token";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        json!({
            "group": self.group,
            "name": self.spec.name,
            "nodeId": self.spec.node.as_ref().map(|node| node.as_str()),
            "expiresAt": self.spec.expires_at,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}

impl Shown for Listener {
    const NOUN: &'static str = "listener";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let spec = &self.spec;
        let tcp_service = match spec.protocol {
            ListenerProtocol::Http => None,
            ListenerProtocol::Tcp(service) => Some(service),
        };
        json!({
            "name": spec.name,
            "labels": spec.labels,
            "address": spec.address,
            "port": spec.port,
            "tcpService": tcp_service,
            "certificate": spec.certificate,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}

/// Without the key.
impl Shown for Certificate {
    const NOUN: &'static str = "certificate";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let (spec, leaf) = (&self.spec, self.chain.leaf());
        json!({
            "name": spec.name,
            "labels": spec.labels,
            "description": spec.description,
            "source": spec.source,
            "autoRenew": spec.auto_renew,
            "renewBeforeDays": i32::from(spec.renew_before),
            "isActive": spec.is_active,
            "subject": leaf.subject,
            "fingerprint": leaf.fingerprint,
            "notAfter": leaf.not_after,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}

impl Shown for Service {
    const NOUN: &'static str = "service";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let spec = &self.spec;
        json!({
            "name": spec.name,
            "labels": spec.labels,
            "protocol": spec.protocol,
            "endpoints": spec.endpoints,
            "loadBalancing": spec.load_balancing,
            "connectTimeoutMs": i32::from(spec.timeouts.connect),
            "requestTimeoutMs": i32::from(spec.timeouts.request),
            "idleTimeoutMs": i32::from(spec.timeouts.idle),
            "healthCheck": spec.health_check,
            "tls": spec.tls,
            "collection": spec.collection,
            "authKind": spec.auth.kind,
            "jwtExpiry": spec.auth.jwt_expiry,
            "jwtAlgorithm": spec.auth.jwt_algorithm,
            "metadata": spec.metadata,
            "isActive": spec.is_active,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}

impl Shown for Mapping {
    const NOUN: &'static str = "mapping";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let spec = &self.spec;
        json!({
            "name": spec.name,
            "labels": spec.labels,
            "description": spec.description,
            "sourceServices": spec.sources,
            "destServices": spec.destinations,
            "protocols": spec.protocols,
            "ports": spec.ports.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "authRequired": spec.auth_required,
            "comments": spec.comments,
            "isActive": spec.is_active,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}

impl Shown for Proxy {
    const NOUN: &'static str = "proxy";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        json!({ "name": self.spec.name, "status": self.status.as_str() })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}

impl Shown for Route {
    const NOUN: &'static str = "route";

    fn id(&self) -> String {
        self.id.to_string()
    }

    fn shown(&self) -> Value {
        let spec = &self.spec;
        json!({
            "name": spec.name,
            "labels": spec.labels,
            "listener": spec.listener,
            "hosts": spec.hosts,
            "path": spec.path,
            "methods": spec.methods,
            "headers": spec.headers,
            "priority": spec.priority,
            "action": spec.action,
        })
    }

    fn about(&self) -> About {
        About { group: Some(self.group), owner: None }
    }
}
