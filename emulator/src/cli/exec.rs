//! A command with an emulator of its own.

use std::ffi::OsString;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use super::signals::{Signal, Signals};
use crate::emulator::Emulator;
use crate::state::requests::RecordedRequest;

/// How many messages and refused requests are shown when the command failed.
const SHOWN: usize = 5;

/// Runs the command to its end, hands on signals, and gives its exit status.
pub(super) async fn run(
    command: &[OsString],
    variables: &[(&str, String)],
    signals: &mut Signals,
) -> Result<u8, String> {
    let (program, arguments) = command.split_first().ok_or("no command was given")?;
    let shown = program.to_string_lossy().into_owned();
    let mut child = Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (*name, value)))
        // Of another project, they would be in the way.
        .env_remove("DESCOPE_PUBLIC_KEY")
        .envs(no_proxy())
        .kill_on_drop(true)
        .spawn()
        .map_err(|reason| format!("cannot run {shown}: {reason}"))?;
    loop {
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_err(|reason| format!("cannot wait for {shown}: {reason}"))?;
                return Ok(code(status));
            }
            signal = signals.next() => forward_signal(&mut child, signal),
        }
    }
}

/// Adds this machine to what the proxy variables leave out: the emulator is no matter for a proxy.
#[expect(
    clippy::disallowed_methods,
    reason = "the command gets this environment"
)]
fn no_proxy() -> [(&'static str, String); 2] {
    ["NO_PROXY", "no_proxy"].map(|name| {
        let known = std::env::var(name).unwrap_or_default();
        let comma = if known.is_empty() { "" } else { "," };
        (name, format!("{known}{comma}127.0.0.1,localhost"))
    })
}

#[cfg(unix)]
fn forward_signal(child: &mut Child, signal: Signal) {
    use std::io::IsTerminal as _;
    // At a terminal, Ctrl-C reaches the command without us.
    if signal == Signal::INT && std::io::stdin().is_terminal() {
        return;
    }
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw) {
        // It may have ended just now.
        let _ = rustix::process::kill_process(id, signal);
    }
}

#[cfg(not(unix))]
fn forward_signal(child: &mut Child, Signal: Signal) {
    // It may have ended just now.
    let _ = child.start_kill();
}

/// As a shell gives it: 128 and the signal where one ended the command.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
    #[cfg(not(unix))]
    let signal = None;
    let code = status.code().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// What may explain why the command failed: the last messages, and the last requests that were refused.
pub(super) fn explain(emulator: &Emulator) -> Vec<String> {
    let messages = emulator.outbox().messages();
    let mut lines = vec![match messages.len() {
        0 => "no message was sent: does the command use DESCOPE_BASE_URI?".to_owned(),
        count => format!("{count} messages were sent, the last of them:"),
    }];
    let first = messages.len().saturating_sub(SHOWN);
    lines.extend(messages.iter().skip(first).map(|message| {
        format!(
            "  {} for {} by {} to {}",
            message.id(),
            message.purpose(),
            message.channel(),
            message.to()
        )
    }));
    let refused: Vec<RecordedRequest> = emulator
        .requests()
        .all()
        .into_iter()
        .filter(|request| request.status().is_none_or(|status| status >= 400))
        .collect();
    if !refused.is_empty() {
        lines.push(format!(
            "{} requests were refused, the last of them:",
            refused.len()
        ));
    }
    let first = refused.len().saturating_sub(SHOWN);
    lines.extend(refused.iter().skip(first).map(|request| {
        let status = request
            .status()
            .map_or_else(|| "no response".to_owned(), |s| s.to_string());
        format!(
            "  {} {} {status} {}",
            request.method(),
            request.path(),
            request.error_code().unwrap_or_default()
        )
    }));
    lines
}
