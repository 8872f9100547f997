//! What the audit log tells.

use super::*;

#[tokio::test]
async fn the_audit_log_tells_who_did_what_and_no_secret() {
    let plane = Plane::start().await;
    let service = plane.service(None, "api").await;
    let change = crate::model::ServiceChange { name: Some(name("renamed")), ..Default::default() };
    plane.app.update_service(&plane.admin, service.id, change).await.unwrap();
    plane.user("ann", Role::Viewer).await;
    plane.sign_in("ann", "battery staple", None).await.unwrap_err();
    let ann = plane.come("ann").await;
    let new = NewService { group: None, spec: service_spec("no") };
    plane.app.create_service(&ann, new).await.unwrap_err();
    plane.app.offer_second_factor(&ann).await.unwrap();

    let entries = plane.audit().await;
    let told: Vec<_> = entries.iter().rev().map(|e| e.done.operation.as_str()).collect();
    let want = [
        "SignIn",
        "CreateService",
        "UpdateService",
        "CreateUser",
        "SignIn",
        "SignIn",
        "OfferSecondFactor",
    ];
    assert_eq!(told, want);
    let find = |operation: &str| entries.iter().find(|e| e.done.operation == operation).unwrap();
    let updated = &find("UpdateService").done;
    assert_eq!(updated.user, Some(plane.admin.user));
    assert_eq!(updated.username.as_deref(), Some("admin"));
    assert_eq!(updated.via.as_deref(), Some("session"));
    assert_eq!(updated.edge.as_deref(), Some("rest"));
    assert_eq!(updated.address.as_deref(), Some("192.0.2.7"));
    assert_eq!(updated.user_agent.as_deref(), Some("curl/8"));
    assert_eq!(updated.request_id.as_deref(), Some("r-1"));
    assert_eq!(updated.group, Some(plane.app.default_group()));
    assert_eq!(
        (updated.noun.as_deref(), updated.noun_id.clone()),
        (Some("service"), Some(service.id.to_string()))
    );
    assert_eq!(updated.before.as_ref().unwrap()["name"], "api");
    assert_eq!(updated.after.as_ref().unwrap()["name"], "renamed");
    let refusal = entries.iter().find(|e| e.done.refused.is_some()).unwrap();
    assert_eq!(refusal.done.user, None);
    assert_eq!(refusal.done.username.as_deref(), Some("ann"));

    let all = format!("{entries:?}");
    for secret in [PASSWORD, "battery staple", "$argon2", "otpauth", SECRET] {
        assert!(!all.contains(secret), "the audit log tells {secret}");
    }
    let only = AuditFilter { refused: Some(true), ..Default::default() };
    assert_eq!(plane.app.audit_entries(&plane.admin, &only, None, 10).await.unwrap().len(), 1);
    let only = AuditFilter { noun: Some("service".to_owned()), ..Default::default() };
    assert_eq!(plane.app.audit_entries(&plane.admin, &only, None, 10).await.unwrap().len(), 2);
    let (newest, rest) = (entries[0].id, entries.len() - 1);
    let page = plane.app.audit_entries(&plane.admin, &Default::default(), Some(newest), 100).await;
    assert_eq!(page.unwrap().len(), rest);
    assert_eq!(refused(plane.app.audit_entries(&ann, &Default::default(), None, 1).await).1, 403);
}

/// What is not noted if it is done: reading changes nothing, and what proxies say of
/// themselves, or a refreshed token, is no one's decision.
fn is_unnoted(operation: Operation) -> bool {
    let name = operation.name();
    ["List", "Read", "Follow"].iter().any(|reading| name.starts_with(reading))
        || [
            Operation::Me,
            Operation::Preview,
            Operation::Refresh,
            Operation::RegisterProxy,
            Operation::Heartbeat,
            Operation::ReportMetrics,
            Operation::FetchConfig,
            // Noted, too, but it takes a store of secrets to renew from.
            Operation::RenewCertificate,
        ]
        .contains(&operation)
}

