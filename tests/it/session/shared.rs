//! Clients of several processes that share a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use descope_magiclink::{Client, Store, StoreError, StoreFuture};

use super::fixture::Fixture;

/// The memory of one client, as a store for others. It fails when it is told to.
#[derive(Debug)]
struct Meeting {
    memory: Client,
    fails: AtomicBool,
}

impl Meeting {
    fn call<'a, T: 'a>(&self, call: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        if self.fails.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new("as told")) });
        }
        call
    }
}

impl Store for Meeting {
    fn get(&self, key: [u8; 32]) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
        self.call(self.memory.store().get(key))
    }
    fn set(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.call(self.memory.store().set(key, value, ttl))
    }
    fn insert(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        self.call(self.memory.store().insert(key, value, ttl))
    }
    fn count(&self, key: [u8; 32], add: u64, ttl: Duration) -> StoreFuture<'_, u64> {
        self.call(self.memory.store().count(key, add, ttl))
    }
    fn append(&self, list: [u8; 32], entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.call(self.memory.store().append(list, entry, ttl))
    }
    fn since(&self, list: [u8; 32], mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
        self.call(self.memory.store().since(list, mark))
    }
    fn timeout(&self) -> Duration {
        Duration::from_secs(3600)
    }
}

fn processes(fixture: &Fixture) -> ([Client; 2], Arc<Meeting>) {
    let builder = || Fixture::builder(&fixture.emulator);
    let meeting = Arc::new(Meeting {
        memory: builder().build().unwrap(),
        fails: AtomicBool::new(false),
    });
    let client = || {
        builder()
            .store(Arc::clone(&meeting) as Arc<dyn Store>)
            .build()
            .unwrap()
    };
    ([client(), client()], meeting)
}

#[tokio::test]
async fn processes_refresh_a_token_once_and_all_have_the_new_one() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other], _) = processes(&fixture);
    let (_, refresh) = fixture.tokens();
    let (one, other) = (one.sessions(), other.sessions());
    let (first, second) = tokio::join!(one.refresh(&refresh), other.refresh(&refresh));
    let (first, second) = (first.unwrap(), second.unwrap());
    let text = |new: &descope_magiclink::Refreshed| {
        let refresh = new.tokens.refresh_token().unwrap().expose_secret();
        (
            new.tokens.session.expose_secret().to_owned(),
            refresh.to_owned(),
        )
    };
    assert_eq!(text(&first), text(&second));
    assert!(second.tokens.rotated && second.session.user_id() == first.session.user_id());
    assert_eq!(second.tokens.cookies, first.tokens.cookies);
    assert_eq!(fixture.emulator.requests().count("RefreshSession"), 1);
    other
        .refresh(second.tokens.refresh_token().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_one_process_has_signed_out_another_neither_refreshes_nor_gives_away() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other], _) = processes(&fixture);
    let (_, refresh) = fixture.tokens();
    let new = one.sessions().refresh(&refresh).await.unwrap();
    one.sessions()
        .logout(new.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    // Late, with the token that the ended session came of.
    let error = other.sessions().refresh(&refresh).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert_eq!(fixture.emulator.requests().count("RefreshSession"), 1);
}

#[tokio::test]
async fn a_store_that_fails_leaves_each_process_to_itself() {
    let fixture = Fixture::with(|builder| builder).await;
    let ([one, other], meeting) = processes(&fixture);
    meeting.fails.store(true, Ordering::SeqCst);
    let (session, refresh) = fixture.tokens();
    for client in [&one, &other] {
        client.sessions().refresh(&refresh).await.unwrap();
    }
    assert_eq!(fixture.emulator.requests().count("RefreshSession"), 2);
    // It fails open: a session that one has ended the other takes still.
    one.sessions().end(&session).await;
    assert!(one.sessions().validate(&session).await.is_err());
    assert!(other.sessions().validate(&session).await.is_ok());
    let end = |list| other.store().since(list, 0);
    assert!(end([1; 32]).await.is_err());
}
