//! Signing in, and what tokens are good for.

use super::*;

#[tokio::test]
async fn a_sign_in_tells_nothing_to_who_has_no_password() {
    let plane = Plane::start().await;
    plane.user("ann", Role::Viewer).await;
    for (login, password) in [
        ("ann", "battery staple"),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        (&"x".repeat(10_000), PASSWORD),
    ] {
        let want = mistaken("incorrect username or password");
        assert_eq!(refused(plane.sign_in(login, password, None).await), want, "{login:.20}");
    }
    for login in ["ann", "ann@marchproxy.local", "ANN@MarchProxy.Local"] {
        let signed_in = plane.signed_in(login).await;
        assert_eq!(signed_in.user.spec.username.as_str(), "ann");
        let left = signed_in.access.expires_at - Utc::now();
        assert!(left <= Duration::minutes(30) && left > Duration::minutes(29), "{left}");
    }
    let change = UserChange { is_active: Some(false), ..Default::default() };
    let ann = plane.signed_in("ann").await.user.id;
    plane.app.update_user(&plane.admin, ann, change).await.unwrap();
    let deactivated = ("user account is deactivated".to_owned(), 403);
    assert_eq!(refused(plane.sign_in("ann", PASSWORD, None).await), deactivated);
    let wrong = plane.sign_in("ann", "battery staple", None).await;
    assert_eq!(refused(wrong).1, 401, "only who has the password hears of it");
}

