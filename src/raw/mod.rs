//! The low-level layer: one method per operation of the description, typed requests and answers.
//!
//! Generated from `spec/openapi.yaml` by `cargo xtask codegen`; the facade above is written on it.
//! Take the client from [`Client::raw`](crate::Client::raw): it shares the connection pool, the
//! project id, the headers, the deadline and the retries of the facade.
//!
//! - A method takes a credential, before the body, where the description asks for more than the project id,
//!   as the type that it is: [`RefreshToken`](crate::RefreshToken) and so on.
//! - Requests and answers have public fields, all optional as on the wire, and are
//!   `#[non_exhaustive]`: make a request with `default()` and fill it in.
//! - Nothing is checked before sending; the service is the judge.
//! - Every status from 200 to 299 is a success, every other one [`Error::Api`](crate::Error::Api).
//! - Responses are read leniently. A member that the description does not know, or that cannot be read
//!   as described (`null`, another type, a list with a `null` in it), is kept in `extra` as it came, and
//!   writing the type as JSON gives it back. Printing shows the names of such members and not their
//!   values ([`Members`]).
//! - Of operations that have no result, the body is not read. Where tokens may be in cookies, or a
//!   message is on its way already, a body that cannot be read at all is no error either:
//!   [`ResponseValue::body_error`] tells.
//!
//! ```no_run
//! use descope_magiclink::{Client, raw::types};
//!
//! # async fn run() -> Result<(), descope_magiclink::Error> {
//! let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
//! let mut body = types::MagicLinkSignInRequest::default();
//! body.login_id = Some("joe@example.com".to_owned());
//! body.redirect_url = Some("https://app.example.com/verify".to_owned());
//! let answer = client.raw().sign_in_magic_link_email(None, &body).await?;
//! println!("{} {:?}", answer.status(), answer.masked_email);
//! # Ok(())
//! # }
//! ```
//!
//! An endpoint that the description lacks can be called too: [`Client::call`].
//!
//! A change here that breaks callers (an operation or a field renamed or gone, a new parameter of a
//! path or query) is a breaking release of the crate; a new operation or field is a minor one.

#[rustfmt::skip]
#[allow(
    deprecated,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::must_use_candidate,
    clippy::missing_errors_doc,
    clippy::str_to_string,
    clippy::exhaustive_enums,
    clippy::large_futures,
    reason = "generated"
)]
mod client;

/// Bodies of requests and answers, one type per schema of the description.
#[rustfmt::skip]
#[allow(
    deprecated,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::must_use_candidate,
    clippy::str_to_string,
    clippy::exhaustive_enums,
    reason = "generated"
)]
pub mod types;

mod call;
pub(crate) mod hooks;
pub(crate) mod license;

pub use call::Call;
pub use client::Client;
pub use hooks::Credential;

pub use crate::transport::body::Members;
pub use crate::transport::response::ResponseValue;
