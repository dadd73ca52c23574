//! HTTP clients and their connection pools.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use url::Url;

use crate::config::BaseUrl;
use crate::error::ConfigError;
use crate::secret::Secret;

/// How long a connection may be idle. Load balancers close theirs after 60 s or more; whoever sends at
/// that moment cannot know whether it arrived.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// How HTTP clients are made.
#[derive(Clone)]
pub(crate) struct HttpSettings {
    pub(crate) base_url: BaseUrl,
    pub(crate) connect_timeout: Duration,
    pub(crate) proxy: Proxy,
    /// The application's own client.
    pub(crate) own: Option<reqwest::Client>,
}

/// What stands between this machine and the service.
#[derive(Clone, Default)]
pub(crate) enum Proxy {
    /// What the environment says, but for calls to this machine.
    #[default]
    Environment,
    Never,
    /// A URL, which may hold a password.
    Through(Secret),
}

impl HttpSettings {
    /// Finds out whether a client can be made, as far as that costs nothing.
    ///
    /// Without a TLS feature reqwest would tell at the first call only.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.own.is_some() {
            return Ok(());
        }
        let has_tls = cfg!(any(feature = "rustls", feature = "native-tls"));
        if self.base_url.is_https() && !has_tls {
            return Err(ConfigError::NoTls);
        }
        match &self.proxy {
            Proxy::Through(url) => through(url).map(drop),
            Proxy::Environment | Proxy::Never => Ok(()),
        }
    }

    /// Whether the client is sure to speak HTTP/1.
    pub(crate) fn speaks_http1(&self) -> bool {
        self.own.is_none() && cfg!(not(feature = "http2"))
    }

    /// Whether a call can meet TLS: of the service, or of a proxy on the way.
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    fn may_need_tls(&self) -> bool {
        self.base_url.is_https()
            || match &self.proxy {
                Proxy::Environment => !self.base_url.is_this_machine(),
                Proxy::Never => false,
                Proxy::Through(_) => true,
            }
    }

    /// A client that follows no redirects and repeats nothing by itself.
    fn build(&self) -> Result<reqwest::Client, ConfigError> {
        if let Some(own) = &self.own {
            return Ok(own.clone());
        }
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            // Any crate of the build may turn these features of reqwest on.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .no_hickory_dns();
        #[cfg(not(feature = "http2"))]
        let builder = builder.http1_only();
        #[cfg(feature = "rustls")]
        let builder = builder.tls_backend_rustls();
        #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
        let builder = builder.tls_backend_native();
        let builder = match &self.proxy {
            Proxy::Through(url) => builder.proxy(through(url)?),
            Proxy::Never => builder.no_proxy(),
            Proxy::Environment if self.base_url.is_this_machine() => builder.no_proxy(),
            Proxy::Environment => builder,
        };
        #[cfg(feature = "rustls")]
        if self.may_need_tls() {
            seed_ahead();
        }
        // Reading the system's would be half of the way to the first response.
        #[cfg(any(feature = "rustls", feature = "native-tls"))]
        let builder = match self.may_need_tls() {
            true => builder,
            false => builder.tls_certs_only([]),
        };
        builder
            .build()
            .map_err(|error| ConfigError::HttpClient(error.without_url().to_string()))
    }
}

/// Has aws-lc-rs set up its random generator now, while the network is waited for: a handshake needs it, and it
/// takes 20 ms of CPU once in a process.
#[cfg(feature = "rustls")]
fn seed_ahead() {
    let seed = || aws_lc_rs::rand::fill(&mut [0; 1]);
    // Without a thread the handshake does it.
    let _ = std::thread::Builder::new().spawn(seed);
}

/// The proxy of a URL. The error tells nothing of it, since a password may be in it.
fn through(url: &Secret) -> Result<reqwest::Proxy, ConfigError> {
    let invalid = ConfigError::InvalidSetting {
        name: "proxy",
        problem: "must be a URL such as http://proxy.example.com:3128",
    };
    let text = url.expose_secret().trim();
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            reqwest::Proxy::all(url).map_err(|_| invalid)
        }
        _ => Err(invalid),
    }
}

/// The HTTP client, made at its first use: reading the system's root certificates takes milliseconds.
#[derive(Clone)]
pub(crate) struct LazyHttp(Arc<(HttpSettings, OnceLock<reqwest::Client>)>);

impl std::fmt::Debug for LazyHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyHttp").finish_non_exhaustive()
    }
}

impl LazyHttp {
    pub(crate) fn new(settings: HttpSettings) -> Self {
        Self(Arc::new((settings, OnceLock::new())))
    }

    pub(crate) fn get(&self) -> Result<reqwest::Client, ConfigError> {
        let (settings, client) = &*self.0;
        match client.get() {
            Some(client) => Ok(client.clone()),
            None => {
                let made = settings.build()?;
                Ok(client.get_or_init(|| made).clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    #[test]
    fn root_certificates_are_read_where_a_call_can_meet_tls() {
        let through = |url: &str| Proxy::Through(Secret::new(url));
        for (url, proxy, expected) in [
            ("https://api.descope.com", Proxy::Never, true),
            ("https://localhost:8443", Proxy::Environment, true),
            ("http://127.0.0.1:8080", Proxy::Environment, false),
            ("http://127.0.0.1:8080", through("https://proxy:3128"), true),
            ("http://emulator:8080", Proxy::Never, false),
            // The environment may name a proxy with https.
            ("http://emulator:8080", Proxy::Environment, true),
        ] {
            let settings = HttpSettings {
                base_url: BaseUrl::parse(url, true).unwrap(),
                connect_timeout: Duration::from_secs(1),
                proxy,
                own: None,
            };
            assert_eq!(settings.may_need_tls(), expected, "{url}");
        }
    }

    #[test]
    fn a_client_is_made_at_its_first_use_and_kept() {
        let settings = HttpSettings {
            base_url: BaseUrl::parse("http://127.0.0.1:8080", false).unwrap(),
            connect_timeout: Duration::from_secs(1),
            proxy: Proxy::Never,
            own: None,
        };
        let http = LazyHttp::new(settings);
        assert!(http.0.1.get().is_none());
        http.get().unwrap();
        assert!(http.clone().0.1.get().is_some());
    }
}
