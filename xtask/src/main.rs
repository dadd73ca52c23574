//! The project's commands: `cargo xtask help` lists them.

mod codegen;
mod deps;
mod floors;
mod output;
mod public_api;
mod run;
mod semver;
mod snapshots;
mod tidy;
mod upstream;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use output::print_error;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's commands")]
enum Command {
    /// Generate src/raw from spec/openapi.yaml
    Codegen {
        /// Write nothing; fail with a diff when the files are not what the description gives
        #[arg(long)]
        check: bool,
    },
    /// Compare spec/openapi.yaml with the description that Descope publishes
    Upstream {
        /// The published file, downloaded before, as YAML or JSON; without it, what spec/published.lock holds
        file: Option<PathBuf>,
        /// Write spec/published.lock, when nothing is left to follow
        #[arg(long)]
        accept: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what release the changes since a git revision make, why, and draft the change log
    Semver {
        /// The revision, such as the tag of the last release
        revision: String,
        /// Compare the description alone
        #[arg(long)]
        spec_only: bool,
        /// Fail unless version, CHANGELOG.md and spec/approvals.yaml fit
        #[arg(long)]
        check: bool,
    },
    /// Run the request tests and show which snapshots changed since a git revision
    Snapshots {
        /// The revision
        #[arg(default_value = "HEAD")]
        revision: String,
        /// Accept every request as it is now, and say which
        #[arg(long)]
        accept: bool,
    },
    /// Write the listings of the public APIs to tests/public-api.txt of each published library
    PublicApi {
        /// Write nothing; fail with a diff when the file is not what the crate exports
        #[arg(long)]
        check: bool,
    },
    /// Count the crates that a user of the default features builds, against the budget
    Deps,
    /// Check the tree for what no other tool checks: floors and circles of imports, leftovers, keys, README
    /// against manifest
    Tidy,
}

fn main() -> ExitCode {
    if let Some(code) = public_api::as_rustdoc() {
        return code;
    }
    let outcome = match Command::parse() {
        Command::Codegen { check } => codegen::codegen(check),
        Command::Upstream { file, accept, json } => {
            upstream::upstream(file.as_deref(), accept, json)
        }
        Command::Semver {
            revision,
            spec_only,
            check,
        } => semver::semver(&revision, spec_only, check),
        Command::Snapshots { revision, accept } => snapshots::snapshots(&revision, accept),
        Command::PublicApi { check } => public_api::public_api(check),
        Command::Deps => deps::deps(),
        Command::Tidy => tidy::tidy(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&format!("error: {error}"));
            // Apart from 1, which says that something was found.
            ExitCode::from(2)
        }
    }
}