#[tokio::test]
async fn tokens_that_are_no_good_are_refused_each_with_its_code() {
    let plane = Plane::start().await;
    let (ann, bob) = (plane.user("ann", Role::Viewer).await, plane.user("bob", Role::Viewer).await);
    let signed_in = plane.signed_in("ann").await;
    let ours = Keys::new(&SECRET.into(), Lifetimes::default()).tokens;
    let theirs = Keys::new(&"another".into(), Lifetimes::default()).tokens;
    let session = match plane.back(&signed_in).await.unwrap().via() {
        Via::Session(session) => session.clone(),
        Via::OldToken | Via::ApiToken(_) => panic!("signed in by something else"),
    };
    let now = Utc::now();
    let text =
        |token: Result<crate::auth::IssuedToken>| token.unwrap().token.expose_secret().to_owned();
    let unknown: SessionId = "A".repeat(22).try_into().unwrap();
    let no_such_user: UserId = 999.try_into().unwrap();
    for (what, token, why) in [
        (
            "expired",
            text(ours.issue_access(ann.id, &session, now - Duration::hours(1))),
            "the token has expired",
        ),
        ("wrong key", text(theirs.issue_access(ann.id, &session, now)), "the token is not valid"),
        (
            "refresh as access",
            signed_in.refresh.token.expose_secret().to_owned(),
            "this is not an access token",
        ),
        (
            "another user's session",
            text(ours.issue_access(bob.id, &session, now)),
            "the session has ended",
        ),
        (
            "no such session",
            text(ours.issue_access(ann.id, &unknown, now)),
            "the session has ended",
        ),
        ("no such user", text(ours.issue_access(no_such_user, &session, now)), "this user is gone"),
        ("rubbish", "a.b.c".to_owned(), "the token is not valid"),
        ("nothing", String::new(), "the token is not valid"),
        (
            "unknown API token",
            UserSecret::api_token().expose().to_owned(),
            "the token is unknown, or was revoked",
        ),
    ] {
        assert_eq!(refused(plane.with(&token).await), unauthenticated(why), "{what}");
    }
    let as_refresh = plane.app.refresh(signed_in.access.token.expose_secret(), origin()).await;
    assert_eq!(refused(as_refresh), unauthenticated("this is not a refresh token"));

    // Still good, until its session is signed out of.
    let ann_1 = plane.back(&signed_in).await.unwrap();
    plane.app.sign_out(&ann_1).await.unwrap();
    let ended = unauthenticated("the session has ended");
    assert_eq!(refused(plane.back(&signed_in).await), ended);
    let refresh = plane.app.refresh(signed_in.refresh.token.expose_secret(), origin()).await;
    assert_eq!(refused(refresh), ended);

    // A deactivated user's.
    let again = plane.signed_in("ann").await;
    plane.app.delete_user(&plane.admin, ann.id, Removal::Deactivate).await.unwrap();
    let deactivated = ("user account is deactivated".to_owned(), 403);
    assert_eq!(refused(plane.back(&again).await), deactivated);
    let refresh = plane.app.refresh(again.refresh.token.expose_secret(), origin()).await;
    assert_eq!(refused(refresh), deactivated);
    // And not good again when they come back.
    let change = UserChange { is_active: Some(true), ..Default::default() };
    plane.app.update_user(&plane.admin, ann.id, change).await.unwrap();
    assert_eq!(refused(plane.back(&again).await), ended);
    plane.app.delete_user(&plane.admin, ann.id, Removal::ForGood).await.unwrap();
    assert_eq!(refused(plane.back(&again).await), unauthenticated("this user is gone"));
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_copy_ends_the_session() {
    let plane = Plane::start().await;
    let first = plane.signed_in("admin").await;
    let refresh = async |signed_in: &SignedIn| {
        plane.app.refresh(signed_in.refresh.token.expose_secret(), origin()).await
    };
    let second = refresh(&first).await.unwrap();
    let third = refresh(&second).await.unwrap();
    plane.back(&third).await.unwrap();
    plane.back(&first).await.expect("an access token is good until its end");

    let reused = refresh(&first).await;
    assert_eq!(refused(reused), unauthenticated("this refresh token was used before"));
    let ended = unauthenticated("the session has ended");
    for signed_in in [&first, &second, &third] {
        assert_eq!(refused(refresh(signed_in).await), ended);
        assert_eq!(refused(plane.back(signed_in).await), ended);
    }
    // Another session has nothing to do with it.
    plane.app.users(&plane.admin, false, Page::ALL).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_every_other_session() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Viewer).await;
    let (here, there) = (plane.signed_in("ann").await, plane.signed_in("ann").await);
    let old = old_token(ann.id);
    assert_eq!(plane.with(&old).await.unwrap().via(), &Via::OldToken);
    let actor = plane.back(&here).await.unwrap();

    let wrong = plane.app.change_password(&actor, "wrong".into(), password("a new password"));
    assert_eq!(refused(wrong.await), mistaken("current password is incorrect"));
    plane.back(&there).await.unwrap();
    let done = plane.app.change_password(&actor, PASSWORD.into(), password("a new password"));
    done.await.unwrap();
    plane.back(&here).await.unwrap();
    let ended = unauthenticated("the session has ended");
    assert_eq!(refused(plane.back(&there).await), ended);
    assert_eq!(refused(plane.with(&old).await), ended);
    assert_eq!(refused(plane.sign_in("ann", PASSWORD, None).await).1, 401);
    plane.sign_in("ann", "a new password", None).await.unwrap();

    plane.app.reset_password(&plane.admin, ann.id, password(PASSWORD)).await.unwrap();
    assert_eq!(refused(plane.back(&here).await), ended);
    plane.signed_in("ann").await;
}

/// A token as existing clients have them: no session, no `iat`.
fn old_token(user: UserId) -> String {
    let end = Utc::now().timestamp() + 60;
    let claims = serde_json::json!({ "sub": user.to_string(), "type": "access", "exp": end });
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

#[tokio::test]
async fn signing_out_with_an_old_token_ends_all_of_those() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Viewer).await;
    let (old, session) = (old_token(ann.id), plane.signed_in("ann").await);
    plane.app.sign_out(&plane.with(&old).await.unwrap()).await.unwrap();
    assert_eq!(refused(plane.with(&old).await), unauthenticated("the session has ended"));
    plane.back(&session).await.unwrap();
}
