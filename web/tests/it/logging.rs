//! What the feature `tracing` says of refusals that a page does not tell.

use std::fmt::{self, Write};
use std::sync::Mutex;

use descope_magiclink::DeliveryMethod;
use descope_magiclink_emulator::Fault;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::browser::{Browser, client, emulator, landing, link, problem};

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps the warnings of all tests in this program.
struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("descope_magiclink_web")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        WARNINGS.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?};", field.name()).unwrap();
    }
}

#[tokio::test]
async fn refusals_that_no_page_tells_are_noted_without_the_address() {
    tracing::subscriber::set_global_default(Collector).unwrap();
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();

    let asked = landing
        .link(&browser.parts(), "nobody@example.com")
        .await
        .unwrap();
    let sent = client(&emulator)
        .magic_link()
        .sign_in(DeliveryMethod::Email, "nobody@example.com")
        .redirect_url(asked.redirect_url())
        .send()
        .await;
    let code = sent.as_ref().unwrap_err().code().unwrap().to_string();
    let status = sent.as_ref().unwrap_err().status().unwrap().as_u16();
    asked.respond(sent, "/inbox").unwrap();

    let path = link(&emulator, &landing, &mut browser).await;
    let fault = Fault::on("VerifyMagicLink").answer(403);
    let fault = fault.json(&problem("E061001")).times(1);
    emulator.faults().add(fault).unwrap();
    browser.follow(&landing, &path).await;

    let warnings = WARNINGS.lock().unwrap().clone();
    let noted = |parts: &[&str]| {
        warnings
            .iter()
            .any(|warning| parts.iter().all(|part| warning.contains(part)))
    };
    let status = format!("status={status};");
    assert!(
        noted(&["refused to send a link", &code, &status]),
        "{warnings:?}"
    );
    assert!(
        noted(&["refused to verify a magic link", "status=403;"]),
        "{warnings:?}"
    );
    let all = warnings.concat();
    assert!(!all.contains("nobody@"), "{all}");
    let (_, token) = path.split_once("t=").unwrap();
    assert!(!all.contains(token), "{all}");
}
