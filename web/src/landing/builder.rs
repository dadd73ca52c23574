//! Settings of the landing page.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::{Authentication, Client, ConfigError};

use super::browser_binding::BindingCookie;
use super::page::{Hook, Inner, LandingPage, Template};
use super::texts::LandingTexts;
use super::used_links::UsedLinks;
use super::view::{LandingView, default_page};
use crate::cookies::SessionCookies;
use crate::redirect::{RedirectTarget, RedirectTargets, app_url};

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
    signed_in_page: String,
    sign_in_page: Option<String>,
    app_name: String,
    languages: Vec<LandingTexts>,
    template: Template,
    hook: Option<Hook>,
    same_browser: bool,
}

impl fmt::Debug for LandingPageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LandingPageBuilder")
            .field("url", &self.url)
            .field("cookies", &self.cookies)
            .field("origins", &self.origins)
            .field("same_browser", &self.same_browser)
            .finish_non_exhaustive()
    }
}

impl LandingPageBuilder {
    fn new(client: Client, url: String) -> Self {
        Self {
            client,
            url,
            cookies: SessionCookies::new(),
            origins: Vec::new(),
            signed_in_page: "/".to_owned(),
            sign_in_page: None,
            app_name: String::new(),
            languages: vec![
                LandingTexts::english(),
                LandingTexts::german(),
                LandingTexts::spanish(),
                LandingTexts::french(),
                LandingTexts::portuguese(),
            ],
            template: Arc::new(default_page),
            hook: None,
            same_browser: false,
        }
    }

    /// The cookies that the session goes into. Give what reads the session the same.
    pub fn cookies(mut self, cookies: SessionCookies) -> Self {
        self.cookies = cookies;
        self
    }

    /// The page to go to after signing in, unless the link names another: `/` unless set.
    pub fn signed_in_page(mut self, path: impl Into<String>) -> Self {
        self.signed_in_page = path.into();
        self
    }

    /// The page where a new link can be had. The pages about problems lead there.
    pub fn sign_in_page(mut self, path: impl Into<String>) -> Self {
        self.sign_in_page = Some(path.into());
        self
    }

    /// One more origin that a link's `next` may lead to, such as `https://docs.example.com`. The
    /// page's own is always allowed.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
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

    /// A page of your own, made from a [`LandingView`].
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
    /// for a new one. What it returns, if anything and if it is allowed, is where they are sent.
    ///
    /// ```
    /// # use descope_magiclink_web::LandingPage;
    /// # let client = descope_magiclink::Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let landing = LandingPage::builder(&client, "https://app.example.com/verify")
    ///     .on_sign_in(|auth| async move {
    ///         (auth.first_seen == Some(true)).then(|| "/welcome".to_owned())
    ///     })
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_sign_in<F, R>(mut self, hook: F) -> Self
    where
        F: Fn(Authentication) -> R + Send + Sync + 'static,
        R: Future<Output = Option<String>> + Send + 'static,
    {
        self.hook = Some(Arc::new(move |auth| Box::pin(hook(auth))));
        self
    }

    /// Lets a link work only in the browser in which it was asked for, by a `__Host-` cookie that
    /// [`LandingPage::link`] sets.
    ///
    /// Nobody can then be led to sign in with a link that somebody else asked for. The price: who asks
    /// on a computer and opens the mail on a phone gets
    /// [`OtherBrowser`](super::LandingError::OtherBrowser). The service does not know of it, so that
    /// a stolen link can still be used with the service directly. A link that nobody has asked for, as
    /// that of an invitation, works in no browser then.
    pub fn same_browser(mut self) -> Self {
        self.same_browser = true;
        self
    }

    /// Builds the page.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] when the URL or one of the pages or origins cannot be used, or
    /// there is no language.
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
        let secure = url.scheme() == "https";
        Ok(LandingPage(Arc::new(Inner {
            origin: url.origin().ascii_serialization(),
            signed_in_page: page("signed_in_page", &self.signed_in_page)?,
            sign_in_page: self
                .sign_in_page
                .map(|path| page("sign_in_page", &path))
                .transpose()?,
            targets,
            form_cookie: BindingCookie::new("magic-link-form", secure, FORM_AGE),
            browser_cookie: self
                .same_browser
                .then(|| BindingCookie::new("magic-link-browser", secure, BROWSER_AGE)),
            client: self.client,
            url,
            cookies: self.cookies,
            app_name: self.app_name,
            languages: self.languages,
            template: self.template,
            hook: self.hook,
            used_links: UsedLinks::default(),
        })))
    }
}
