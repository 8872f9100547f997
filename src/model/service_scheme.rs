//! A service as existing clients see it: one word for what is spoken, and switches.

use super::service_auth::UnknownWord;
use super::{
    HealthCheck, HttpPath, HttpVersion, Millis, Protocol, ServiceSpec, UpstreamTls, Verification,
    Weight,
};

/// What is spoken to a service, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Bytes.
    Tcp,
    /// Datagrams.
    Udp,
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// What such clients change, one by one; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct SchemeChange {
    /// HTTPS turns TLS on, whatever `tls` says; HTTP turns it off, unless `tls`
    /// says otherwise.
    pub scheme: Option<Scheme>,
    /// Whether the way to the service is encrypted.
    pub tls: Option<bool>,
    /// Whether its certificate is verified, if it is.
    pub verify: Option<bool>,
    /// Whether it is probed.
    pub probed: Option<bool>,
    /// By which path, if it is.
    pub probe_path: Option<Option<HttpPath>>,
    /// How often, if it is.
    pub probe_interval: Option<Millis>,
}

impl Scheme {
    const ALL: [Self; 4] = [Self::Tcp, Self::Udp, Self::Http, Self::Https];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl TryFrom<String> for Scheme {
    type Error = UnknownWord;

    fn try_from(word: String) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|scheme| scheme.as_str() == word);
        known.ok_or(UnknownWord("tcp, udp, http or https"))
    }
}

impl ServiceSpec {
    /// What is spoken to it.
    pub fn scheme(&self) -> Scheme {
        match self.protocol {
            Protocol::Tcp => Scheme::Tcp,
            Protocol::Udp => Scheme::Udp,
            Protocol::Http(_) if self.encrypted().is_some() => Scheme::Https,
            Protocol::Http(_) => Scheme::Http,
        }
    }

    /// Applies what such a client changes.
    pub(super) fn change_scheme(&mut self, change: SchemeChange) {
        let tls = match (change.scheme, change.tls) {
            (Some(Scheme::Https), _) => Some(true),
            (Some(Scheme::Http), None) => Some(false),
            (_, tls) => tls,
        };
        self.protocol = match (change.scheme, self.protocol) {
            (None, protocol) => protocol,
            (Some(Scheme::Tcp), _) => Protocol::Tcp,
            (Some(Scheme::Udp), _) => Protocol::Udp,
            // Which HTTP it is such a client does not know.
            (Some(Scheme::Http | Scheme::Https), http @ Protocol::Http(_)) => http,
            (Some(Scheme::Http | Scheme::Https), _) => Protocol::Http(HttpVersion::Http1),
        };
        self.change_tls(tls, change.verify);
        self.change_probes(change.probed, change.probe_path, change.probe_interval);
    }

    fn change_tls(&mut self, enabled: Option<bool>, verify: Option<bool>) {
        if self.tls.is_none() && enabled != Some(true) && verify.is_none() {
            return;
        }
        let tls = self.tls.get_or_insert(UpstreamTls {
            enabled: false,
            sni: None,
            verification: Verification::System,
        });
        tls.enabled = enabled.unwrap_or(tls.enabled);
        match (verify, &tls.verification) {
            (Some(true), Verification::Off) => tls.verification = Verification::System,
            (Some(false), _) => tls.verification = Verification::Off,
            (Some(true), Verification::System | Verification::Authority(_)) | (None, _) => {}
        }
    }

    fn change_probes(
        &mut self,
        enabled: Option<bool>,
        path: Option<Option<HttpPath>>,
        interval: Option<Millis>,
    ) {
        let says_something = enabled == Some(true) || path.is_some() || interval.is_some();
        if self.health_check.is_none() && !says_something {
            return;
        }
        let check = self.health_check.get_or_insert_with(unasked);
        check.enabled = enabled.unwrap_or(check.enabled);
        check.path = path.unwrap_or(check.path.take());
        check.interval = interval.unwrap_or(check.interval);
    }
}

/// How it is probed if nobody says how: every 30 seconds, 5 seconds at the most.
fn unasked() -> HealthCheck {
    let number = |number: i32| Weight::try_from(number).expect("in range");
    let millis = |millis: i32| Millis::try_from(millis).expect("in range");
    HealthCheck {
        enabled: false,
        path: None,
        interval: millis(30_000),
        timeout: millis(5000),
        healthy_threshold: number(2),
        unhealthy_threshold: number(3),
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::tests::spec;
    use super::*;

    fn changed(before: &ServiceSpec, scheme: Option<Scheme>, tls: Option<bool>) -> ServiceSpec {
        let mut spec = before.clone();
        spec.change_scheme(SchemeChange { scheme, tls, ..Default::default() });
        spec
    }

    #[test]
    fn https_is_http_over_tls() {
        use Scheme::{Http, Https, Tcp, Udp};
        let plain = spec();
        let secure = changed(&plain, Some(Https), None);
        let table = [
            (&plain, None, None, Http, false),
            (&plain, Some(Https), None, Https, true),
            (&plain, Some(Https), Some(false), Https, true),
            (&plain, Some(Http), Some(true), Https, true),
            (&plain, None, Some(true), Https, true),
            (&plain, Some(Tcp), None, Tcp, false),
            (&plain, Some(Tcp), Some(true), Tcp, true),
            (&secure, None, None, Https, true),
            (&secure, Some(Http), None, Http, false),
            (&secure, None, Some(false), Http, false),
            (&secure, Some(Udp), Some(false), Udp, false),
        ];
        for (before, scheme, tls, want, encrypted) in table {
            let spec = changed(before, scheme, tls);
            assert_eq!((spec.scheme(), spec.encrypted().is_some()), (want, encrypted), "{spec:?}");
        }
    }

    #[test]
    fn what_is_switched_off_and_on_again_is_as_it_was() {
        let mut spec = spec();
        let path = Some(Some("/healthz".to_owned().try_into().unwrap()));
        let off = SchemeChange { verify: Some(false), probe_path: path, ..Default::default() };
        spec.change_scheme(off);
        assert!(spec.encrypted().is_none() && spec.probed().is_none());
        let on = SchemeChange { tls: Some(true), probed: Some(true), ..Default::default() };
        spec.change_scheme(on);
        assert_eq!(spec.encrypted().unwrap().verification, Verification::Off);
        assert_eq!(spec.probed().unwrap().path.as_ref().unwrap().as_str(), "/healthz");
        assert!(spec.check().is_ok());
    }

    #[test]
    fn a_client_that_knows_no_http2_leaves_it_alone() {
        let mut before = spec();
        before.protocol = Protocol::Http(HttpVersion::Http2);
        let spec = changed(&before, Some(Scheme::Https), None);
        assert_eq!(spec.protocol, Protocol::Http(HttpVersion::Http2));
    }
}
