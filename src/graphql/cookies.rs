//! Sessions of browsers: the tokens are in cookies that no script can read.
//!
//! A page asks for them with the header `x-requested-by` when it signs in, and must
//! send that header with each POST that a cookie authenticates: no form can, and no
//! page of another origin without CORS's leave.

use async_graphql::Context;
use chrono::Utc;
use http::header::{COOKIE, HeaderMap, HeaderName, SET_COOKIE};
use secrecy::{ExposeSecret as _, SecretString};

use crate::app::SignedIn;
use crate::auth::IssuedToken;

/// What a page says that it is, so that nobody else can send its cookies.
pub const REQUESTED_BY: HeaderName = HeaderName::from_static("x-requested-by");

const ACCESS: &str = "marchproxy_access";
const REFRESH: &str = "marchproxy_refresh";

/// That the client keeps its tokens in cookies: part of a request's data.
#[derive(Clone, Debug)]
pub struct CookieJar {
    /// Whether they may only be sent by HTTPS.
    secure: bool,
    refresh: Option<SecretString>,
}

impl CookieJar {
    /// Reads it; none if the client does not ask for cookies.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        headers.get(REQUESTED_BY)?;
        // Whoever claims HTTPS falsely only keeps their own cookies from themselves.
        let proto = headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok());
        let secure = proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https"));
        Some(Self { secure, refresh: cookie(headers, REFRESH).map(SecretString::from) })
    }
}

/// The access token that a browser sends by itself.
pub fn access_token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, ACCESS)
}

/// The refresh token of the client's cookie, if it keeps one.
pub(super) fn refresh_token(ctx: &Context<'_>) -> Option<SecretString> {
    ctx.data_opt::<CookieJar>()?.refresh.clone()
}

/// Has the client keep these tokens, if it asked for that.
pub(super) fn keep(ctx: &Context<'_>, signed_in: &SignedIn) {
    if let Some(jar) = ctx.data_opt::<CookieJar>() {
        for (name, token) in [(ACCESS, &signed_in.access), (REFRESH, &signed_in.refresh)] {
            ctx.append_http_header(SET_COOKIE, jar.kept(name, token));
        }
    }
}

/// Has the client drop its tokens.
pub(super) fn drop_all(ctx: &Context<'_>) {
    if let Some(jar) = ctx.data_opt::<CookieJar>() {
        for name in [ACCESS, REFRESH] {
            ctx.append_http_header(SET_COOKIE, jar.written(name, "", 0));
        }
    }
}

impl CookieJar {
    fn kept(&self, name: &str, token: &IssuedToken) -> String {
        let left = (token.expires_at - Utc::now()).num_seconds().max(0);
        self.written(name, token.token.expose_secret(), left)
    }

    /// RFC 6265, section 4.1. Only GraphQL is sent it, so REST cannot be made to act by it.
    fn written(&self, name: &str, value: &str, seconds: i64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{name}={value}; Path=/graphql; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
        )
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';'));
    pairs.find_map(|pair| {
        let (of, value) = pair.trim().split_once('=')?;
        (of == name && !value.is_empty()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs =
            pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        pairs.collect()
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let cookies = headers(&[(COOKIE, "a=b; marchproxy_access=x.y.z; c=d")]);
        assert_eq!(access_token(&cookies), Some("x.y.z"));
        assert_eq!(access_token(&headers(&[(COOKIE, "not_marchproxy_access=x")])), None);
        assert_eq!(access_token(&headers(&[(COOKIE, "marchproxy_access=")])), None);
    }

    #[test]
    fn no_script_and_no_other_page_gets_at_it() {
        let asks = headers(&[
            (REQUESTED_BY, "dashboard"),
            (HeaderName::from_static("x-forwarded-proto"), "https"),
            (COOKIE, "marchproxy_refresh=r3fr35h"),
        ]);
        let jar = CookieJar::read(&asks).unwrap();
        assert_eq!(
            jar.written(ACCESS, "token", 60),
            "marchproxy_access=token; Path=/graphql; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(!format!("{jar:?}").contains("r3fr35h"), "nor a log");
        assert!(CookieJar::read(&HeaderMap::new()).is_none());
    }
}
