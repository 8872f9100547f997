//! Access and refresh tokens: JWT, signed with `SECRET_KEY`, or with a private key
//! if there is one.
//!
//! Claims as existing clients know them: `sub` is the user's id as text, `type` is
//! `access` or `refresh`, `exp` is when it ends. Ours name their session in `sid`;
//! a token without one is from before there were sessions, and good as an access
//! token. A token cannot choose its own algorithm (RFC 8725, section 3.1): each key
//! verifies the one that it is for, and there is no key for `none`.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm,
    OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, ThumbprintHash,
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::secret;
use crate::error::{Error, Result};
use crate::model::{SessionId, TokenHash, UserId};

/// Issues and verifies tokens.
pub struct Tokens {
    signing: Signing,
    /// `SECRET_KEY`; and the private key's other half, if there is one.
    verifying: Vec<Verifying>,
    lifetimes: Lifetimes,
    jwks: JwkSet,
}

/// How long tokens are good for.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// An access token.
    pub access: Duration,
    /// A refresh token, and so a session that is not refreshed.
    pub refresh: Duration,
}

/// A private key that tokens cannot be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a private key in PEM: Ed25519 (PKCS #8), or RSA of 2048 bits or more")]
pub struct SigningKeyError;

/// A token that was issued, and when it ends.
#[derive(Clone, Debug)]
pub struct IssuedToken {
    /// The token.
    pub token: SecretString,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// What a token that is good says.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Whose it is.
    pub user: UserId,
    /// Of which session; none if it is from before there were any.
    pub session: Option<SessionId>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Access,
    Refresh,
}

struct Signing {
    key: EncodingKey,
    header: Header,
}

struct Verifying {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { access: Duration::minutes(30), refresh: Duration::days(7) }
    }
}

impl Tokens {
    /// Signs with `secret`.
    pub fn new(secret: &SecretString, lifetimes: Lifetimes) -> Self {
        let secret = secret.expose_secret().as_bytes();
        Self {
            signing: Signing {
                key: EncodingKey::from_secret(secret),
                header: Header::new(Algorithm::HS256),
            },
            verifying: vec![Verifying::new(DecodingKey::from_secret(secret), Algorithm::HS256)],
            lifetimes,
            jwks: JwkSet { keys: vec![] },
        }
    }

    /// Signs with the private key in `pem` instead. Tokens that `SECRET_KEY` signed
    /// are good until they end.
    pub fn signing_with(mut self, pem: &SecretString) -> Result<Self, SigningKeyError> {
        let pem = pem.expose_secret().as_bytes();
        let (key, algorithm) = EncodingKey::from_ed_pem(pem)
            .map(|key| (key, Algorithm::EdDSA))
            .or_else(|_| EncodingKey::from_rsa_pem(pem).map(|key| (key, Algorithm::RS256)))
            .map_err(|_| SigningKeyError)?;
        let mut jwk = public_half(&key, algorithm).ok_or(SigningKeyError)?;
        let decoding = DecodingKey::from_jwk(&jwk).map_err(|_| SigningKeyError)?;
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| SigningKeyError)?;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(id.clone());
        self.jwks = JwkSet { keys: vec![jwk] };
        self.signing = Signing { key, header: Header { kid: Some(id), ..Header::new(algorithm) } };
        self.verifying.push(Verifying::new(decoding, algorithm));
        let probe = Claims::new(Kind::Access, UserId::try_from(1).expect("an id"), Utc::now());
        self.sign(&probe).map_err(|_| SigningKeyError)?; // a key that is too short says so here
        Ok(self)
    }

    /// The public keys that tokens can be verified with elsewhere (RFC 7517).
    pub fn jwks(&self) -> &JwkSet {
        &self.jwks
    }

    /// How long tokens are good for.
    pub fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Issues an access token of a session.
    pub fn issue_access(
        &self,
        user: UserId,
        session: &SessionId,
        now: DateTime<Utc>,
    ) -> Result<IssuedToken> {
        self.issue(Kind::Access, user, session, now, now + self.lifetimes.access)
    }

    /// Issues a refresh token of a session, and says what is to be kept of it.
    pub fn issue_refresh(
        &self,
        user: UserId,
        session: &SessionId,
        now: DateTime<Utc>,
    ) -> Result<(IssuedToken, TokenHash)> {
        let issued = self.issue(Kind::Refresh, user, session, now, now + self.lifetimes.refresh)?;
        let hash = secret::hash(issued.token.expose_secret());
        Ok((issued, hash))
    }

    /// Whose access token this is, and when it ends.
    pub fn verify_access(&self, token: &str) -> Result<Verified> {
        self.verify(token, Kind::Access)
    }

    /// Whose refresh token this is, and what is kept of it if it is the good one.
    pub fn verify_refresh(&self, token: &str) -> Result<(Verified, TokenHash)> {
        Ok((self.verify(token, Kind::Refresh)?, secret::hash(token)))
    }

    fn issue(
        &self,
        kind: Kind,
        user: UserId,
        session: &SessionId,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<IssuedToken> {
        let id: u128 = rand::random(); // so that no two are alike
        let claims = Claims {
            iat: Some(now.timestamp()),
            sid: Some(session.to_string()),
            jti: Some(format!("{id:032x}")),
            ..Claims::new(kind, user, expires_at)
        };
        let expires_at = DateTime::from_timestamp(claims.exp, 0).unwrap_or(expires_at);
        let token = self.sign(&claims).map_err(Error::internal)?;
        Ok(IssuedToken { token: token.into(), expires_at })
    }

    fn sign(&self, claims: &Claims) -> jsonwebtoken::errors::Result<String> {
        jsonwebtoken::encode(&self.signing.header, claims, &self.signing.key)
    }

    fn verify(&self, token: &str, want: Kind) -> Result<Verified> {
        const INVALID: Error = Error::Unauthenticated("the token is not valid");
        let header = jsonwebtoken::decode_header(token).map_err(|_| INVALID)?;
        let mut keys = self.verifying.iter();
        let key = keys.find(|key| key.validation.algorithms.contains(&header.alg));
        let key = key.ok_or(INVALID)?;
        let claims = match jsonwebtoken::decode::<Claims>(token, &key.key, &key.validation) {
            Ok(decoded) => decoded.claims,
            Err(e) if matches!(e.kind(), ErrorKind::ExpiredSignature) => {
                return Err(Error::Unauthenticated("the token has expired"));
            }
            Err(_) => return Err(INVALID),
        };
        if claims.kind != want.as_str() {
            return Err(Error::Unauthenticated(match want {
                Kind::Access => "this is not an access token",
                Kind::Refresh => "this is not a refresh token",
            }));
        }
        let user = claims.sub.parse().ok().and_then(|id: i32| UserId::try_from(id).ok());
        let expires_at = DateTime::from_timestamp(claims.exp, 0);
        let (user, expires_at) = user.zip(expires_at).ok_or(INVALID)?;
        let session = claims.sid.map(SessionId::try_from).transpose().map_err(|_| INVALID)?;
        Ok(Verified { user, session, expires_at })
    }
}

