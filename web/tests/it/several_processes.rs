//! Landing pages in processes that share a store.

use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::{Client, Store, StoreFuture};
use descope_magiclink_emulator::Emulator;
use descope_magiclink_web::LandingPage;
use http::StatusCode;
use http::header::SET_COOKIE;

use crate::browser::{Browser, VERIFY, client, emulator, fields, link};

/// The memory of one client, as a store for others.
#[derive(Debug)]
struct Meeting(Client);

impl Store for Meeting {
    fn get(&self, key: [u8; 32]) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
        self.0.store().get(key)
    }
    fn set(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.0.store().set(key, value, ttl)
    }
    fn insert(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        self.0.store().insert(key, value, ttl)
    }
    fn count(&self, key: [u8; 32], add: u64, ttl: Duration) -> StoreFuture<'_, u64> {
        self.0.store().count(key, add, ttl)
    }
    fn append(&self, list: [u8; 32], entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.0.store().append(list, entry, ttl)
    }
    fn since(&self, list: [u8; 32], mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
        self.0.store().since(list, mark)
    }
    fn timeout(&self) -> Duration {
        Duration::from_secs(3600)
    }
}

fn processes(emulator: &Emulator) -> [LandingPage; 2] {
    let store: Arc<dyn Store> = Arc::new(Meeting(client(emulator)));
    [(); 2].map(|()| {
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .timeout(Duration::from_secs(3600))
            .store(Arc::clone(&store))
            .build()
            .unwrap();
        LandingPage::builder(&client, VERIFY)
            .app_name("Example")
            .ask_other_browsers()
            .unlimited_sends()
            .build()
            .unwrap()
    })
}

#[tokio::test]
async fn a_form_pressed_twice_is_verified_once_whichever_process_it_meets() {
    let emulator = emulator().await;
    let [one, other] = processes(&emulator);
    let mut browser = Browser::default();
    let path = link(&emulator, &one, &mut browser).await;
    let page = browser.get(&one, &path).await;
    let (mut first, mut second) = (browser.clone(), browser.clone());
    let (first, second) = tokio::join!(first.press(&one, &page), second.press(&other, &page));
    for response in [&first, &second] {
        assert_eq!(
            response.status(),
            StatusCode::SEE_OTHER,
            "{}",
            response.body()
        );
    }
    let cookies = |headers: &http::HeaderMap| -> Vec<_> {
        headers.get_all(SET_COOKIE).iter().cloned().collect()
    };
    assert!(!cookies(first.headers()).is_empty());
    assert_eq!(cookies(first.headers()), cookies(second.headers()));
    assert_eq!(emulator.requests().count("VerifyMagicLink"), 1);
    // Whoever opens the link in the other process is told that it was used.
    let response = Browser::default().get(&other, &path).await;
    assert_eq!(response.status(), StatusCode::GONE);
}

#[tokio::test]
async fn wrong_addresses_count_for_all_processes() {
    let emulator = emulator().await;
    let pages = processes(&emulator);
    let path = link(&emulator, &pages[0], &mut Browser::default()).await;
    let mut robot = Browser::default();
    for number in 0..5 {
        let landing = &pages[number % 2];
        let page = robot.get(landing, &path).await;
        let mut form = fields(&page);
        form.retain(|(name, _)| name != "address");
        form.push(("address".to_owned(), format!("{number}@example.com")));
        let request = robot.post(&form);
        let response = robot.send(landing.clone(), request).await;
        let closed = number == 4;
        let status = if closed {
            StatusCode::GONE
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(response.status(), status, "{number}");
    }
    for landing in &pages {
        let response = robot.get(landing, &path).await;
        assert_eq!(response.status(), StatusCode::GONE);
    }
}