/// Does everything that there is in the table of operations, each once.
#[tokio::test]
async fn whatever_changes_something_is_noted() {
    let plane = Plane::start().await;
    let (app, admin) = (&plane.app, &plane.admin);
    let default = app.default_group();
    configure(app, admin).await;

    // Accounts.
    let ann = plane.user("ann", Role::Viewer).await;
    let here = plane.come("ann").await;
    let new = || password("another good password");
    app.change_password(&here, PASSWORD.into(), new()).await.unwrap();
    app.reset_password(admin, ann.id, password(PASSWORD)).await.unwrap();
    let here = plane.come("ann").await;
    let offer = app.offer_second_factor(&here).await.unwrap();
    let code = accounts::code_at(offer.secret.expose_secret(), Utc::now());
    app.verify_second_factor(&here, &code).await.unwrap();
    let backup = offer.backup_codes[0].expose_secret();
    app.disable_second_factor(&here, backup).await.unwrap();
    app.reset_second_factor(admin, ann.id).await.unwrap();
    let here = plane.come("ann").await;
    let (token, role) = (name("script"), Role::Viewer);
    let token = ApiTokenSpec { name: token, role, group: None, expires_at: None };
    let token = app.create_api_token(&here, token).await.unwrap().0.id;
    app.revoke_api_token(&here, token).await.unwrap();
    app.sign_out(&here).await.unwrap();
    let service = plane.service(None, "assigned").await;
    let role = AssignedRole::Viewer;
    app.assign_group(admin, ann.id, default, role).await.unwrap();
    app.unassign_group(admin, ann.id, default).await.unwrap();
    app.assign_service(admin, ann.id, service.id, role).await.unwrap();
    app.unassign_service(admin, ann.id, service.id).await.unwrap();
    app.update_user(admin, ann.id, UserChange::default()).await.unwrap();
    app.delete_user(admin, ann.id, Removal::ForGood).await.unwrap();
    let expires_at = now() + Duration::days(1);
    let invite = || InvitationSpec { role: Role::Viewer, email: None, expires_at };
    let (_, invitation) = app.create_invitation(admin, invite()).await.unwrap();
    let registration = Registration {
        username: "bob".to_owned().try_into().unwrap(),
        email: None,
        first_name: None,
        last_name: None,
        password: password(PASSWORD),
        invitation: Some(invitation.expose().to_owned().into()),
    };
    app.register(registration, origin()).await.unwrap();
    let (unused, _) = app.create_invitation(admin, invite()).await.unwrap();
    app.revoke_invitation(admin, unused.id).await.unwrap();

    let entries = plane.audit().await;
    let noted: Vec<_> = entries
        .iter()
        .filter(|entry| entry.done.refused.is_none())
        .map(|entry| entry.done.operation.as_str())
        .collect();
    let missing: Vec<_> = Operation::ALL
        .iter()
        .filter(|operation| !is_unnoted(**operation) && !noted.contains(&operation.name()))
        .collect();
    assert!(missing.is_empty(), "not noted, or not done by this test: {missing:?}");
    for entry in &entries {
        assert!(!entry.done.summary.is_empty() && entry.done.edge.is_some(), "{entry:?}");
    }
    events::whatever_is_noted_is_told(&plane, &entries).await;
}

