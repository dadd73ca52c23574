//! Session cookies: which ones a request brought, and how to set and clear them.
//!
//! Nothing here depends on a web framework: requests and responses are seen as
//! [`http::HeaderMap`]s.
//!
//! ```
//! use descope_magiclink::{Client, SessionToken, Tokens};
//! use descope_magiclink_web::cookies::{SameSite, SessionCookies};
//! use http::HeaderMap;
//!
//! let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
//! let cookies = SessionCookies::builder(&client)
//!     .refresh_same_site(SameSite::Strict)
//!     .build()?;
//!
//! let mut response = HeaderMap::new();
//! cookies.set(&mut response, &Tokens::new(SessionToken::new("a.b.c")))?;
//! assert_eq!(
//!     response["set-cookie"],
//!     "__Host-DS=a.b.c; HttpOnly; SameSite=Lax; Secure; Path=/",
//! );
//! assert_eq!(response["cache-control"], "no-store");
//!
//! let mut request = HeaderMap::new();
//! request.insert("cookie", "theme=dark; __Host-DS=a.b.c".parse()?);
//! let tokens = cookies.read(&request);
//! assert!(tokens.session.is_some() && tokens.refresh.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod builder;
pub(crate) mod cookie_header;
pub(crate) mod families;
mod session_cookies;
pub(crate) mod set_cookie;
mod tokens;

pub use builder::SessionCookiesBuilder;
pub use session_cookies::{CookieError, SessionCookies};
pub use set_cookie::SameSite;
pub use tokens::{RequestTokens, TokenSource};