/// The public half of a private key.
fn public_half(key: &EncodingKey, algorithm: Algorithm) -> Option<Jwk> {
    if algorithm != Algorithm::EdDSA {
        return Jwk::from_encoding_key(key, algorithm).ok();
    }
    // jsonwebtoken reads it from version 1 of PKCS #8 only.
    let pair = Ed25519KeyPair::from_pkcs8(key.as_bytes()).ok()?;
    let algorithm = AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
        key_type: OctetKeyPairType::OctetKeyPair,
        curve: EllipticCurve::Ed25519,
        x: BASE64.encode(pair.public_key().as_ref()),
    });
    let common =
        CommonParameters { key_algorithm: Some(KeyAlgorithm::EdDSA), ..Default::default() };
    Some(Jwk { common, algorithm })
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Refresh => "refresh",
        }
    }
}

impl Claims {
    /// As existing clients know them.
    fn new(kind: Kind, user: UserId, expires_at: DateTime<Utc>) -> Self {
        Self {
            sub: user.to_string(),
            kind: kind.as_str().to_owned(),
            iat: None,
            exp: expires_at.timestamp(),
            sid: None,
            jti: None,
        }
    }
}

impl Verifying {
    fn new(key: DecodingKey, algorithm: Algorithm) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&["exp", "sub"]);
        validation.leeway = 0; // we issue and verify by the same clock
        Self { key, validation }
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokens(secret: &str) -> Tokens {
        Tokens::new(&secret.to_owned().into(), Lifetimes::default())
    }

    fn user() -> UserId {
        7.try_into().unwrap()
    }

    fn session() -> SessionId {
        "AAAAAAAAAAAAAAAAAAAAAA".to_owned().try_into().unwrap()
    }

    fn access(tokens: &Tokens, at: DateTime<Utc>) -> String {
        tokens.issue_access(user(), &session(), at).unwrap().token.expose_secret().to_owned()
    }

    fn refusal(token: &str) -> String {
        let error = tokens("secret").verify_access(token).unwrap_err();
        assert_eq!(error.codes().graphql, "UNAUTHENTICATED");
        error.to_string()
    }

    fn signed(claims: &serde_json::Value) -> String {
        let key = EncodingKey::from_secret(b"secret");
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
    }

    #[test]
    fn a_token_says_whose_it_is_and_of_which_session() {
        let tokens = tokens("secret");
        let now = Utc::now();
        let issued = tokens.issue_access(user(), &session(), now).unwrap();
        let verified = tokens.verify_access(issued.token.expose_secret()).unwrap();
        assert_eq!((verified.user, verified.session), (user(), Some(session())));
        assert_eq!(verified.expires_at, issued.expires_at);
        assert_eq!(issued.expires_at.timestamp(), (now + Duration::minutes(30)).timestamp());

        let (issued, hash) = tokens.issue_refresh(user(), &session(), now).unwrap();
        let (verified, presented) = tokens.verify_refresh(issued.token.expose_secret()).unwrap();
        assert_eq!((verified.session, presented == hash), (Some(session()), true));
        let (_, other) = tokens.issue_refresh(user(), &session(), now).unwrap();
        assert!(other != hash, "two tokens of one second are alike");
    }

    #[test]
    fn tokens_that_are_no_good_are_refused() {
        let expired = access(&tokens("secret"), Utc::now() - Duration::minutes(31));
        assert_eq!(refusal(&expired), "sign in first: the token has expired");
        let foreign = access(&tokens("another"), Utc::now());
        let payload = foreign.split('.').nth(1).unwrap();
        let unsigned = |alg: &str| {
            format!("{}.{payload}.", BASE64.encode(json!({ "alg": alg, "typ": "JWT" }).to_string()))
        };
        let good = json!({"sub": "7", "type": "access", "exp": 99_999_999_999_i64});
        let with = |key: &str, value: serde_json::Value| {
            let mut claims = good.clone();
            claims[key] = value;
            signed(&claims)
        };
        for token in [
            foreign.clone(),
            unsigned("none"),
            unsigned("None"),
            unsigned("HS256"),
            unsigned("RS256"),
            String::new(),
            "a.b.c".to_owned(),
            with("sub", json!("admin")),
            with("sub", json!("0")),
            with("sub", json!(7)),
            with("sid", json!("")),
            with("exp", json!(null)),
        ] {
            assert_eq!(refusal(&token), "sign in first: the token is not valid", "{token}");
        }
        let (refresh, _) = tokens("secret").issue_refresh(user(), &session(), Utc::now()).unwrap();
        let refused = refusal(refresh.token.expose_secret());
        assert_eq!(refused, "sign in first: this is not an access token");
        assert_eq!(
            refusal(&with("type", json!("refresh"))),
            "sign in first: this is not an access token"
        );
        let access = access(&tokens("secret"), Utc::now());
        let refused = tokens("secret").verify_refresh(&access).unwrap_err().to_string();
        assert_eq!(refused, "sign in first: this is not a refresh token");
    }

    #[test]
    fn a_token_from_before_there_were_sessions_is_an_access_token() {
        let end = Utc::now().timestamp() + 60;
        let old = signed(&json!({ "sub": "7", "type": "access", "exp": end }));
        let verified = tokens("secret").verify_access(&old).unwrap();
        assert_eq!((verified.user, verified.session), (user(), None));
        assert_eq!(verified.expires_at.timestamp(), end);
    }

    /// Keys that are for this test and for nothing else.
    fn keys() -> Vec<(SecretString, &'static str)> {
        let key = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap().serialize_pem();
        vec![
            (key(&rcgen::PKCS_ED25519).into(), "EdDSA"),
            (key(&rcgen::PKCS_RSA_SHA256).into(), "RS256"),
        ]
    }

    #[test]
    fn a_private_key_signs_and_both_verify() {
        let old = access(&tokens("secret"), Utc::now());
        for (pem, algorithm) in keys() {
            let tokens_1 = tokens("secret").signing_with(&pem).unwrap();
            let new = access(&tokens_1, Utc::now());
            tokens_1.verify_access(&new).unwrap();
            tokens_1.verify_access(&old).unwrap();
            assert_eq!(refusal(&new), "sign in first: the token is not valid");

            let keys = serde_json::to_value(tokens_1.jwks()).unwrap();
            let key = &keys["keys"][0];
            assert_eq!((&key["alg"], &key["use"]), (&json!(algorithm), &json!("sig")));
            assert!(key["d"].is_null() && key["k"].is_null(), "the private half is told");
            let jwk = &tokens_1.jwks().keys[0];
            let header = jsonwebtoken::decode_header(&new).unwrap();
            assert_eq!(header.kid, jwk.common.key_id);
            let elsewhere = DecodingKey::from_jwk(jwk).unwrap();
            let mut validation = Validation::new(header.alg);
            validation.validate_exp = false;
            jsonwebtoken::decode::<Claims>(&new, &elsewhere, &validation).unwrap();

            // The public key is no secret: it must not verify as one.
            let public = serde_json::to_vec(jwk).unwrap();
            let claims = json!({"sub": "7", "type": "access", "exp": 99_999_999_999_i64});
            let key = EncodingKey::from_secret(&public);
            let header = Header::new(Algorithm::HS256);
            let forged = jsonwebtoken::encode(&header, &claims, &key).unwrap();
            assert!(tokens_1.verify_access(&forged).is_err());
        }
        assert!(tokens("secret").jwks().keys.is_empty());
        for bad in ["", "not a key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
        {
            assert!(tokens("secret").signing_with(&bad.into()).is_err(), "{bad}");
        }
    }
}
