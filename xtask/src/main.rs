//! The project's chores: `cargo xtask help` lists them.

mod codegen;
mod deps;
mod public_api;
mod run;
mod semver;
mod snapshots;
mod tidy;
mod upstream;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a chore ends with: whether all is well, or what kept it from finding out.
type Outcome = Result<bool, Box<dyn Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Generate src/raw from spec/openapi.yaml
    Codegen {
        /// Write nothing; fail with a diff when the files are not what the description gives
        #[arg(long)]
        check: bool,
    },
    /// Compare spec/openapi.yaml with the description that Descope publishes
    Upstream {
        /// The published file, downloaded before; YAML or JSON
        file: PathBuf,
        /// For whom the report is
        #[arg(long, value_enum, default_value = "text")]
        format: upstream::Format,
    },
    /// Say what release the changes since a git revision make, why, and draft the change log
    Semver {
        /// The revision, such as the tag of the last release
        revision: String,
        /// Compare the description alone, which takes no build
        #[arg(long)]
        spec_only: bool,
    },
    /// Run the request tests and show which snapshots changed since a git revision
    Snapshots {
        /// The revision
        #[arg(default_value = "HEAD")]
        revision: String,
    },
    /// Write the listings of the public APIs to tests/public-api.txt and web/tests/public-api.txt
    PublicApi {
        /// Write nothing; fail with a diff when the file is not what the crate exports
        #[arg(long)]
        check: bool,
    },
    /// Count the crates that a user of the default features builds, against the budget
    Deps,
    /// Check the tree for what no other tool checks: leftovers, keys, README against manifest
    Tidy,
}

fn main() -> ExitCode {
    if let Some(code) = public_api::as_rustdoc() {
        return code;
    }
    let outcome = match Cli::parse().chore {
        Chore::Codegen { check } => codegen::codegen(check),
        Chore::Upstream { file, format } => upstream::upstream(&file, format),
        Chore::Semver {
            revision,
            spec_only,
        } => semver::semver(&revision, spec_only),
        Chore::Snapshots { revision } => snapshots::snapshots(&revision),
        Chore::PublicApi { check } => public_api::public_api(check),
        Chore::Deps => deps::deps(),
        Chore::Tidy => tidy::tidy(),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "a command line's output")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(clippy::print_stderr, reason = "a command line's errors")]
fn complain(text: &str) {
    eprintln!("{}", text.trim_end());
}
