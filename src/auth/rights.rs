//! Who may do what: one table for every edge.
//!
//! Each operation of `app/` has a row here, and begins with [`Actor::may`]. The
//! row says what it needs, and by which GraphQL fields and REST operations it is
//! reached; tests walk the schema and the OpenAPI document, and fail for what no row
//! names.
//!
//! [`Actor::may`]: super::Actor::may

use crate::model::{NodeGroupId, Role, Service, ServiceId};

/// What an operation needs of whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: it is how one signs in.
    Nothing,
    /// That somebody is signed in, in whatever way: it is about themselves.
    SignIn,
    /// That somebody is signed in with their password: no API token will do.
    Session,
    /// That somebody is signed in. They are given what they may see of it with this
    /// role, which may be nothing.
    Seen(Role),
    /// The key of the node group that it is about, which its proxies have: no user
    /// asks for it.
    GroupKey,
    /// This role, or a greater one, as far as [`Reach`] says.
    Role(Role, Reach),
}

/// How far a role has to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everywhere: no assignment will do.
    Everywhere,
    /// Over the node group that it is about.
    Group,
    /// Over the service that it is about, or over its group.
    Service,
}

/// What an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No group in particular.
    Everywhere,
    /// A node group, and what is in it.
    Group(NodeGroupId),
    /// One service of a group.
    Service(NodeGroupId, ServiceId),
}

impl Scope {
    /// The scope, as far as a role has to reach over it.
    pub(super) fn within(self, reach: Reach) -> Self {
        match (reach, self) {
            (Reach::Everywhere, _) | (_, Self::Everywhere) => Self::Everywhere,
            (Reach::Group, Self::Group(group) | Self::Service(group, _)) => Self::Group(group),
            (Reach::Service, scope) => scope,
        }
    }

    /// The group that it is, or is in.
    pub fn group(self) -> Option<NodeGroupId> {
        match self {
            Self::Everywhere => None,
            Self::Group(group) | Self::Service(group, _) => Some(group),
        }
    }
}

impl From<NodeGroupId> for Scope {
    fn from(group: NodeGroupId) -> Self {
        Self::Group(group)
    }
}

impl From<&Service> for Scope {
    fn from(service: &Service) -> Self {
        Self::Service(service.group, service.id)
    }
}

const SEEN: Needs = Needs::Seen(Role::Viewer);
const VIEW: Needs = Needs::Role(Role::Viewer, Reach::Group);
const VIEW_SERVICE: Needs = Needs::Role(Role::Viewer, Reach::Service);
const EDIT: Needs = Needs::Role(Role::Operator, Reach::Group);
const EDIT_SERVICE: Needs = Needs::Role(Role::Operator, Reach::Service);
const ADMINISTER: Needs = Needs::Role(Role::Admin, Reach::Everywhere);

macro_rules! operations {
    ($(
        $(#[$doc:meta])*
        $operation:ident: $needs:expr, [$($field:literal),*], [$($id:literal),*];
    )+) => {
        /// What can be asked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($(#[$doc])* $operation),+
        }

        impl Operation {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$operation),+];

            /// What it is called, in the audit log as well.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$operation => stringify!($operation)),+
                }
            }

            /// What it needs of whoever asks for it.
            pub fn needs(self) -> Needs {
                match self {
                    $(Self::$operation => $needs),+
                }
            }

            /// The root fields of GraphQL that lead to it: `Query.services`.
            pub fn graphql(self) -> &'static [&'static str] {
                match self {
                    $(Self::$operation => &[$($field),*]),+
                }
            }

            /// The REST operations that lead to it, by their `operationId`.
            pub fn rest(self) -> &'static [&'static str] {
                match self {
                    $(Self::$operation => &[$($id),*]),+
                }
            }
        }
    };
}

