//! How one becomes a user, and stays one.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_come_first_one_becomes_the_administrator() {
    let plane = Plane::start().await;
    let tx = plane.store.write().await.unwrap();
    tx.delete_user(plane.admin.user).await.unwrap();
    tx.commit().await.unwrap();
    let come = |name: &'static str| {
        let app = plane.app.clone();
        async move {
            let new = Registration {
                username: name.to_owned().try_into().unwrap(),
                email: None,
                first_name: None,
                last_name: None,
                password: password(PASSWORD),
                invitation: None,
            };
            app.register(new, origin()).await
        }
    };
    let all = futures_util::future::join_all(["a", "b", "c", "d"].map(come)).await;
    let (came, refused_1): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    assert_eq!((came.len(), refused_1.len()), (1, 3));
    for refusal in refused_1 {
        assert_eq!(refused(refusal).1, 403);
    }
    let first = came.into_iter().next().unwrap().unwrap();
    assert_eq!(first.user.spec.role, Role::Admin);
    let admin = plane.back(&first).await.unwrap();
    assert_eq!(plane.app.users(&admin, false, Page::ALL).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_invitation_is_good_once_and_until_its_end() {
    let plane = Plane::start().await;
    let invite = async |role, ends| {
        let email = Some("eve@example.org".to_owned().try_into().unwrap());
        let spec = InvitationSpec { role, email, expires_at: Utc::now() + ends };
        plane.app.create_invitation(&plane.admin, spec).await
    };
    let register = async |name: &str, token: Option<&UserSecret>| {
        let new = Registration {
            username: name.to_owned().try_into().unwrap(),
            email: Some(format!("{name}@elsewhere.org").try_into().unwrap()),
            first_name: None,
            last_name: None,
            password: password(PASSWORD),
            invitation: token.map(|token| token.expose().to_owned().into()),
        };
        plane.app.register(new, origin()).await
    };
    assert_eq!(refused(register("eve", None).await).1, 403);
    assert_eq!(refused(register("eve", Some(&UserSecret::invitation())).await).1, 403);
    assert_eq!(refused(invite(Role::Viewer, Duration::seconds(-1)).await).1, 400);

    let (invitation, token) = invite(Role::Operator, Duration::days(1)).await.unwrap();
    let taken = register("admin", Some(&token)).await;
    assert_eq!(refused(taken).1, 409, "a name that is taken uses no invitation up");
    let eve = register("eve", Some(&token)).await.unwrap();
    assert_eq!(eve.user.spec.role, Role::Operator);
    assert_eq!(eve.user.spec.email.unwrap().as_str(), "eve@example.org");
    assert!(eve.user.spec.is_verified);
    assert_eq!(refused(register("mallory", Some(&token)).await).1, 403);
    let gone = plane.app.revoke_invitation(&plane.admin, invitation.id).await;
    assert_eq!(refused(gone).1, 404);

    let (invitation, token) = invite(Role::Viewer, Duration::days(1)).await.unwrap();
    plane.app.revoke_invitation(&plane.admin, invitation.id).await.unwrap();
    assert_eq!(refused(register("mallory", Some(&token)).await).1, 403);
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let plane = Plane::start().await;
    plane.user("ann", Role::Viewer).await;
    let (here, there) = (plane.signed_in("ann").await, plane.signed_in("ann").await);
    let ann = plane.back(&here).await.unwrap();
    let not_yet = plane.app.verify_second_factor(&ann, "123456").await;
    assert_eq!(refused(not_yet), ("2FA setup not initiated".to_owned(), 400));
    let offer = plane.app.offer_second_factor(&ann).await.unwrap();
    assert!(offer.uri.expose_secret().starts_with("otpauth://totp/MarchProxy:ann%40marchproxy"));
    assert_eq!(offer.backup_codes.len(), 10);
    plane.signed_in("ann").await; // nothing has changed yet

    let secret = offer.secret.expose_secret();
    let code = |steps: i64| code_at(secret, Utc::now() + Duration::seconds(30 * steps));
    let wrong = plane.app.verify_second_factor(&ann, "000000").await;
    assert_eq!(refused(wrong), mistaken("invalid 2FA code"));
    let user = plane.app.verify_second_factor(&ann, &code(-1)).await.unwrap();
    assert!(user.second_factor.is_on());
    plane.back(&here).await.unwrap();
    assert_eq!(refused(plane.back(&there).await), unauthenticated("the session has ended"));
    let again = plane.app.offer_second_factor(&ann).await;
    assert_eq!(refused(again), ("2FA is already enabled".to_owned(), 400));

    let sign_in = async |code: Option<&str>| plane.sign_in("ann", PASSWORD, code).await;
    assert!(matches!(sign_in(None).await.unwrap(), SignIn::NeedsCode(_)));
    let wrong = plane.sign_in("ann", "battery staple", Some(&code(0))).await;
    assert_eq!(refused(wrong), mistaken("incorrect username or password"));
    let invalid = mistaken("invalid 2FA code");
    assert_eq!(refused(sign_in(Some(&code(-1))).await), invalid, "it was used to turn it on");
    let now = code(0);
    assert!(matches!(sign_in(Some(&now)).await.unwrap(), SignIn::Done(_)));
    assert_eq!(refused(sign_in(Some(&now)).await), invalid, "it was used");
    let backup = offer.backup_codes[3].expose_secret().to_lowercase();
    assert!(matches!(sign_in(Some(&backup)).await.unwrap(), SignIn::Done(_)));
    for bad in [backup.as_str(), "", "12345", "ABCDE-23456"] {
        assert_eq!(refused(sign_in(Some(bad)).await), invalid, "{bad}");
    }

    let backup = offer.backup_codes[4].expose_secret();
    let user = plane.app.disable_second_factor(&ann, backup).await.unwrap();
    assert!(!user.second_factor.is_on());
    plane.signed_in("ann").await;
    let row = plane.store.read().await.unwrap().user(user.id).await.unwrap();
    assert_eq!(row.second_factor, crate::model::SecondFactor::Off);
}

/// What an app shows that was given this secret.
pub(super) fn code_at(secret: &str, at: DateTime<Utc>) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret).build().unwrap();
    app.generate(at.timestamp().try_into().unwrap()).to_string()
}

