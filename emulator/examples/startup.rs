//! How long a start takes: `cargo run -p descope-magiclink-emulator --example startup`.

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a measurement prints, and its lists are not empty"
)]

use std::time::{Duration, Instant};

use descope_magiclink_emulator::Emulator;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let first = Emulator::start().await?;
    let ready = started.elapsed();
    first.keys().published()?;
    println!(
        "first start of the process: {:.2} ms; its key is there after {:.1} ms",
        millis(ready),
        millis(started.elapsed())
    );
    drop(first);

    let mut spans = Vec::new();
    for _ in 0..50 {
        let started = Instant::now();
        let emulator = Emulator::start().await?;
        spans.push(started.elapsed());
        drop(emulator);
    }
    spans.sort();
    println!(
        "a later start: median {:.2} ms, slowest of {} {:.2} ms",
        millis(spans[spans.len() / 2]),
        spans.len(),
        millis(spans[spans.len() - 1])
    );

    let started = Instant::now();
    let mut starting = tokio::task::JoinSet::new();
    for _ in 0..8 {
        starting.spawn(Emulator::start());
    }
    let running = starting.join_all().await;
    println!("8 at once: {:.2} ms for all", millis(started.elapsed()));
    for emulator in running {
        emulator?.stop().await;
    }
    Ok(())
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
