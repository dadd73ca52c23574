//! The program: settings from flags, environment and a file; a running emulator; its log.

mod args;
mod config;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Parser as _;

use crate::journal::RecordedRequest;
use crate::outbox::Message;
use crate::server::Emulator;
use args::{Args, Log};

/// How long requests may take to finish when the program is told to stop.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(reason) => return fail(&format!("cannot start the runtime: {reason}")),
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => fail(&reason),
    }
}

fn fail(reason: &str) -> ExitCode {
    say(&format!("descope-magiclink-emulator: {reason}"));
    ExitCode::FAILURE
}

/// One line to standard error; a closed one is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

async fn run(args: Args) -> Result<(), String> {
    let env_file = args.env_file.clone();
    let log = args.log;
    let (builder, address) = config::builder(args)?;
    let builder = match log {
        Log::Off => builder,
        Log::Requests | Log::Secrets => {
            let secrets = log == Log::Secrets;
            builder
                .on_request(move |request| log_request(request, secrets))
                .on_message(move |message| log_message(message, secrets))
        }
    };
    let emulator = builder
        .control(true)
        .address(address)
        .start()
        .await
        .map_err(|reason| reason.to_string())?;
    let variables = variables(&emulator);
    if let Some(path) = &env_file {
        std::fs::write(path, &variables)
            .map_err(|reason| format!("cannot write {}: {reason}", path.display()))?;
    }
    announce(&emulator, &variables).map_err(|reason| format!("cannot print: {reason}"))?;
    stop_signal().await?;
    say("stopping");
    emulator.shutdown(PATIENCE).await;
    if let Some(path) = &env_file {
        // It may have been moved away by then.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
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

fn variables(emulator: &Emulator) -> String {
    format!(
        "DESCOPE_BASE_URI={}\nDESCOPE_PROJECT_ID={}\nDESCOPE_MANAGEMENT_KEY={}\n",
        base_url(emulator),
        emulator.project_id(),
        emulator.management_key()
    )
}

fn announce(emulator: &Emulator, variables: &str) -> std::io::Result<()> {
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
    for line in variables.lines() {
        writeln!(out, "  export {line}")?;
    }
    writeln!(out)?;
    out.flush()
}

async fn stop_signal() -> Result<(), String> {
    let explain = |reason: std::io::Error| format!("cannot wait for a signal: {reason}");
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(explain)?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.map_err(explain),
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.map_err(explain)
}

fn stamp(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

fn log_request(request: &RecordedRequest, secrets: bool) {
    let status = request
        .status()
        .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let mut line = format!(
        "{} {} {} {status}",
        stamp(request.at()),
        request.method(),
        request.path()
    );
    for (label, text) in [("", request.error_code()), ("fault: ", request.fault())] {
        if let Some(text) = text {
            line.push_str(&format!(" {label}{text}"));
        }
    }
    if secrets && !request.body().is_empty() {
        line.push_str(&format!(" {}", String::from_utf8_lossy(request.body())));
    }
    say(&line);
}

fn log_message(message: &Message, secrets: bool) {
    let mut line = format!(
        "{} message {} for {} by {} to {}",
        stamp(message.sent_at()),
        message.id(),
        message.purpose(),
        message.channel(),
        message.to()
    );
    if secrets {
        line.push_str(&format!(" {}", message.link()));
    }
    say(&line);
}
