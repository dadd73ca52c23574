//! Settings of the landing page.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::{Authentication, Client, ConfigError};
use http::request::Parts;

use super::browser_binding::BindingCookie;
use super::page::{Browsers, Hook, Inner, LandingPage, Language, Template};
use super::purpose::AfterSignIn;
use super::send_guard::{AllowSend, ClientKey};
use super::texts::LandingTexts;
use super::view::{LandingView, default_page};
use crate::cookies::SessionCookies;
use crate::redirect::{RedirectTarget, RedirectTargets, app_url, bare_origin};

/// How long a page may stay open before its button has to be pressed twice.
const FORM_AGE: Duration = Duration::from_secs(60 * 60);
/// Longer than a link that somebody asks for is good.
const BROWSER_AGE: Duration = Duration::from_secs(24 * 60 * 60);

impl LandingPage {
    /// Starts a landing page. `url` is its address as users see it, without a query; it goes into the
    /// links, so that its domain must be approved in the project.
    pub fn builder(client: &Client, url: impl Into<String>) -> LandingPageBuilder {
        LandingPageBuilder::new(client.clone(), url.into())
    }
}

/// Settings of a [`LandingPage`], before it is built.
#[must_use = "a builder does nothing until `build`"]
pub struct LandingPageBuilder {
    client: Client,
    url: String,
    cookies: SessionCookies,
    origins: Vec<String>,
    own_origins: Vec<String>,
    signed_in_page: Option<String>,
    sign_in_page: Option<String>,
    step_up_page: Option<String>,
    app_name: String,
    languages: Vec<LandingTexts>,
    language: Option<Language>,
    template: Template,
    hook: Option<Hook>,
    browsers: Browsers,
    guards_sends: bool,
    client_key: Option<ClientKey>,
    allow_send: Option<AllowSend>,
}

impl fmt::Debug for LandingPageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LandingPageBuilder")
            .field("url", &self.url)
            .field("cookies", &self.cookies)
            .field("origins", &self.origins)
            .field("own_origins", &self.own_origins)
            .field("browsers", &self.browsers)
            .finish_non_exhaustive()
    }
}

impl LandingPageBuilder {
    fn new(client: Client, url: String) -> Self {
        Self {
            cookies: SessionCookies::new(&client),
            client,
            url,
            origins: Vec::new(),
            own_origins: Vec::new(),
            signed_in_page: None,
            sign_in_page: None,
            step_up_page: None,
            app_name: String::new(),
            languages: vec![
                LandingTexts::english(),
                LandingTexts::german(),
                LandingTexts::spanish(),
                LandingTexts::french(),
                LandingTexts::portuguese(),
            ],
            language: None,
            template: Arc::new(default_page),
            hook: None,
            browsers: Browsers::AskOthers,
            guards_sends: true,
            client_key: None,
            allow_send: None,
        }
    }

    /// The cookies that the session goes into: [`SessionCookies::new`] of the client unless set. Give the
    /// [`SessionLayer`](crate::SessionLayer) and the sign-out the same.
    pub fn cookies(mut self, cookies: SessionCookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// The page to go to after signing in, unless the link names another. Unless set, it is the folder that
    /// the landing page is in, so that an application below a prefix stays there: `/` for
    /// `https://app.example.com/verify`, and `/shop/` for `https://example.com/shop/verify`.
    pub fn signed_in_page(mut self, path: impl Into<String>) -> Self {
        self.signed_in_page = Some(path.into());
        self
    }

    /// The page where a link to sign in can be had. The pages of such links that failed lead there, and
    /// [`pages_layer`](LandingPage::pages_layer) sends those there who are not signed in, both with the page
    /// that was wanted in the query parameter `next`.
    pub fn sign_in_page(mut self, path: impl Into<String>) -> Self {
        self.sign_in_page = Some(path.into());
        self
    }

    /// The page that sends a link for step-up or a further factor. [`pages_layer`](LandingPage::pages_layer)
    /// sends those there whom [`require_step_up`](crate::require_step_up) or
    /// [`require_mfa`](crate::require_mfa) refuses, with the page that they wanted in the query parameter
    /// `next`, and with `mfa=true` where it is a further factor. Without this setting they see a page
    /// that leads nowhere, and the feature `tracing` logs an error. The page of a step-up's link that failed
    /// leads here where the link has no [`next`](super::LandingLink::next).
    pub fn step_up_page(mut self, path: impl Into<String>) -> Self {
        self.step_up_page = Some(path.into());
        self
    }

    /// One more origin that a link's `next` may lead to, such as `https://docs.example.com`. The
    /// page's own is always allowed.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// One more origin whose pages are the application's own, beside that of the page itself: for example
    /// `https://www.example.com` where the application responds there too, or `http://localhost:8080` beside
    /// `127.0.0.1`. Forms that they send to their own origin are no other site's.
    pub fn own_origin(mut self, origin: impl Into<String>) -> Self {
        self.own_origins.push(origin.into());
        self
    }

    /// The application's name, shown above the heading.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.app_name = name.into();
        self
    }

