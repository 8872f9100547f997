//! How each root field is asked.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::plane::{PASSWORD, Plane, id, sign_in};
use crate::app::Authenticated;

impl Plane {
    /// The query that a root field is asked with, and its input: whatever it is about
    /// is there, so that only rights can be against it.
    pub(super) async fn question(
        &self,
        field: &str,
        me: Option<&Authenticated>,
    ) -> (String, Value) {
        let page = |name: &str, of: &str| format!("{{ {name}{of} {{ nodes {{ id }} }} }}");
        let one = |name: &str, id: String| format!("{{ {name}(id: \"{id}\") {{ id }} }}");
        let group = format!("(group: \"{}\")", self.default_group());
        let (root, name) = field.split_once('.').unwrap();
        let input = match field {
            "Query.me" | "Query.viewer" => return (format!("{{ {name} {{ id }} }}"), Value::Null),
            "Query.users" | "Query.invitations" | "Query.apiTokens" | "Query.auditEntries"
            | "Query.nodeGroups" => return (page(name, ""), Value::Null),
            "Query.services" | "Query.routes" | "Query.listeners" | "Query.nodeTokens"
            | "Query.mappings" | "Query.proxies" | "Query.certificates" => {
                return (page(name, &group), Value::Null);
            }
            "Query.rollout" => {
                let version = self.version().await;
                return (format!("{{ {name}(version: \"{version}\") {{ done }} }}"), Value::Null);
            }
            "Query.snapshots" => {
                return (format!("{{ {name}{group} {{ nodes {{ version }} }} }}"), Value::Null);
            }
            "Query.preview" => {
                let changes = format!("[{{ createService: {{ name: \"{}\", ", self.name());
                let changes = format!("{changes}ipFqdn: \"10.0.0.1\", port: 80 }} }}]");
                let of = format!("(input: {{ changes: {changes} }})");
                return (format!("{{ {name}{of} {{ problems {{ code }} }} }}"), Value::Null);
            }
            "Query.serverInfo" => return ("{ serverInfo { version } }".to_owned(), Value::Null),
            "Query.events" => {
                return ("{ events { nodes { cursor } } }".to_owned(), Value::Null);
            }
            "Subscription.eventStream"
            | "Subscription.nackReceived"
            | "Subscription.resourceChanged" => {
                return (format!("subscription {{ {name} {{ __typename }} }}"), Value::Null);
            }
            "Subscription.loadReported" => {
                let query = "subscription { loadReported { node { id } } }";
                return (query.to_owned(), Value::Null);
            }
            "Query.licence" => return ("{ licence { tier } }".to_owned(), Value::Null),
            "Query.snapshot" => return (one(name, self.snapshot().await), Value::Null),
            "Query.snapshotDiff" => {
                let id = self.snapshot().await;
                let of = format!("(from: \"{id}\", to: \"{id}\")");
                return (format!("{{ {name}{of} {{ added }} }}"), Value::Null);
            }
            "Query.xdsNodes" => return ("{ xdsNodes { id } }".to_owned(), Value::Null),
            "Query.search" => {
                return ("{ search(query: \"a\") { id } }".to_owned(), Value::Null);
            }
            "Query.node" => return (one(name, self.default_group()), Value::Null),
            "Query.nodes" => {
                let ids = format!("(ids: [\"{}\"])", self.service().await);
                return (format!("{{ {name}{ids} {{ id }} }}"), Value::Null);
            }
            "Query.user" => return (one(name, self.other().await), Value::Null),
            "Query.service" => return (one(name, self.service().await), Value::Null),
            "Query.route" => return (one(name, self.route().await), Value::Null),
            "Query.mapping" => return (one(name, self.mapping().await), Value::Null),
            "Query.proxy" => return (one(name, self.proxy().await), Value::Null),
            "Query.certificate" => return (one(name, self.certificate().await), Value::Null),
            "Query.listener" => return (one(name, self.listener().await), Value::Null),
            "Query.nodeGroup" => return (one(name, self.default_group()), Value::Null),
            "Query.xdsNode" => {
                return (one(name, id(crate::nodes::NodeId::default())), Value::Null);
            }
            "Subscription.snapshotPublished" => {
                return (format!("subscription {{ {name} {{ version }} }}"), Value::Null);
            }
            "Subscription.nodeStatusChanged" => {
                return (format!("subscription {{ {name} {{ cause }} }}"), Value::Null);
            }
            "Subscription.rollout" => {
                let group = self.app.default_group();
                let snapshots = self.app.snapshots(&self.admin.actor, group, None, 1).await;
                let version = snapshots.unwrap().remove(0).version;
                let query = format!("subscription {{ {name}(version: \"{version}\") {{ done }} }}");
                return (query, Value::Null);
            }
            "Mutation.logout" | "Mutation.enableTwoFactor" => {
                let selection = if name == "logout" { "userId" } else { "uri" };
                return (format!("mutation {{ {name} {{ {selection} }} }}"), Value::Null);
            }
            "Mutation.login" => json!({ "username": "admin", "password": PASSWORD }),
            "Mutation.register" => {
                let input = json!({ "role": "VIEWER" });
                let token = self.made("createInvitation CreateInvitationInput", input, "token");
                let (name, token) = (self.name(), token.await);
                json!({ "username": name, "password": PASSWORD, "invitation": token })
            }
            "Mutation.refreshToken" => {
                let signed_in = sign_in(&self.app, "admin").await;
                json!({ "refreshToken": signed_in.refresh.token.expose_secret() })
            }
            "Mutation.changePassword" => {
                json!({ "currentPassword": PASSWORD, "newPassword": PASSWORD })
            }
            "Mutation.verifyTwoFactor" | "Mutation.disableTwoFactor" => json!({ "code": "000000" }),
            "Mutation.createApiToken" => json!({ "name": self.name(), "role": "MEMBER" }),
            "Mutation.revokeApiToken" => {
                let token = match me {
                    Some(me) => self.api_token(me).await,
                    None => id(crate::model::ApiTokenId::try_from(1).unwrap()),
                };
                json!({ "id": token })
            }
            "Mutation.createUser" => json!({ "username": self.name(), "password": PASSWORD }),
            "Mutation.updateUser" => json!({ "id": self.other().await, "firstName": "A" }),
            "Mutation.deleteUser" | "Mutation.resetTwoFactor" => {
                json!({ "id": self.other().await })
            }
            "Mutation.resetPassword" => {
                json!({ "id": self.other().await, "newPassword": PASSWORD })
            }
            "Mutation.assignNodeGroup" => {
                json!({ "user": self.other().await, "nodeGroup": self.default_group() })
            }
            "Mutation.assignService" => {
                json!({ "user": self.other().await, "service": self.service().await })
            }
            "Mutation.unassignNodeGroup" => {
                let input =
                    json!({ "user": self.other().await, "nodeGroup": self.default_group() });
                let assign = "assignNodeGroup AssignNodeGroupInput";
                self.made(assign, input.clone(), "user.id").await;
                input
            }
            "Mutation.unassignService" => {
                let input = json!({ "user": self.other().await, "service": self.service().await });
                let assign = "assignService AssignServiceInput";
                self.made(assign, input.clone(), "user.id").await;
                input
            }
            "Mutation.createInvitation" => json!({ "role": "VIEWER" }),
            "Mutation.revokeInvitation" => {
                let (made, input) =
                    ("createInvitation CreateInvitationInput", json!({ "role": "VIEWER" }));
                json!({ "id": self.made(made, input, "invitation.id").await })
            }
            "Mutation.createNodeGroup" => json!({ "name": self.name() }),
            "Mutation.updateNodeGroup" => {
                json!({ "id": self.default_group(), "description": "a node group" })
            }
            "Mutation.deleteNodeGroup" => json!({ "id": self.group().await }),
            "Mutation.rotateNodeGroupKey" => json!({ "group": self.default_group() }),
            "Mutation.createNodeToken" => json!({ "name": self.name() }),
            "Mutation.revokeNodeToken" => json!({ "id": self.token().await }),
            "Mutation.createService" => {
                json!({ "name": self.name(), "ipFqdn": "10.0.0.1", "port": 80 })
            }
            "Mutation.updateService" => json!({ "id": self.service().await, "port": 81 }),
            "Mutation.deleteService" => json!({ "id": self.service().await }),
            "Mutation.applyChanges" => {
                let service = json!({ "name": self.name(), "ipFqdn": "10.0.0.1", "port": 80 });
                json!({ "changes": [{ "createService": service }] })
            }
            "Mutation.createRoute" => self.new_route().await,
            "Mutation.updateRoute" => json!({ "id": self.route().await, "priority": 1 }),
            "Mutation.deleteRoute" => json!({ "id": self.route().await }),
            "Mutation.rollback" => json!({ "toSnapshot": self.snapshot().await }),
            "Mutation.createListener" => {
                json!({ "name": self.name(), "port": 30_000 + self.count.get() })
            }
            "Mutation.updateListener" => {
                let port = 40_000 + self.count.get();
                json!({ "id": self.listener().await, "port": port })
            }
            "Mutation.createMapping" => json!({ "name": self.name() }),
            "Mutation.updateMapping" => json!({ "id": self.mapping().await, "comments": "a" }),
            "Mutation.deleteMapping" => json!({ "id": self.mapping().await }),
            "Mutation.deleteListener" => json!({ "id": self.listener().await }),
            "Mutation.uploadCertificate" => self.new_certificate(),
            "Mutation.fetchCertificate" => {
                json!({ "name": self.name(), "from": { "vaultKv": "secret/tls/web" } })
            }
            "Mutation.updateCertificate" => {
                json!({ "id": self.certificate().await, "description": "a certificate" })
            }
            "Mutation.renewCertificate" | "Mutation.deleteCertificate" => {
                json!({ "id": self.certificate().await })
            }
            other => panic!("say here how {other} is asked, so that its rights are tested"),
        };
        assert_eq!(root, "Mutation");
        let input = self.at_its_revision(name, input).await;
        let (first, rest) = name.split_at(1);
        let input_type = match name {
            "deleteNodeGroup" | "deleteService" | "deleteRoute" | "deleteListener"
            | "deleteMapping" | "deleteCertificate" => "DeleteInput".to_owned(),
            "revokeNodeToken" | "revokeApiToken" | "revokeInvitation" => "RevokeInput".to_owned(),
            "verifyTwoFactor" | "disableTwoFactor" => "TwoFactorCodeInput".to_owned(),
            _ => format!("{}{rest}Input", first.to_uppercase()),
        };
        let query =
            format!("mutation($input: {input_type}!) {{ {name}(input: $input) {{ __typename }} }}");
        (query, input)
    }

    /// An update or a deletion has seen the latest.
    async fn at_its_revision(&self, mutation: &str, mut input: Value) -> Value {
        let noun = mutation.strip_prefix("update").or(mutation.strip_prefix("delete"));
        let Some(noun) = noun.filter(|noun| *noun != "User") else { return input };
        let noun = format!("{}{}", noun[..1].to_lowercase(), &noun[1..]);
        let settings = mutation == "updateNodeGroup";
        let revision = if settings { "settingsRevision" } else { "revision" };
        let query = format!("{{ {noun}(id: {}) {{ {revision} }} }}", input["id"]);
        let response = self.ask(Some(self.admin.clone()), &query, &Value::Null).await;
        assert!(response.errors.is_empty(), "{query}: {:?}", response.errors);
        let found = response.data.into_json().unwrap();
        input["ifRevision"] = found[noun][revision].clone();
        input
    }
}
