//! The low-level layer: one method per operation of the description, typed requests and responses.
//!
//! Generated from `spec/openapi.yaml` by `cargo xtask codegen`; the facade above is written on it.
//! Take the client from [`Client::raw`](crate::Client::raw): it shares the connection pool, the
//! project id, the headers, the deadline and the retries of the facade.
//!
//! - What an operation cannot do without is an argument of its method: the credential first, as the type
//!   that it is ([`RefreshToken`](crate::RefreshToken) and so on), the body last. What is optional is a
//!   setter of the [`Call`] that the method makes, and [`send`](Call::send) sends it.
//! - Requests and responses have public fields, all optional as on the wire, and are
//!   `#[non_exhaustive]`: make a request with `default()` and its setters. A member that the description
//!   lacks goes along by `member(name, value)`.
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
//! let body = types::MagicLinkSignInRequest::default()
//!     .login_id("joe@example.com")
//!     .redirect_url("https://app.example.com/verify");
//! let response = client.raw().sign_in_magic_link_email(&body).send().await?;
//! println!("{} {:?}", response.status(), response.masked_email);
//! # Ok(())
//! # }
//! ```
//!
//! An endpoint that the description lacks can be called too: [`Client::call`].
//!
//! # What a later release may do
//!
//! A minor release may add operations, types, fields, setters and optional parts of calls; a member that
//! becomes described moves from `extra` to a field, and [`ResponseValue::member`] finds it in either. A name
//! that changes stays as a deprecated one until the next major release. All else is a breaking release: an
//! operation or a field that is gone, a new required part, another type.
//!
//! `Serialize` writes tokens and other secrets in clear, since that is how they travel: put no type of this
//! module into a log that way.

// These two have the macros that the generated files call.
#[macro_use]
pub(crate) mod call;
#[macro_use]
mod request;

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

/// Bodies of requests and responses, one type per schema of the description. `Serialize` writes the tokens in
/// them in clear.
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

pub(crate) mod hooks;
pub(crate) mod license;

pub use call::{Call, Operation};
pub use client::{Client, operations};
pub use hooks::Credential;

pub use crate::transport::body::Members;
pub use crate::transport::response::ResponseValue;