    /// The languages of the page. The first is for readers of none of them. Unless set: English,
    /// German, Spanish, French and Portuguese.
    pub fn languages(mut self, languages: impl IntoIterator<Item = LandingTexts>) -> Self {
        self.languages = languages.into_iter().collect();
        self
    }

    /// Chooses the language by a function of the request: of a cookie, of a part of the path, of what is
    /// known of the user. It gives a tag such as `de`, `de-DE` or `de_DE`. Where it gives none, or one of
    /// no [language](Self::languages) here, `Accept-Language` decides, as it does unless this is set.
    ///
    /// ```
    /// # use descope_magiclink_web::LandingPage;
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
    ///     .language(|request| request.extensions.get::<String>().cloned())
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn language<F>(mut self, choose: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        self.language = Some(Arc::new(choose));
        self
    }

    /// A page of your own, made from a [`LandingView`].
    ///
    /// It makes the pages of [`pages_layer`](LandingPage::pages_layer), too.
    ///
    /// Whatever it contains, scripts and foreign content do not load: the page's security policy
    /// stays.
    ///
    /// ```
    /// # use descope_magiclink_web::{LandingPage, LandingView, escape_html};
    /// fn page(view: &LandingView<'_>) -> String {
    ///     format!(
    ///         "<!doctype html><html lang=\"{}\"><title>{title}</title>\
    ///          <link rel=\"stylesheet\" href=\"/app.css\"><h1>{title}</h1><p>{}</p>{}",
    ///         escape_html(view.language()),
    ///         escape_html(view.text()),
    ///         view.form().unwrap_or_default(),
    ///         title = escape_html(view.title()),
    ///     )
    /// }
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
    ///     .template(page)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn template<F>(mut self, template: F) -> Self
    where
        F: Fn(&LandingView<'_>) -> String + Send + Sync + 'static,
    {
        self.template = Arc::new(template);
        self
    }

    /// Does something with each user who signs in, before they are sent on: for example, make a row
    /// for a new one, or turn somebody away.
    ///
    /// ```
    /// # use descope_magiclink_web::{AfterSignIn, LandingPage};
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
    ///     .on_sign_in(|auth| async move {
    ///         let user = auth.user.as_ref();
    ///         if user.and_then(|user| user.email()).is_some_and(|email| email.ends_with("@example.org")) {
    ///             let page = "<!doctype html><title>Closed</title><p>You have left us.".to_owned();
    ///             let response = http::Response::builder().status(403).header("content-type", "text/html");
    ///             return AfterSignIn::Refuse(Box::new(response.body(page).unwrap_or_default()));
    ///         }
    ///         match auth.first_seen {
    ///             Some(true) => AfterSignIn::GoTo("/welcome".to_owned()),
    ///             _ => AfterSignIn::Continue,
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_sign_in<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Authentication) -> R + Send + Sync + 'static,
        R: Future<Output = AfterSignIn> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |auth| Box::pin(hook(auth))));
        self
    }

    /// Tells clients apart that ask for links, by the address that a request comes from for example. For
    /// `None` it is the browser, by its cookie, as without this setting.
    ///
    /// [`LandingPage::link`] refuses what is too much with [`SendError::RateLimited`](super::SendError):
    ///
    /// | to one address | at the wish of | at most |
    /// | --- | --- | --- |
    /// | yes | one client | one, then after 30, 60 and 120 s, 5 an hour |
    /// | yes | all | 20 an hour, so that one client cannot keep the owner of an address out |
    /// | no | one client that this function knows | 100 an hour, as many may share the address of an office |
    ///
    /// A sign-in takes back what its addresses have used up. Unless this is set, the client is the browser,
    /// by a cookie; those without one count as one, and anybody can make up a new one: set it. It is the
    /// same whether an address is known or not. Counts are in the client's
    /// [store](descope_magiclink::Client::store), under keyed hashes.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// # use descope_magiclink_web::LandingPage;
    /// use std::net::SocketAddr;
    /// use axum::extract::ConnectInfo;
    ///
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// // With `into_make_service_with_connect_info`, without which there is none; a test puts one into
    /// // the request's extensions. Behind a proxy, its header is to be read.
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
    ///     .client_key(|request| {
    ///         let peer = request.extensions.get::<ConnectInfo<SocketAddr>>()?;
    ///         Some(peer.ip().to_string())
    ///     })
    ///     .build()?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn client_key<F>(mut self, key: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        self.client_key = Some(Arc::new(key));
        self
    }

    /// Asks before each link whether it may be sent: for example a captcha, whose response a handler has put
    /// into the request's extensions. The text is the address. What is not allowed is
    /// [`SendError::Refused`](super::SendError), and is not counted.
    ///
    /// ```
    /// # use descope_magiclink_web::LandingPage;
    /// # #[derive(Clone)] struct Captcha;
    /// # impl Captcha { async fn is_solved(&self) -> bool { true } }
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
    ///     .allow_send(|request, _| {
    ///         let captcha = request.extensions.get::<Captcha>().cloned();
    ///         async move {
    ///             match captcha {
    ///                 Some(captcha) => captcha.is_solved().await,
    ///                 None => false,
    ///             }
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn allow_send<F, R>(mut self, allow: F) -> Self
    where
        F: Fn(&Parts, &str) -> R + Send + Sync + 'static,
        R: Future<Output = bool> + Send + 'static,
    {
        self.allow_send = Some(Arc::new(move |request, address| {
            Box::pin(allow(request, address))
        }));
        self
    }

    /// Limits nothing that is sent: for applications with a limit of their own, and for tests that send
    /// links in a row.
    pub fn unlimited_sends(mut self) -> Self {
        self.guards_sends = false;
        self
    }

    /// Lets whoever presses the button in, in any browser. Robots of mail security that press buttons use
    /// links up then.
    pub fn any_browser(mut self) -> Self {
        self.browsers = Browsers::Any;
        self
    }

    /// In a browser that did not ask for the link, asks for what its user typed to get it. This is the
    /// default.
    ///
    /// Mail security opens links in browsers of its own, runs their scripts, and presses buttons; it does
    /// not know what to type. The link carries 16 bits of a salted hash of the address, the same on every
    /// machine. A phone number is known by its last eight digits. An empty field and the same text once
    /// more are no try, five wrong addresses close the link in this process and those that share its
    /// [store](descope_magiclink::ClientBuilder::store), and the browser that asked for the link (by a `__Host-`
    /// cookie that [`LandingLink::respond`](super::LandingLink::respond) sets) presses once, as before.
    ///
    /// It is a guard against robots, not against a person who holds the link: that person will mostly hold
    /// the address, too, and 16 bits are soon guessed without this page.
    ///
    /// A link that carries no such value is taken by one press: one that another page made, an invitation
    /// of the service's, or one for a login id that is neither a mail address nor a phone number.
    pub fn ask_other_browsers(mut self) -> Self {
        self.browsers = Browsers::AskOthers;
        self
    }

    /// Lets a link work only in the browser in which it was asked for, by a `__Host-` cookie that
    /// [`LandingLink::respond`](super::LandingLink::respond) sets.
    ///
    /// Nobody can then be led to sign in with a link that somebody else asked for. The price: who asks
    /// on a computer and opens the mail on a phone gets
    /// [`OtherBrowser`](super::LandingError::OtherBrowser). The service does not know of it, so that
    /// a stolen link can still be used with the service directly. A link that nobody has asked for, as
    /// that of an invitation, works in no browser then.
    pub fn same_browser(mut self) -> Self {
        self.browsers = Browsers::Same;
        self
    }

    /// Builds the page.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] when the URL or one of the pages or origins cannot be used, there is
    /// no language, or browsers would drop the session's cookies without a word (`Secure` ones of a page
    /// over http, and those of a domain that does not hold the page's host), or nobody would read them
    /// ([`token_sources`](crate::cookies::SessionCookiesBuilder::token_sources) without cookies).
    pub fn build(self) -> Result<LandingPage, ConfigError> {
        let url = app_url("url", &self.url)?;
        if url.fragment().is_some() {
            return Err(ConfigError::InvalidSetting {
                name: "url",
                problem: "must not have a fragment (#...), which never reaches a server",
            });
        }
        if url.query().is_some() {
            return Err(ConfigError::InvalidSetting {
                name: "url",
                problem: "must not have a query (?...): the page has parameters of its own",
            });
        }
        if self.languages.is_empty() {
            return Err(ConfigError::InvalidSetting {
                name: "languages",
                problem: "must have at least one language",
            });
        }
        let targets = self
            .origins
            .iter()
            .try_fold(RedirectTargets::new(url.as_str())?, |targets, origin| {
                targets.allow_origin(origin)
            })?;
        let page = |name, path: &str| -> Result<RedirectTarget, ConfigError> {
            targets.check(path).map_err(|_| ConfigError::InvalidSetting {
                name,
                problem: "must be a path of the application that starts with /, such as /orders",
            })
        };
        self.cookies.check_page(&url)?;
        let mut own_origins = vec![url.origin().ascii_serialization()];
        for origin in &self.own_origins {
            own_origins.push(bare_origin("own_origin", origin)?);
        }
        let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        let signed_in_page = self.signed_in_page.unwrap_or(format!("{folder}/"));
        let secure = url.scheme() == "https";
        Ok(LandingPage(Arc::new(Inner {
            own_origins,
            signed_in_page: page("signed_in_page", &signed_in_page)?,
            sign_in_page: self
                .sign_in_page
                .map(|path| page("sign_in_page", &path))
                .transpose()?,
            step_up_page: self
                .step_up_page
                .map(|path| page("step_up_page", &path))
                .transpose()?,
            targets,
            form_cookie: BindingCookie::new("magic-link-form", secure, FORM_AGE),
            browser_cookie: BindingCookie::new("magic-link-browser", secure, BROWSER_AGE),
            browsers: self.browsers,
            guards_sends: self.guards_sends,
            client_key: self.client_key,
            allow_send: self.allow_send,
            client: self.client,
            url,
            cookies: self.cookies,
            app_name: self.app_name,
            languages: self.languages,
            language: self.language,
            template: self.template,
            hook: self.hook,
        })))
    }
}
