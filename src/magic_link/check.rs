//! What can be told without the service. The checks are light on purpose: the service is the judge.

use url::Url;

use crate::error::{Error, Result};

pub(crate) fn login_id(text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::argument("login_id", "must not be empty"));
    }
    Ok(())
}

pub(crate) fn email(name: &'static str, text: &str) -> Result<()> {
    let valid = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && !domain.contains('@')
    });
    if !valid || text.contains(char::is_whitespace) {
        return Err(Error::argument(
            name,
            "must be an email address, such as joe@example.com",
        ));
    }
    Ok(())
}

pub(crate) fn phone(name: &'static str, text: &str) -> Result<()> {
    let valid = text
        .strip_prefix('+')
        .is_some_and(|rest| rest.contains(|c: char| c.is_ascii_digit()));
    if !valid || text.contains(char::is_control) {
        return Err(Error::argument(
            name,
            "must be a phone number with + and the country code, such as +15555555555",
        ));
    }
    Ok(())
}

pub(crate) fn redirect_url(text: Option<&str>) -> Result<()> {
    // `localhost:3000/verify` parses, as a path in the scheme `localhost`.
    match text.map(Url::parse) {
        None => Ok(()),
        Some(Ok(url)) if !url.cannot_be_a_base() => Ok(()),
        Some(_) => Err(Error::argument(
            "redirect_url",
            "must be an absolute URL, such as https://app.example.com/verify",
        )),
    }
}
