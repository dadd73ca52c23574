//! How often links may be sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use descope_magiclink::{Client, DeliveryMethod, ManualClock};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::{LandingPage, SendError, press_button};
use http::request::Parts;
use http::{Response, StatusCode};

use crate::browser::{Browser, EMAIL, VERIFY};

/// The client of a request, as an application's function reads it.
#[derive(Clone)]
struct Peer(String);

struct Site {
    emulator: Emulator,
    client: Client,
    clock: Arc<ManualClock>,
    landing: LandingPage,
}

impl Site {
    async fn start() -> Self {
        let emulator = Emulator::builder()
            .user(User::new(EMAIL))
            .user(User::new("ann@example.com"))
            .start()
            .await
            .unwrap();
        const LONG: Duration = Duration::from_secs(3600);
        let clock = Arc::new(ManualClock::at(emulator.clock().now()));
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .timeout(LONG)
            .connect_timeout(LONG)
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let landing = LandingPage::builder(&client, VERIFY)
            .client_key(|request| Some(request.extensions.get::<Peer>()?.0.clone()))
            .build()
            .unwrap();
        Self {
            emulator,
            client,
            clock,
            landing,
        }
    }

    /// What a form with an address comes to, and what its browser got.
    async fn send(&self, request: &Parts, address: &str) -> Result<Response<String>, SendError> {
        let link = self.landing.link(request, address).await?;
        let sent = self
            .client
            .magic_link()
            .sign_in(DeliveryMethod::Email, address)
            .redirect_url(link.redirect_url())
            .send()
            .await;
        link.respond(sent, "/check-your-inbox")
    }

    async fn wait(&self, peer: &str, address: &str) -> Option<u64> {
        match self.send(&by(peer), address).await {
            Ok(_) => None,
            Err(error) => {
                assert_eq!(error.code(), "rate_limited");
                let response = error.response();
                assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
                let wait = response.headers()["retry-after"].to_str().unwrap();
                Some(wait.parse().unwrap())
            }
        }
    }

    fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn calls(&self) -> usize {
        self.emulator.requests().count("SignInMagicLinkEmail")
    }
}

fn by(peer: &str) -> Parts {
    let mut request = Browser::default().parts();
    request.extensions.insert(Peer(peer.to_owned()));
    request
}

#[tokio::test]
async fn one_client_waits_longer_each_time_and_after_five_for_the_hour() {
    let site = Site::start().await;
    let mut spent = 0;
    for wait in [30, 60, 120, 120] {
        assert_eq!(site.wait("one", EMAIL).await, None);
        assert_eq!(site.wait("one", EMAIL).await, Some(wait));
        // However the address is written.
        assert_eq!(site.wait("one", " JOE+1@Example.com").await, Some(wait));
        site.later(wait - 1);
        assert_eq!(site.wait("one", EMAIL).await, Some(1));
        site.later(1);
        spent += wait;
    }
    assert_eq!(site.wait("one", EMAIL).await, None);
    site.later(120);
    spent += 120;
    assert_eq!(site.wait("one", EMAIL).await, Some(3600 - spent));
    // Nobody else waits for that, nor does this client with another address.
    assert_eq!(site.wait("two", EMAIL).await, None);
    assert_eq!(site.wait("one", "ann@example.com").await, None);
    site.later(3600 - spent);
    assert_eq!(site.wait("one", EMAIL).await, None);
}

#[tokio::test]
async fn known_and_unknown_addresses_wait_alike() {
    let site = Site::start().await;
    for address in [EMAIL, "nobody@example.com", "no address", ""] {
        let first = site.send(&by("one"), address).await;
        if !address.is_empty() {
            assert_eq!(first.unwrap().status(), StatusCode::SEE_OTHER);
        }
        assert_eq!(site.wait("one", address).await, Some(30), "{address}");
    }
}

#[tokio::test]
async fn a_sign_in_takes_back_what_its_addresses_have_used_up() {
    let site = Site::start().await;
    assert_eq!(site.wait("one", EMAIL).await, None);
    for peer in 0..19 {
        assert_eq!(site.wait(&peer.to_string(), EMAIL).await, None);
    }
    assert!(site.wait("other", EMAIL).await.is_some());
    let message = site.emulator.outbox().last_for(EMAIL).unwrap();
    let landing = site.landing.clone();
    let response = press_button(landing, message.link(), EMAIL, "").await;
    assert_eq!(response.unwrap().status(), StatusCode::SEE_OTHER);
    assert_eq!(site.wait("one", EMAIL).await, None);
    assert_eq!(site.wait("one", EMAIL).await, Some(30));
    assert_eq!(site.wait("other", EMAIL).await, None);
}

#[tokio::test]
async fn without_a_function_the_client_is_the_browser_and_those_without_a_cookie_are_one() {
    let site = Site::start().await;
    let mut known = Browser::default();
    let response = site.send(&known.parts(), EMAIL).await.unwrap();
    known.keep(response.headers());
    for _ in 0..10 {
        let refused = site.send(&Browser::default().parts(), EMAIL).await;
        assert_eq!(refused.unwrap_err().code(), "rate_limited");
    }
    // The owner's browser, which has been here before, is not kept out by strangers.
    assert!(site.send(&known.parts(), EMAIL).await.is_ok());
}

/// 10,000 sends to one address, one address from 10,000 clients, 10,000 addresses from one client.
#[tokio::test]
async fn bombing_drill_the_service_is_called_a_few_times_whoever_asks_for_whatever() {
    const MANY: usize = 10_000;
    let site = Arc::new(Site::start().await);
    // All at once: of any number one is the first.
    let sends = (0..MANY).map(|_| {
        let site = Arc::clone(&site);
        tokio::spawn(async move { site.wait("one", EMAIL).await })
    });
    let mut refused = 0;
    for send in sends.collect::<Vec<_>>() {
        match send.await.unwrap() {
            None => {}
            Some(wait) => {
                assert_eq!(wait, 30);
                refused += 1;
            }
        }
    }
    assert_eq!((site.calls(), refused), (1, MANY - 1));

    let site = Site::start().await;
    for peer in 0..MANY {
        let wait = site.wait(&peer.to_string(), EMAIL).await;
        assert_eq!(wait, (peer >= 20).then_some(3600), "{peer}");
    }
    assert_eq!(site.calls(), 20);

    let site = Site::start().await;
    for address in 0..MANY {
        let wait = site
            .wait("one", &format!("user{address}@example.com"))
            .await;
        assert_eq!(wait, (address >= 100).then_some(3600), "{address}");
    }
    assert_eq!(site.calls(), 100);
}

#[tokio::test]
async fn an_application_may_refuse_before_anything_is_counted() {
    let site = Site::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let landing = LandingPage::builder(&site.client, VERIFY)
        .allow_send(move |request, address| {
            counted.fetch_add(1, Ordering::SeqCst);
            let solved = request.headers.contains_key("x-captcha");
            let is_own = address == EMAIL;
            async move { solved && is_own }
        })
        .build()
        .unwrap();
    let mut request = Browser::default().parts();
    for _ in 0..10 {
        let refused = landing.link(&request, EMAIL).await.unwrap_err();
        assert!(matches!(refused, SendError::Refused), "{refused:?}");
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
    request.headers.insert("x-captcha", "7".parse().unwrap());
    assert!(landing.link(&request, EMAIL).await.is_ok());
    assert_eq!(asked.load(Ordering::SeqCst), 11);
    // Another site's form is not worth the question.
    request
        .headers
        .insert("origin", "https://evil.example".parse().unwrap());
    assert!(landing.link(&request, EMAIL).await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 11);
}
