//! Who may do what, and for how long.

use super::*;

#[tokio::test]
async fn an_api_token_does_what_it_is_for_until_it_is_revoked() {
    let plane = Plane::start().await;
    let (blue, ann) = (plane.group("blue").await, plane.user("ann", Role::Operator).await);
    let actor = plane.come("ann").await;
    let spec =
        |text: &str, role, group| ApiTokenSpec { name: name(text), role, group, expires_at: None };
    let make = async |spec| plane.app.create_api_token(&actor, spec).await;
    assert_eq!(refused(make(spec("a", Role::Admin, None)).await).1, 400);
    let past = ApiTokenSpec {
        expires_at: Some(Utc::now() - Duration::seconds(1)),
        ..spec("a", Role::Viewer, None)
    };
    assert_eq!(refused(make(past).await).1, 400);
    let (token, secret) = make(spec("a", Role::Operator, Some(blue))).await.unwrap();
    assert_eq!(refused(make(spec("a", Role::Viewer, None)).await).1, 409);
    assert!(secret.expose().starts_with("mpat_"));

    let script = plane.with(secret.expose()).await.unwrap();
    assert_eq!(script.via(), &Via::ApiToken(token.id));
    let new = |group| NewService { group, spec: service_spec("api") };
    plane.app.create_service(&script, new(Some(blue))).await.unwrap();
    let refusal = plane.app.create_service(&script, new(None)).await;
    assert_eq!(refused(refusal).1, 403, "its group is another one");
    let groups = plane.app.node_groups(&script, Page::ALL).await.unwrap();
    assert_eq!(groups.iter().map(|g| g.id).collect::<Vec<_>>(), [blue]);
    assert_eq!(
        refused(plane.app.create_api_token(&script, spec("b", Role::Viewer, None)).await).1,
        403
    );
    assert_eq!(refused(plane.app.sign_out(&script).await).1, 400);
    let (other, other_secret) = make(spec("other", Role::Viewer, None)).await.unwrap();
    assert_eq!(refused(plane.app.revoke_api_token(&script, other.id).await).1, 403);
    let itself = plane.with(other_secret.expose()).await.unwrap();
    plane.app.revoke_api_token(&itself, other.id).await.unwrap();
    let listed = plane.app.api_tokens(&actor, Some(ann.id), Page::ALL).await.unwrap();
    assert!(listed[0].last_used_at.is_some());

    // Nobody else's business, but an administrator's.
    plane.user("bob", Role::Operator).await;
    let bob = plane.come("bob").await;
    assert_eq!(refused(plane.app.revoke_api_token(&bob, token.id).await).1, 404);
    assert_eq!(refused(plane.app.api_tokens(&bob, Some(ann.id), Page::ALL).await).1, 403);
    plane.app.revoke_api_token(&plane.admin, token.id).await.unwrap();
    let revoked = unauthenticated("the token is unknown, or was revoked");
    assert_eq!(refused(plane.with(secret.expose()).await), revoked);

    let (_, secret) = make(spec("c", Role::Viewer, None)).await.unwrap();
    plane.app.delete_user(&plane.admin, ann.id, Removal::Deactivate).await.unwrap();
    assert_eq!(refused(plane.with(secret.expose()).await).1, 403);
}

#[tokio::test]
async fn a_member_sees_and_changes_what_they_are_assigned_to() {
    let plane = Plane::start().await;
    let (blue, green) = (plane.group("blue").await, plane.group("green").await);
    let in_blue = plane.service(Some(blue), "in-blue").await;
    let (mine, other) =
        (plane.service(Some(green), "mine").await, plane.service(Some(green), "other").await);
    let ann = plane.user("ann", Role::Member).await;
    let app = &plane.app;
    let nothing = plane.come("ann").await;
    assert!(app.node_groups(&nothing, Page::ALL).await.unwrap().is_empty());
    assert_eq!(refused(app.node_group(&nothing, blue).await).1, 404);

    app.assign_group(&plane.admin, ann.id, blue, AssignedRole::Operator).await.unwrap();
    app.assign_service(&plane.admin, ann.id, mine.id, AssignedRole::Operator).await.unwrap();
    let member = plane.come("ann").await;
    let groups = app.node_groups(&member, Page::ALL).await.unwrap();
    assert_eq!(groups.iter().map(|group| group.id).collect::<Vec<_>>(), [blue, green]);
    let seen = async |group| {
        let services = app.services(&member, group, Page::ALL).await.unwrap();
        services.into_iter().map(|service| service.id).collect::<Vec<_>>()
    };
    assert_eq!(seen(blue).await, [in_blue.id]);
    assert_eq!(seen(green).await, [mine.id]);
    assert_eq!(seen(app.default_group()).await, []);
    assert_eq!(refused(app.service(&member, other.id).await).1, 404);
    assert_eq!(refused(app.routes(&member, green, Page::ALL).await).1, 403);
    app.routes(&member, blue, Page::ALL).await.unwrap();

    let change = crate::model::ServiceChange::default;
    app.update_service(&member, mine.id, change()).await.unwrap();
    assert_eq!(refused(app.update_service(&member, other.id, change()).await).1, 404);
    assert_eq!(refused(app.delete_service(&member, mine.id, None).await).1, 403);
    assert_eq!(refused(app.retire_service(&member, mine.id).await).1, 403);
    app.delete_service(&member, in_blue.id, None).await.unwrap();
    let new = |group| NewService { group: Some(group), spec: service_spec("new") };
    app.create_service(&member, new(blue)).await.unwrap();
    assert_eq!(refused(app.create_service(&member, new(green)).await).1, 403);

    app.assign_group(&plane.admin, ann.id, blue, AssignedRole::Viewer).await.unwrap();
    let viewer = plane.come("ann").await;
    assert_eq!(refused(app.create_service(&viewer, new(blue)).await).1, 403);
    app.unassign_group(&plane.admin, ann.id, blue).await.unwrap();
    app.unassign_service(&plane.admin, ann.id, mine.id).await.unwrap();
    assert_eq!(refused(app.unassign_service(&plane.admin, ann.id, mine.id).await).1, 404);
    let nothing = plane.come("ann").await;
    assert!(app.node_groups(&nothing, Page::ALL).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_stays_connected_hears_that_they_are_signed_out() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Operator).await;
    let (stays, goes) = (plane.come("ann").await, plane.come("ann").await);
    let mut stays_on = Box::pin(plane.app.signed_out(&stays));
    let gone = plane.app.signed_out(&goes);
    plane.app.sign_out(&goes).await.unwrap();
    gone.await;
    assert!((&mut stays_on).now_or_never().is_none());
    let change = UserChange { role: Some(Role::Viewer), ..Default::default() };
    let tried = plane.app.dry_run(true);
    let would_be = tried.update_user(&plane.admin, ann.id, change.clone()).await.unwrap();
    assert_eq!(would_be.spec.role, Role::Viewer);
    assert!((&mut stays_on).now_or_never().is_none(), "it was only tried");
    plane.app.update_user(&plane.admin, ann.id, change).await.unwrap();
    stays_on.await; // they may do less than before
}
