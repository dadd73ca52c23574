//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, ValueEnum};

/// What goes to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Log {
    /// Nothing.
    Off,
    /// One line per request and per message, without secrets.
    Requests,
    /// The same with request bodies and links.
    Secrets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Delivery {
    /// In the body of the answer.
    Body,
    /// In cookies.
    Cookies,
    /// The session token in the body, the refresh token in a cookie.
    RefreshInCookie,
    /// The session token in a cookie, the refresh token in the body.
    SessionInCookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Reuse {
    /// All refresh tokens of its login are refused from then on.
    InvalidateFamily,
    /// Only the replaced token is refused.
    RefuseToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Site {
    /// SameSite=Strict.
    Strict,
    /// SameSite=Lax.
    Lax,
    /// SameSite=None.
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClaimsAt {
    /// Under the claim nsec.
    Nsec,
    /// At the top level.
    TopLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Repeated {
    /// Fails.
    Refuse,
    /// Sends another link.
    SendAgain,
}

/// The Descope magic-link API, offline, with an inbox in the browser.
///
/// Point an app at it with the printed variables. What a user would receive is in the inbox. Every flag can be set by
/// the variable named beside it; a flag wins over its variable, and both win over the configuration file.
#[derive(Debug, Parser)]
#[command(name = "descope-magiclink-emulator", version, max_term_width = 100)]
pub(super) struct Args {
    /// Configuration file, TOML or (when its name ends in .json) JSON; it can also hold users, roles, tenants,
    /// templates, access keys, rate limits and limits of what is kept
    #[arg(short, long, env = "DESCOPE_EMULATOR_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, env = "DESCOPE_EMULATOR_HOST", value_name = "ADDRESS")]
    pub(super) host: Option<IpAddr>,

    /// Port to listen on, 0 for any free one [default: 8055]
    #[arg(short, long, env = "DESCOPE_EMULATOR_PORT")]
    pub(super) port: Option<u16>,

    /// Allow an address that others can reach; anyone who does can sign in as anyone
    #[arg(long, env = "DESCOPE_EMULATOR_ALLOW_REMOTE")]
    pub(super) allow_remote: bool,

    /// Host name by which the inbox and control endpoints may be called, besides localhost and IP addresses
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_ALLOWED_HOSTS",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(super) allowed_host: Vec<String>,

    /// Write the variables to set to this file; it is removed at the end
    #[arg(long, env = "DESCOPE_EMULATOR_ENV_FILE", value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,

    /// What to log
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_LOG",
        value_enum,
        default_value = "requests"
    )]
    pub(super) log: Log,

    /// Project id [default: P2EmulatorProjectForLocalDev]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_PROJECT_ID",
        value_name = "ID",
        help_heading = "Project"
    )]
    pub(super) project_id: Option<String>,

    /// Management key [default: K2EmulatorManagementKeyForLocalDev]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_MANAGEMENT_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Project"
    )]
    pub(super) management_key: Option<String>,

    /// Close the project's API: calls must then carry this key
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_AUTH_MANAGEMENT_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Project"
    )]
    pub(super) auth_management_key: Option<String>,

    /// The iss of tokens, when it is not the project id
    #[arg(long, env = "DESCOPE_EMULATOR_ISSUER", help_heading = "Project")]
    pub(super) issuer: Option<String>,

    /// File with an RSA private key, PEM in PKCS#8 form, so that tokens survive a restart
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SIGNING_KEY",
        value_name = "FILE",
        help_heading = "Project"
    )]
    pub(super) signing_key: Option<PathBuf>,

    /// Add a user by login id; the configuration file can say more about users
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_USERS",
        value_name = "LOGIN_ID",
        value_delimiter = ',',
        help_heading = "Project"
    )]
    pub(super) user: Vec<String>,

    /// Redirect URL of requests that have none [default: http://localhost:3000/verify]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_DEFAULT_REDIRECT",
        value_name = "URL",
        help_heading = "Links"
    )]
    pub(super) default_redirect: Option<String>,

    /// Host that redirect URLs may have, such as app.example.com or *.example.com [default: any]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_APPROVED_REDIRECTS",
        value_name = "HOST",
        value_delimiter = ',',
        help_heading = "Links"
    )]
    pub(super) approved_redirect: Vec<String>,

    /// Life of a link [default: 3m]
    #[arg(long, env = "DESCOPE_EMULATOR_LINK_LIFETIME", value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Links")]
    pub(super) link_lifetime: Option<Duration>,

    /// What a second sign-up does while the first was never verified [default: refuse]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REPEATED_SIGN_UP",
        value_enum,
        help_heading = "Links"
    )]
    pub(super) repeated_sign_up: Option<Repeated>,

    /// Answer the update-phone path without a delivery method, which the Python and Ruby SDKs call
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SHORT_UPDATE_PHONE",
        help_heading = "Links"
    )]
    pub(super) short_update_phone: bool,

    /// Status of "user exists" and of update conflicts [default: 400]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_CONFLICT_STATUS",
        value_name = "STATUS",
        help_heading = "Links"
    )]
    pub(super) conflict_status: Option<u16>,

    /// Check requests against the API description [default: true]
    #[arg(long, env = "DESCOPE_EMULATOR_CHECK_REQUESTS", value_name = "BOOL", action = ArgAction::Set, help_heading = "Links")]
    pub(super) check_requests: Option<bool>,

    /// Life of a session token [default: 10m]
    #[arg(long, env = "DESCOPE_EMULATOR_SESSION_LIFETIME", value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Sessions")]
    pub(super) session_lifetime: Option<Duration>,

    /// Life of a refresh token [default: 28d]
    #[arg(long, env = "DESCOPE_EMULATOR_REFRESH_LIFETIME", value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Sessions")]
    pub(super) refresh_lifetime: Option<Duration>,

    /// How long a session stays stepped up [default: 10m]
    #[arg(long, env = "DESCOPE_EMULATOR_STEP_UP_LIFETIME", value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Sessions")]
    pub(super) step_up_lifetime: Option<Duration>,

    /// Life of an access key's session token [default: 10m]
    #[arg(long, env = "DESCOPE_EMULATOR_ACCESS_KEY_LIFETIME", value_name = "SPAN", value_parser = humantime::parse_duration, help_heading = "Sessions")]
    pub(super) access_key_lifetime: Option<Duration>,

    /// Each refresh gives a new refresh token and makes the old one invalid
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_ROTATE_REFRESH_TOKENS",
        help_heading = "Sessions"
    )]
    pub(super) rotate_refresh_tokens: bool,

    /// What a refresh token costs that a newer one has replaced [default: invalidate-family]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REFRESH_REUSE",
        value_enum,
        help_heading = "Sessions"
    )]
    pub(super) refresh_reuse: Option<Reuse>,

    /// A refresh without rotation answers with the refresh token again
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_ECHO_REFRESH_TOKEN",
        help_heading = "Sessions"
    )]
    pub(super) echo_refresh_token: bool,

    /// How tokens reach the client [default: body]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_TOKEN_DELIVERY",
        value_enum,
        help_heading = "Sessions"
    )]
    pub(super) token_delivery: Option<Delivery>,

    /// Name of the session cookie [default: DS]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SESSION_COOKIE",
        value_name = "NAME",
        help_heading = "Sessions"
    )]
    pub(super) session_cookie: Option<String>,

    /// Name of the refresh cookie [default: DSR]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_REFRESH_COOKIE",
        value_name = "NAME",
        help_heading = "Sessions"
    )]
    pub(super) refresh_cookie: Option<String>,

    /// Domain of cookies [default: none]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_COOKIE_DOMAIN",
        value_name = "DOMAIN",
        help_heading = "Sessions"
    )]
    pub(super) cookie_domain: Option<String>,

    /// SameSite attribute of cookies [default: strict]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_SAME_SITE",
        value_enum,
        help_heading = "Sessions"
    )]
    pub(super) same_site: Option<Site>,

    /// Where custom claims of login options land [default: nsec]
    #[arg(
        long,
        env = "DESCOPE_EMULATOR_CUSTOM_CLAIMS_AT",
        value_enum,
        help_heading = "Sessions"
    )]
    pub(super) custom_claims_at: Option<ClaimsAt>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
