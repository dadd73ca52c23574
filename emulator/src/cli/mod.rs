//! The program: settings from flags, environment and a file; a running emulator; its log.

mod args;
mod exec;
mod log;
mod patch;
mod signals;
mod state_file;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::emulator::Emulator;
use crate::error::StartError;
use crate::state::State;
use args::{Args, Command, Log};
use log::{Lines, message_line, request_line};
use patch::Patch;
use signals::Signals;

const PORT: u16 = 8055;
const PROJECT_ID: &str = "P2EmulatorProjectForLocalDev";
const MANAGEMENT_KEY: &str = "K2EmulatorManagementKeyForLocalDev";

/// How long requests may take to finish when the program is told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let args = args::parse();
    let lines = Lines::start();
    let is_exec = args.command.is_some();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|reason| format!("cannot start the runtime: {reason}"))
        .and_then(|runtime| runtime.block_on(run(args, &lines)));
    let (code, last) = match outcome {
        Ok(code) => (code, (!is_exec).then(|| "stopped".to_owned())),
        Err(reason) => (1, Some(format!("descope-magiclink-emulator: {reason}"))),
    };
    lines.finish(last);
    ExitCode::from(code)
}

async fn run(args: Args, lines: &Lines) -> Result<u8, String> {
    let explain = |reason: std::io::Error| format!("cannot wait for a signal: {reason}");
    let mut signals = Signals::new().map_err(explain)?;
    let command = args.command.map(|Command::Exec { command }| command);
    let is_exec = command.is_some();
    let mut builder = Emulator::builder()
        .project_id(PROJECT_ID)
        .management_key(MANAGEMENT_KEY)
        .control(true);
    let settings = &mut builder.settings;
    settings.address.set_port(if is_exec { 0 } else { PORT });
    if let Some(path) = &args.config {
        Patch::read(path)?.apply(settings)?;
    }
    args.patch.apply(settings)?;
    let host = settings.address.ip();
    if !host.is_loopback() && !args.allow_remote {
        return Err(format!(
            "others could reach {host}, and anyone who does can sign in as anyone; add --allow-remote if that is meant"
        ));
    }
    let usual = if is_exec { Log::Off } else { Log::Requests };
    let log = args.log.unwrap_or(usual);
    if log != Log::Off {
        let secrets = log == Log::Secrets;
        let (requests, messages) = (lines.clone(), lines.clone());
        builder = builder
            .on_request(move |request| requests.print(request_line(request, secrets)))
            .on_message(move |message| messages.print(message_line(message, secrets)));
    }
    let saved = args.state.as_deref().map(state_file::read).transpose()?;
    let load = |state: &mut State| {
        saved.flatten().map_or(Ok(()), |saved| {
            state.load(saved).map_err(|problem| StartError::Setting {
                setting: "the state file",
                problem,
            })
        })
    };
    let started = builder.start_from(load).await;
    let emulator = started.map_err(|reason| reason.to_string())?;
    let variables = variables(&emulator);
    let env_file = EnvFile::write(args.env_file, &variables)?;
    let code = match command {
        Some(command) => {
            announce_exec(&emulator, lines);
            let code = exec::run(&command, &variables, &mut signals).await?;
            if code != 0 {
                lines.print(format!("the command ended with status {code}"));
                exec::explain(&emulator)
                    .into_iter()
                    .for_each(|line| lines.print(line));
            }
            code
        }
        None => {
            // A closed standard output is no reason to stop.
            let _ = announce(&emulator, &variables);
            signals.next().await;
            0
        }
    };
    let shared = Arc::clone(emulator.shared());
    shared.flush_events().await;
    let shutdown = async {
        emulator.shutdown(PATIENCE).await;
        match &args.state {
            Some(path) => state_file::write(path, &shared.state().save()),
            None => Ok(()),
        }
    };
    tokio::select! {
        done = shutdown => done?,
        // Whoever asks a second time does not want to wait.
        _ = signals.next() => return Ok(1),
    }
    drop(env_file);
    Ok(code)
}

/// The file of variables, there while the program runs.
struct EnvFile(Option<PathBuf>);

impl EnvFile {
    fn write(path: Option<PathBuf>, variables: &[(&str, String)]) -> Result<Self, String> {
        if let Some(path) = &path {
            let lines: String = variables
                .iter()
                .map(|(name, value)| format!("{name}={value}\n"))
                .collect();
            std::fs::write(path, lines)
                .map_err(|reason| format!("cannot write {}: {reason}", path.display()))?;
        }
        Ok(Self(path))
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // It may have been moved away by then.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The base URL that a client on this machine uses: an unspecified address is no destination.
fn base_url(emulator: &Emulator) -> String {
    let address = emulator.address();
    if !address.ip().is_unspecified() {
        return emulator.base_url().to_owned();
    }
    let loopback = match address {
        SocketAddr::V4(_) => "127.0.0.1",
        SocketAddr::V6(_) => "[::1]",
    };
    format!("http://{loopback}:{}", address.port())
}

/// What the SDKs read; some read the base URL under one name, some under the other.
fn variables(emulator: &Emulator) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("DESCOPE_BASE_URI", base_url(emulator)),
        ("DESCOPE_BASE_URL", base_url(emulator)),
        ("DESCOPE_PROJECT_ID", emulator.project_id().to_owned()),
        (
            "DESCOPE_MANAGEMENT_KEY",
            emulator.management_key().to_owned(),
        ),
    ];
    if let Some(key) = &emulator.shared().settings.auth_management_key {
        variables.push(("DESCOPE_AUTH_MANAGEMENT_KEY", key.clone()));
    }
    variables
}

fn announce(emulator: &Emulator, variables: &[(&str, String)]) -> std::io::Result<()> {
    let base = base_url(emulator);
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "descope-magiclink-emulator {} listens on {}",
        env!("CARGO_PKG_VERSION"),
        emulator.address()
    )?;
    writeln!(out, "\n  inbox    {base}/_emulator/")?;
    writeln!(out, "  control  {base}/_emulator/openapi.yaml\n")?;
    writeln!(out, "Set these for your app:\n")?;
    for (name, value) in variables {
        writeln!(out, "  export {name}={value}")?;
    }
    writeln!(out)?;
    out.flush()
}

/// To standard error, as standard output is the command's.
fn announce_exec(emulator: &Emulator, lines: &Lines) {
    let base = base_url(emulator);
    for line in [
        format!("descope-magiclink-emulator: {base}, inbox {base}/_emulator/"),
        "  Python, Ruby, Java and Rust read the variables. The others need them in the code:".to_owned(),
        "  Node  DescopeClient({ projectId: process.env.DESCOPE_PROJECT_ID, baseUrl: process.env.DESCOPE_BASE_URI })".to_owned(),
        "  Go    client.NewWithConfig(&client.Config{DescopeBaseURL: os.Getenv(\"DESCOPE_BASE_URI\")})".to_owned(),
    ] {
        lines.print(line);
    }
}