#[tokio::test]
async fn an_old_users_hash_is_replaced_at_the_first_sign_in() {
    let plane = Plane::start().await;
    let ann = plane.user("ann", Role::Viewer).await;
    let hash = bcrypt::hash_with_salt(PASSWORD, 4, [7; 16]).unwrap().to_string();
    let tx = plane.store.write().await.unwrap();
    tx.set_password(ann.id, &PasswordHash::new(hash.clone())).await.unwrap();
    tx.commit().await.unwrap();
    let kept = async || plane.store.read().await.unwrap().user(ann.id).await.unwrap().password_hash;
    assert_eq!(refused(plane.sign_in("ann", "battery staple", None).await).1, 401);
    assert_eq!(kept().await.expose(), hash);
    plane.signed_in("ann").await;
    assert!(kept().await.expose().starts_with("$argon2id$"));
    plane.signed_in("ann").await;
}

#[tokio::test]
async fn there_is_always_an_administrator_and_nobody_removes_themselves() {
    let plane = Plane::start().await;
    let change = |change: UserChange| plane.app.update_user(&plane.admin, plane.admin.user, change);
    let demote = || UserChange { role: Some(Role::Operator), ..Default::default() };
    let deactivate = || UserChange { is_active: Some(false), ..Default::default() };
    let last = ("this is the last active administrator".to_owned(), 400);
    assert_eq!(refused(change(demote()).await), last);
    let yourself = ("cannot deactivate yourself".to_owned(), 400);
    assert_eq!(refused(change(deactivate()).await), yourself);
    for removal in [Removal::Deactivate, Removal::ForGood] {
        let refusal = plane.app.delete_user(&plane.admin, plane.admin.user, removal).await;
        assert_eq!(refused(refusal), ("cannot delete yourself".to_owned(), 400));
    }
    let ann = plane.user("ann", Role::Admin).await;
    change(demote()).await.unwrap();
    let ann_now = plane.come("ann").await;
    let refusal = plane.app.delete_user(&ann_now, ann.id, Removal::Deactivate).await;
    assert_eq!(refused(refusal), ("cannot delete yourself".to_owned(), 400));
    let demoted = plane.come("admin").await;
    assert_eq!(refused(plane.app.users(&demoted, false, Page::ALL).await).1, 403);
}

#[tokio::test]
async fn a_name_is_nobody_elses_address() {
    let plane = Plane::start().await;
    plane.user("ann", Role::Viewer).await;
    for (name, email, field) in [
        ("ann", "x@example.org", "username"),
        ("ann@marchproxy.local", "x@example.org", "username"),
        ("ANN@marchproxy.local", "x@example.org", "username"),
        ("x", "Ann@MarchProxy.local", "email"),
    ] {
        let mut spec = spec("x", Role::Viewer);
        spec.username = name.to_owned().try_into().unwrap();
        spec.email = Some(email.to_owned().try_into().unwrap());
        let new = NewUser { spec, password: password(PASSWORD) };
        let error = plane.app.create_user(&plane.admin, new).await.unwrap_err();
        assert_eq!(error.codes().http.as_u16(), 409, "{name} {email}");
        assert_eq!(error.path(), [field], "{name} {email}");
    }
}
