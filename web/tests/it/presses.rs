//! Presses of the button whose runtime is blocked, idle or gone while the link is verified.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use descope_magiclink::{Client, ManualClock};
use descope_magiclink_emulator::Fault;
use descope_magiclink_web::LandingPage;
use http::StatusCode;
use tokio::runtime::{Builder, Runtime};

use crate::browser::{Browser, VERIFY, emulator, link};

const LONG: Duration = Duration::from_secs(3600);
/// For how long a verification holds the link.
const LEASE: Duration = Duration::from_secs(45);

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// What became of the browser's first press, while its link was being verified.
#[derive(Debug, Clone, Copy, PartialEq)]
enum First {
    /// On a runtime of one thread, which nobody drives.
    Idle,
    /// Other code blocks the only thread of its runtime.
    Blocked,
    Dropped,
    ShutDown,
}

/// A press that got stuck costs its user a wait, and not the link: the response is handed to the next one.
#[test]
fn the_next_press_signs_in_though_the_first_ones_runtime_stands_still_or_is_gone() {
    for first in [First::Idle, First::Blocked, First::Dropped, First::ShutDown] {
        let serving = runtime();
        let emulator = serving.block_on(emulator());
        let clock = Arc::new(ManualClock::at(emulator.clock().now()));
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .timeout(LONG)
            .connect_timeout(LONG)
            .session_validation(|validation| validation.key_fetch_timeout(LONG))
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let landing = LandingPage::builder(&client, VERIFY).build().unwrap();
        let mut browser = Browser::default();
        let path = serving.block_on(link(&emulator, &landing, &mut browser));
        let page = serving.block_on(browser.get(&landing, &path));
        let faults = emulator.faults();
        let held = faults.add(Fault::on("VerifyMagicLink").hold()).unwrap();
        let press = || {
            let (mut browser, landing, page) = (browser.clone(), landing.clone(), page.clone());
            async move { browser.press(&landing, &page).await }
        };

        let stuck = match first {
            First::Idle => Builder::new_current_thread().enable_all().build().unwrap(),
            _ => runtime(),
        };
        let stuck_press = stuck.spawn(press());
        if first == First::Idle {
            stuck.block_on(faults.reached(held, 1));
        } else {
            serving.block_on(faults.reached(held, 1));
        }
        let (release, released) = mpsc::channel::<()>();
        let stuck = match first {
            First::Idle => Some(stuck),
            First::Blocked => {
                let (blocked, is_blocked) = mpsc::channel();
                stuck.spawn(async move {
                    blocked.send(()).unwrap();
                    // Until the other end is dropped.
                    let _ = released.recv();
                });
                is_blocked.recv().unwrap();
                Some(stuck)
            }
            First::Dropped => {
                stuck_press.abort();
                Some(stuck)
            }
            First::ShutDown => {
                stuck.shutdown_timeout(LONG);
                None
            }
        };

        let next = serving.spawn(press());
        faults.clear();
        while client.has_calls_in_flight() {
            std::thread::yield_now();
        }
        // Of a press that was dropped, the work goes on and nobody has to wait.
        if first != First::Dropped {
            clock.advance(LEASE);
        }
        let response = serving.block_on(next).unwrap();
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{first:?}: {}",
            response.body()
        );
        assert!(response.headers().contains_key("set-cookie"), "{first:?}");
        assert_eq!(emulator.requests().count("VerifyMagicLink"), 1, "{first:?}");
        drop(release);
        drop(stuck);
    }
}
