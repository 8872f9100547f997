//! Access tokens: JWT, HS256, signed with `SECRET_KEY`.
//!
//! Claims as existing clients know them: `sub` is the user's id as text, `type`
//! is `access`, `exp` is when it ends. Nothing but HS256 verifies: a token
//! cannot choose its own algorithm (RFC 8725, section 3.1).

use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, errors::ErrorKind};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::UserId;

const LIFETIME: Duration = Duration::hours(1);

/// Issues and verifies access tokens.
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

/// A token that was issued, and when it ends.
#[derive(Clone)]
pub struct AccessToken {
    /// What goes into `Authorization: Bearer`.
    pub token: SecretString,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "type")]
    kind: String,
    iat: i64,
    exp: i64,
}

impl Tokens {
    /// Signs with `secret`.
    pub fn new(secret: &SecretString) -> Self {
        let secret = secret.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = 0; // we issue and verify by the same clock
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// Issues a token that ends in an hour.
    pub fn issue(&self, user: UserId, now: DateTime<Utc>) -> Result<AccessToken> {
        let expires_at = now + LIFETIME;
        let claims = Claims {
            sub: user.to_string(),
            kind: "access".to_owned(),
            iat: now.timestamp(),
            exp: expires_at.timestamp(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding);
        Ok(AccessToken { token: token.map_err(Error::internal)?.into(), expires_at })
    }

    /// Whose token this is, and when it ends.
    pub fn verify(&self, token: &str) -> Result<(UserId, DateTime<Utc>)> {
        let refused = Error::Unauthenticated;
        let claims = match jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation) {
            Ok(decoded) => decoded.claims,
            Err(e) if matches!(e.kind(), ErrorKind::ExpiredSignature) => {
                return Err(refused("the token has expired"));
            }
            Err(_) => return Err(refused("the token is not valid")),
        };
        if claims.kind != "access" {
            return Err(refused("this is not an access token"));
        }
        let user = claims.sub.parse().ok().and_then(|id: i32| UserId::try_from(id).ok());
        let expires_at = DateTime::from_timestamp(claims.exp, 0);
        user.zip(expires_at).ok_or_else(|| refused("the token is not valid"))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;

    use super::*;

    fn refusal(token: &str) -> String {
        Tokens::new(&"secret".into()).verify(token).unwrap_err().to_string()
    }

    #[test]
    fn a_token_says_whose_it_is() {
        let tokens = Tokens::new(&"secret".into());
        let user = UserId::try_from(7).unwrap();
        let issued = tokens.issue(user, Utc::now()).unwrap();
        assert_eq!(tokens.verify(issued.token.expose_secret()).unwrap().0, user);
    }

    #[test]
    fn tokens_that_are_no_good_are_refused() {
        let user = UserId::try_from(7).unwrap();
        let issue = |secret: &str, at| {
            let issued = Tokens::new(&secret.to_owned().into()).issue(user, at).unwrap();
            issued.token.expose_secret().to_owned()
        };
        let expired = issue("secret", Utc::now() - LIFETIME - Duration::seconds(1));
        assert_eq!(refusal(&expired), "sign in first: the token has expired");
        let foreign = issue("another", Utc::now());
        assert_eq!(refusal(&foreign), "sign in first: the token is not valid");
        let payload = foreign.split('.').nth(1).unwrap();
        let none = format!("{}.{payload}.", BASE64.encode(r#"{"alg":"none","typ":"JWT"}"#));
        assert_eq!(refusal(&none), "sign in first: the token is not valid");
        assert_eq!(refusal(""), "sign in first: the token is not valid");
    }

    #[test]
    fn a_refresh_token_is_no_access_token() {
        let claims =
            serde_json::json!({"sub": "7", "type": "refresh", "iat": 0, "exp": 99_999_999_999_i64});
        let key = EncodingKey::from_secret(b"secret");
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        assert_eq!(refusal(&token), "sign in first: this is not an access token");
    }
}