operations! {
    /// Signs in with a password.
    SignIn: Needs::Nothing, ["Mutation.login"], ["login"];
    /// Becomes a user: the first one, or by invitation.
    Register: Needs::Nothing, ["Mutation.register"], ["register"];
    /// Signs in again with a refresh token.
    Refresh: Needs::Nothing, ["Mutation.refreshToken"], ["refresh_token"];
    /// Signs out.
    SignOut: Needs::SignIn, ["Mutation.logout"], ["logout"];
    /// Sees oneself.
    Me: Needs::SignIn, ["Query.me", "Query.viewer"], ["me"];
    /// Asks for things by their ids, each of which has a row of its own.
    ReadById: Needs::SignIn, ["Query.node", "Query.nodes"], [];
    /// Changes one's own password.
    ChangePassword: Needs::Session, ["Mutation.changePassword"], ["change_password"];
    /// Is given the secret of a second factor.
    OfferSecondFactor: Needs::Session, ["Mutation.enableTwoFactor"], ["enable_2fa"];
    /// Shows that one has the second factor's secret.
    VerifySecondFactor: Needs::Session, ["Mutation.verifyTwoFactor"], ["verify_2fa"];
    /// Gives up the second factor.
    DisableSecondFactor: Needs::Session, ["Mutation.disableTwoFactor"], ["disable_2fa"];
    /// Lists one's API tokens.
    ListApiTokens: Needs::SignIn, ["Query.apiTokens"], [];
    /// Makes an API token for oneself.
    CreateApiToken: Needs::Session, ["Mutation.createApiToken"], [];
    /// Revokes an API token: one's own, or as an administrator any.
    RevokeApiToken: Needs::SignIn, ["Mutation.revokeApiToken"], [];

    /// Lists the users.
    ListUsers: ADMINISTER, ["Query.users"], ["list_users"];
    /// Sees a user.
    ReadUser: ADMINISTER, ["Query.user"], ["get_user", "list_cluster_assignments", "list_service_assignments"];
    /// Makes a user.
    CreateUser: ADMINISTER, ["Mutation.createUser"], ["create_user"];
    /// Changes a user.
    UpdateUser: ADMINISTER, ["Mutation.updateUser"], ["update_user", "replace_user"];
    /// Deactivates or deletes a user.
    DeleteUser: ADMINISTER, ["Mutation.deleteUser"], ["delete_user"];
    /// Gives a user another password.
    ResetPassword: ADMINISTER, ["Mutation.resetPassword"], [];
    /// Takes away a user's second factor.
    ResetSecondFactor: ADMINISTER, ["Mutation.resetTwoFactor"], [];
    /// Assigns a user to a node group.
    AssignGroup: ADMINISTER, ["Mutation.assignNodeGroup"], ["assign_cluster"];
    /// Takes a user off a node group.
    UnassignGroup: ADMINISTER, ["Mutation.unassignNodeGroup"], ["unassign_cluster"];
    /// Assigns a user to a service.
    AssignService: ADMINISTER, ["Mutation.assignService"], ["assign_service"];
    /// Takes a user off a service.
    UnassignService: ADMINISTER, ["Mutation.unassignService"], ["unassign_service"];
    /// Lists the invitations.
    ListInvitations: ADMINISTER, ["Query.invitations"], [];
    /// Invites somebody.
    CreateInvitation: ADMINISTER, ["Mutation.createInvitation"], [];
    /// Takes an invitation back.
    RevokeInvitation: ADMINISTER, ["Mutation.revokeInvitation"], [];
    /// Reads the audit log.
    ReadAudit: ADMINISTER, ["Query.auditEntries"], [];

    /// Sees which server it is, and which events it has.
    ReadServer: Needs::SignIn, ["Query.serverInfo"], [];
    /// Lists events.
    ListEvents: SEEN, ["Query.events"], [];
    /// Follows events.
    FollowEvents: SEEN, ["Subscription.eventStream", "Subscription.nackReceived", "Subscription.resourceChanged"], [];
    /// Follows what nodes report of their load.
    FollowLoads: SEEN, ["Subscription.loadReported"], [];

    /// Sees how the licence stands.
    ReadLicence: Needs::SignIn, ["Query.licence"], ["license_status"];

    /// Lists the node groups.
    ListNodeGroups: SEEN, ["Query.nodeGroups"], ["list_clusters"];
    /// Sees a node group.
    ReadNodeGroup: SEEN, ["Query.nodeGroup"], ["get_cluster"];
    /// Makes a node group.
    CreateNodeGroup: ADMINISTER, ["Mutation.createNodeGroup"], ["create_cluster"];
    /// Changes a node group.
    UpdateNodeGroup: EDIT, ["Mutation.updateNodeGroup"], ["update_cluster", "replace_cluster"];
    /// Deletes a node group.
    DeleteNodeGroup: ADMINISTER, ["Mutation.deleteNodeGroup"], ["delete_cluster"];
    /// Gives a node group another key.
    RotateNodeGroupKey: ADMINISTER, ["Mutation.rotateNodeGroupKey"], ["rotate_cluster_key"];
    /// Lists a group's node tokens.
    ListNodeTokens: VIEW, ["Query.nodeTokens"], [];
    /// Makes a node token.
    CreateNodeToken: ADMINISTER, ["Mutation.createNodeToken"], [];
    /// Revokes a node token.
    RevokeNodeToken: EDIT, ["Mutation.revokeNodeToken"], [];

    /// Lists a group's services.
    ListServices: SEEN, ["Query.services"], ["list_services"];
    /// Sees a service.
    ReadService: VIEW_SERVICE, ["Query.service"], ["get_service"];
    /// Makes a service.
    CreateService: EDIT, ["Mutation.createService"], ["create_service"];
    /// Changes a service.
    UpdateService: EDIT_SERVICE, ["Mutation.updateService"], ["update_service", "replace_service"];
    /// Deletes a service.
    DeleteService: EDIT, ["Mutation.deleteService"], ["delete_service"];
    /// Gives a service another secret.
    RotateServiceSecret: EDIT_SERVICE, [], ["rotate_service_token"];
    /// Publishes the group of a service anew.
    ReloadService: EDIT_SERVICE, [], ["reload_service"];
    /// Lists the mappings of every group.
    ListMappings: SEEN, [], ["list_mappings"];
    /// Sees a mapping, or those of a group.
    ReadMapping: VIEW, ["Query.mapping", "Query.mappings"], ["get_mapping"];
    /// Makes a mapping.
    CreateMapping: EDIT, ["Mutation.createMapping"], ["create_mapping"];
    /// Changes a mapping.
    UpdateMapping: EDIT, ["Mutation.updateMapping"], ["update_mapping", "replace_mapping"];
    /// Deletes a mapping.
    DeleteMapping: EDIT, ["Mutation.deleteMapping"], ["delete_mapping"];
    /// Lists the registered proxies of every group.
    ListProxies: SEEN, [], ["list_proxies"];
    /// Sees a registered proxy, or those of a group.
    ReadProxy: VIEW, ["Query.proxy", "Query.proxies"], ["get_proxy", "get_proxy_metrics"];
    /// Takes a registered proxy to be offline.
    RetireProxy: EDIT, [], ["delete_proxy"];
    /// Registers as a proxy.
    RegisterProxy: Needs::GroupKey, [], ["register_proxy"];
    /// Says that a proxy is well.
    Heartbeat: Needs::GroupKey, [], ["proxy_heartbeat"];
    /// Says what a proxy has measured.
    ReportMetrics: Needs::GroupKey, [], ["report_proxy_metrics"];
    /// Fetches what a group's proxies are to do.
    FetchConfig: Needs::GroupKey, [], ["get_config", "get_config_version", "validate_config"];
    /// Lists a group's routes.
    ListRoutes: VIEW, ["Query.routes"], [];
    /// Sees a route.
    ReadRoute: VIEW, ["Query.route"], [];
    /// Makes a route.
    CreateRoute: EDIT, ["Mutation.createRoute"], [];
    /// Changes a route.
    UpdateRoute: EDIT, ["Mutation.updateRoute"], [];
    /// Deletes a route.
    DeleteRoute: EDIT, ["Mutation.deleteRoute"], [];
    /// Lists a group's listeners.
    ListListeners: VIEW, ["Query.listeners"], [];
    /// Sees a listener.
    ReadListener: VIEW, ["Query.listener"], [];
    /// Makes a listener.
    CreateListener: EDIT, ["Mutation.createListener"], [];
    /// Changes a listener.
    UpdateListener: EDIT, ["Mutation.updateListener"], [];
    /// Deletes a listener.
    DeleteListener: EDIT, ["Mutation.deleteListener"], [];

    /// Lists the certificates of every group.
    ListCertificates: SEEN, [], ["list_certificates", "list_expiring_certificates"];
    /// Sees a certificate, or those of a group; never a key.
    ReadCertificate: VIEW, ["Query.certificate", "Query.certificates"], ["get_certificate"];
    /// Uploads a certificate, or has one fetched.
    CreateCertificate: EDIT, ["Mutation.uploadCertificate", "Mutation.fetchCertificate"], ["create_certificate"];
    /// Changes or replaces a certificate.
    UpdateCertificate: EDIT, ["Mutation.updateCertificate"], ["update_certificate", "replace_certificate"];
    /// Deletes a certificate.
    DeleteCertificate: EDIT, ["Mutation.deleteCertificate"], ["delete_certificate"];
    /// Fetches a certificate anew.
    RenewCertificate: EDIT, ["Mutation.renewCertificate"], ["renew_certificate", "batch_renew_certificates"];

    /// Finds things by their names, as far as they may be seen.
    ListByName: SEEN, ["Query.search"], [];
    /// Lists the nodes.
    ListNodes: SEEN, ["Query.xdsNodes"], [];
    /// Sees a node.
    ReadNode: VIEW, ["Query.xdsNode"], [];
    /// Follows how the nodes stand.
    FollowNodes: SEEN, ["Subscription.nodeStatusChanged"], [];
    /// Lists a group's snapshots.
    ListSnapshots: VIEW, ["Query.snapshots"], [];
    /// Sees a snapshot, and what it was made of.
    ReadSnapshot: VIEW, ["Query.snapshot", "Query.snapshotDiff"], [];
    /// Goes back to a snapshot.
    Rollback: EDIT, ["Mutation.rollback"], [];
    /// Makes several changes of a group at once, each of which has a row of its own.
    ApplyChanges: EDIT, ["Mutation.applyChanges"], [];
    /// Sees what several changes would come to, as if making them.
    Preview: EDIT, ["Query.preview"], [];
    /// Replaces all that a group consists of.
    ReplaceContent: EDIT, [], [];
    /// Follows what the nodes are given.
    FollowSnapshots: SEEN, ["Subscription.snapshotPublished"], [];
    /// Sees how far the nodes are with a snapshot.
    ReadRollout: VIEW, ["Query.rollout"], [];
    /// Follows how far the nodes are with a snapshot.
    FollowRollout: VIEW, ["Subscription.rollout"], [];
}
