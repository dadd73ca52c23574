//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::patch::Patch;

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

/// The Descope magic-link API, offline, with an inbox in the browser.
///
/// Point an app at it with the printed variables. What a user would receive is in the inbox. Every flag can be set by
/// the variable named beside it; a flag wins over its variable, and both win over the configuration file.
#[derive(Debug, Parser)]
#[command(name = "descope-magiclink-emulator", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,

    /// Configuration file, TOML or (when its name ends in .json) JSON; it can also hold users, roles, tenants,
    /// templates, access keys, rate limits and limits of what is kept
    #[arg(short, long, env = "DESCOPE_EMULATOR_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// File that keeps users, keys, links, sessions, messages and the clock from one run to the next
    #[arg(long, env = "DESCOPE_EMULATOR_STATE", value_name = "FILE")]
    pub(super) state: Option<PathBuf>,

    /// Allow an address that others can reach; anyone who does can sign in as anyone
    #[arg(long, env = "DESCOPE_EMULATOR_ALLOW_REMOTE")]
    pub(super) allow_remote: bool,

    /// Write the variables to set to this file; it is removed at the end
    #[arg(long, env = "DESCOPE_EMULATOR_ENV_FILE", value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,

    /// What to log [default: requests; off with exec]
    #[arg(long, env = "DESCOPE_EMULATOR_LOG", value_enum)]
    pub(super) log: Option<Log>,

    #[command(flatten)]
    pub(super) patch: Patch,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a command with an emulator of its own, such as: exec -- npm test
    ///
    /// The emulator takes a free port unless --port says otherwise. The command gets the variables that Descope's SDKs
    /// read: DESCOPE_BASE_URI, DESCOPE_BASE_URL, DESCOPE_PROJECT_ID, DESCOPE_MANAGEMENT_KEY. Signals are handed on, and
    /// its exit status becomes that of this program.
    Exec {
        /// The command and its arguments
        #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

fn command() -> clap::Command {
    // Every flag may stand before or after `exec`.
    Args::command().mut_args(|arg| arg.global(true))
}

/// The arguments of this process; prints help and mistakes and ends it for those.
pub(super) fn parse() -> Args {
    let mut command = command();
    let parsed = Args::from_arg_matches(&command.get_matches_mut());
    parsed.unwrap_or_else(|mistake| mistake.format(&mut command).exit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn flags_stand_before_or_after_exec() {
        for line in [
            ["x", "--user", "joe", "exec", "--", "npm"],
            ["x", "exec", "--user", "joe", "--", "npm"],
        ] {
            let args = Args::from_arg_matches(&command().get_matches_from(line)).unwrap();
            assert_eq!(args.patch.user, ["joe"]);
            let Some(Command::Exec { command }) = args.command else {
                panic!("exec was not seen");
            };
            assert_eq!(command, ["npm"]);
        }
    }
}