/// Makes, changes and removes each thing that groups consist of.
async fn configure(app: &App, admin: &Actor) {
    use crate::model::{
        ForwardChange, Listener, ListenerChange, MappingChange, MappingProtocol, MappingSpec,
        NodeGroupChange, NodeTokenSpec, PathMatch, ProxySpec, RouteAction, RouteChange, SecretAuth,
        ServiceChange, Services,
    };

    let (group, key) = {
        let spec = NodeGroupSpec::named(name("blue"));
        let (group, _) = app.create_node_group(admin, spec).await.unwrap();
        app.rotate_node_group_key(admin, group.id).await.unwrap()
    };
    let (group, in_group) = (group.id, Some(group.id));
    app.update_node_group(admin, group, NodeGroupChange::default()).await.unwrap();
    let before = app.snapshots(admin, group, None, 1).await.unwrap().remove(0);
    let token = NodeTokenSpec { name: name("token"), node: None, expires_at: None };
    let token = NewNodeToken { group: in_group, spec: token };
    let token = app.create_node_token(admin, token).await.unwrap().0.id;
    app.revoke_node_token(admin, token).await.unwrap();

    let new = NewService { group: in_group, spec: service_spec("api") };
    let service = app.create_service(admin, new).await.unwrap().0.service.id;
    app.update_service(admin, service, ServiceChange::default()).await.unwrap();
    app.rotate_service_secret(admin, service, SecretAuth::Base64).await.unwrap();
    app.reload_service(admin, service).await.unwrap();
    let change = NewChange::UpdateService(service, Box::default());
    let change = ReadChange { field: "updateService", read: Box::new(|_| Ok(change)) };
    let changes = Changes { group: in_group, changes: vec![change], message: None };
    app.apply_changes(admin, changes).await.unwrap();

    let listener: Listener = app.listeners(admin, group, Page::ALL).await.unwrap().remove(0);
    let mut spec = listener.spec;
    (spec.name, spec.port) = (name("extra"), 9000.try_into().unwrap());
    let new = NewListener { group: in_group, spec };
    let listener = app.create_listener(admin, new).await.unwrap().0.id;
    app.update_listener(admin, listener, ListenerChange::default()).await.unwrap();
    app.delete_listener(admin, listener, None).await.unwrap();

    let backend = crate::model::Backend { service, weight: crate::model::Weight::ONE };
    let new = NewRoute {
        labels: Default::default(),
        group: in_group,
        listener: None,
        name: name("route"),
        hosts: vec!["a.example".to_owned().try_into().unwrap()],
        path: PathMatch::Prefix("/".to_owned().try_into().unwrap()),
        methods: vec![],
        headers: vec![],
        priority: 0,
        action: RouteAction::Forward(crate::model::Forward {
            backends: vec![backend],
            ..Default::default()
        }),
    };
    let route = app.create_route(admin, new).await.unwrap().0.id;
    let change = RouteChange { forward: ForwardChange::default(), ..Default::default() };
    app.update_route(admin, route, change).await.unwrap();
    app.delete_route(admin, route, None).await.unwrap();

    let spec = MappingSpec {
        labels: Labels::NONE,
        name: name("mapping"),
        description: String::new(),
        sources: Services::All,
        destinations: Services::These([service].into()),
        protocols: [MappingProtocol::Http].into(),
        ports: vec![],
        auth_required: true,
        comments: String::new(),
        is_active: true,
    };
    let mapping = app.create_mapping(admin, NewMapping { group: in_group, spec }).await;
    let mapping = mapping.unwrap().0.id;
    app.update_mapping(admin, mapping, MappingChange::default()).await.unwrap();
    app.delete_mapping(admin, mapping, None).await.unwrap();
    app.delete_service(admin, service, None).await.unwrap();

    let presented =
        crate::auth::PresentedToken { kind: crate::auth::SecretKind::GroupKey, hash: key.hash() };
    let spec = ProxySpec {
        name: "proxy".to_owned().try_into().unwrap(),
        hostname: "proxy".to_owned().try_into().unwrap(),
        ip_address: [10, 0, 0, 1].into(),
        port: 8080.try_into().unwrap(),
        version: None,
        capabilities: None,
    };
    let proxy = app.register_proxy(presented, spec).await.unwrap().id;
    app.retire_proxy(admin, proxy).await.unwrap();

    let content = Content { services: vec![], routes: vec![], certificates: vec![] };
    app.replace_content(By::User(admin), group, content).await.unwrap();
    let back = Rollback { to: before.id, if_current: None, reason: None, recompiled: false };
    app.rollback(By::User(admin), back).await.unwrap();

    let signed = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let (chain, key) = (signed.cert.pem(), signed.signing_key.serialize_pem());
    let pair = crate::model::KeyPair::read(&chain, None, &key, now()).unwrap();
    let spec = crate::model::CertificateSpec {
        labels: Default::default(),
        name: name("certificate"),
        description: String::new(),
        source: crate::model::CertificateSource::Upload,
        auto_renew: false,
        renew_before: Default::default(),
        is_active: true,
    };
    let new = NewCertificate { group: in_group, spec, pair: Some(pair) };
    let certificate = app.create_certificate(admin, new).await.unwrap().0.id;
    let change = crate::model::CertificateChange::default();
    app.update_certificate(admin, certificate, change).await.unwrap();
    app.delete_certificate(admin, certificate, None).await.unwrap();
    app.delete_node_group(admin, group, None).await.unwrap();
}
