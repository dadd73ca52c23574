//! Clients of several processes that share a store.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use descope_magiclink::{Client, Store, StoreError, StoreFuture};
use descope_magiclink_emulator::Fault;

use super::fixture::{Fixture, tokens_of};

/// The memory of one client, as a store for others. It fails when it is told to.
#[derive(Debug)]
struct Meeting {
    memory: Client,
    fails: AtomicBool,
    reads: AtomicUsize,
    /// Of each mark that was put there.
    ttls: Mutex<Vec<Duration>>,
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
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.call(self.memory.store().get(key))
    }
    fn set(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.call(self.memory.store().set(key, value, ttl))
    }
    fn insert(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        self.ttls.lock().unwrap().push(ttl);
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

fn processes<const N: usize>(fixture: &Fixture) -> ([Client; N], Arc<Meeting>) {
    let builder = || Fixture::builder(&fixture.emulator);
    let meeting = Arc::new(Meeting {
        memory: builder().build().unwrap(),
        fails: AtomicBool::new(false),
        reads: AtomicUsize::new(0),
        ttls: Mutex::default(),
    });
    let client = |_| {
        builder()
            .store(Arc::clone(&meeting) as Arc<dyn Store>)
            .build()
            .unwrap()
    };
    ([0; N].map(client), meeting)
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
async fn an_outcome_is_shared_for_as_long_as_late_requests_come_with_the_old_token() {
    const SECOND: Duration = Duration::from_secs(1);
    for (rotates, time) in [(false, 10 * SECOND), (true, 300 * SECOND)] {
        let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(rotates)).await;
        let ([one, other, third], meeting) = processes(&fixture);
        let (_, refresh) = fixture.tokens();
        one.sessions().refresh(&refresh).await.unwrap();
        fixture.advance(time - SECOND);
        other.sessions().refresh(&refresh).await.unwrap();
        assert_eq!(fixture.refreshes(), 1, "{rotates}");
        fixture.advance(SECOND);
        let late = third.sessions().refresh(&refresh).await;
        assert_eq!((late.is_ok(), fixture.refreshes()), (!rotates, 2));

        // A process that dies blocks a token for good if it may have been replaced, and for as long as a call may
        // take if it stays.
        let (_, next) = fixture.tokens();
        let (_, after) = fixture.tokens();
        meeting.ttls.lock().unwrap().clear();
        for token in [&next, &after] {
            one.sessions().refresh(token).await.unwrap();
        }
        let ttls = meeting.ttls.lock().unwrap().clone();
        assert_eq!(ttls.len(), 2);
        let is_long = |ttl: &Duration| *ttl > Duration::from_secs(24 * 3600);
        assert!(ttls.iter().all(|ttl| is_long(ttl) == rotates), "{ttls:?}");
    }
}

#[tokio::test]
async fn a_sign_out_takes_what_other_processes_keep_of_its_session_alone() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other], _) = processes(&fixture);
    let (one, other) = (one.sessions(), other.sessions());
    let [(_, here), (_, there), (_, elsewhere)] = [(); 3].map(|()| fixture.tokens());
    let (_, anns) = tokens_of(fixture.emulator.tokens("ann@example.com"));
    let new_here = one.refresh(&here).await.unwrap();
    let new_there = one.refresh(&there).await.unwrap();
    for token in [&elsewhere, &anns] {
        one.refresh(token).await.unwrap();
    }
    other
        .logout(new_here.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert!(one.refresh(&here).await.unwrap_err().is_unauthorized());
    for token in [&there, &elsewhere, &anns] {
        one.refresh(token).await.unwrap();
    }
    other
        .logout_all(new_there.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    for token in [&there, &elsewhere] {
        assert!(one.refresh(token).await.unwrap_err().is_unauthorized());
    }
    one.refresh(&anns).await.unwrap();
    assert_eq!(fixture.refreshes(), 4);
}

/// The outcome reaches the store, and the process itself, after the sign-out elsewhere.
#[tokio::test]
async fn a_sign_out_during_a_refresh_ends_what_comes_of_it_in_every_process() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other, third], _) = processes(&fixture);
    let (_, refresh) = fixture.tokens();
    let held = Fault::on("RefreshSession").hold().after_handling();
    let held = fixture.emulator.faults().add(held).unwrap();
    let refreshing = tokio::spawn({
        let (sessions, refresh) = (one.sessions(), refresh.clone());
        async move { sessions.refresh(&refresh).await }
    });
    fixture.emulator.faults().reached(held, 1).await;
    // The service knows a newer token, and may refuse this one.
    let _ = other.sessions().logout(&refresh).await;
    fixture.emulator.faults().clear();
    refreshing.await.unwrap().unwrap();
    for late in [&one, &other, &third, &one] {
        let error = late.sessions().refresh(&refresh).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
    }
    assert_eq!(fixture.refreshes(), 1);
}

#[tokio::test]
async fn a_process_gives_nothing_out_of_its_memory_after_a_sign_out_in_another() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other], _) = processes(&fixture);
    let (_, refresh) = fixture.tokens();
    let new = one.sessions().refresh(&refresh).await.unwrap();
    one.sessions().refresh(&refresh).await.unwrap();
    let new = new.tokens.refresh_token().unwrap();
    other.sessions().logout(new).await.unwrap();
    for _ in 0..2 {
        let error = one.sessions().refresh(&refresh).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
    }
    assert_eq!(fixture.refreshes(), 1);
}

#[tokio::test]
async fn what_the_service_refuses_one_process_no_other_asks_for() {
    let fixture = Fixture::with(|builder| builder).await;
    let ([one, other], _) = processes(&fixture);
    let (_, refresh) = fixture.tokens();
    fixture.client.sessions().logout(&refresh).await.unwrap();
    for client in [&one, &other, &one] {
        let error = client.sessions().refresh(&refresh).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
    }
    assert_eq!(fixture.refreshes(), 1);
    fixture.advance(Duration::from_secs(30));
    other.sessions().refresh(&refresh).await.unwrap_err();
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn who_waited_for_a_refresh_that_breaks_is_told_so_and_the_next_request_makes_it() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other], meeting) = processes(&fixture);
    let (_, refresh) = fixture.tokens();
    let spawn = |client: &Client| {
        let (sessions, refresh) = (client.sessions(), refresh.clone());
        tokio::spawn(async move { sessions.refresh(&refresh).await })
    };
    let lost = Fault::on("RefreshSession").black_hole();
    let lost = fixture.emulator.faults().add(lost).unwrap();
    let first = spawn(&one);
    fixture.emulator.faults().reached(lost, 1).await;
    let second = spawn(&other);
    while meeting.reads.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fixture.emulator.faults().remove(lost);
    for told in [first, second] {
        let error = told.await.unwrap().unwrap_err();
        assert!(error.is_retryable() && !error.is_unauthorized(), "{error}");
    }
    assert_eq!(fixture.refreshes(), 1);
    let new = other.sessions().refresh(&refresh).await.unwrap();
    let same = one.sessions().refresh(&refresh).await.unwrap();
    assert_eq!(same.session.expires_at(), new.session.expires_at());
    assert_eq!(fixture.refreshes(), 2);
}

/// A late request with the token that was replaced would end the session that a tenant was chosen for.
#[tokio::test]
async fn a_replaced_token_is_not_presented_again_after_a_tenant_was_selected() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let ([one, other], _) = processes(&fixture);
    for (client, late) in [
        (&fixture.client, &fixture.client),
        (&one, &one),
        (&one, &other),
    ] {
        let before = fixture.refreshes();
        let (_, refresh) = fixture.tokens();
        let new = client.sessions().refresh(&refresh).await.unwrap();
        let new = new.tokens.refresh_token().unwrap();
        let selected = client.sessions().select_tenant(new, "acme").await.unwrap();
        let error = late.sessions().refresh(&refresh).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        assert_eq!(fixture.refreshes(), before + 1);
        let selected = selected.tokens.refresh_token().unwrap();
        client.sessions().refresh(selected).await.unwrap();
    }
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

/// The call has an hour, and a fetch of the keys too: that the service hears of it is the test.
#[tokio::test]
async fn a_sign_out_does_not_wait_for_the_keys_that_tell_the_others_whose_it_is() {
    let fixture = Fixture::new().await;
    let (_, refresh) = fixture.tokens();
    let hole = Fault::on("GetKeysV2").black_hole();
    fixture.emulator.faults().add(hole).unwrap();
    let ([client], _) = processes(&fixture);
    let sessions = client.sessions();
    let heard = async {
        while fixture.calls("Logout") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = heard => {}
        result = sessions.logout(&refresh) => result.unwrap(),
    }
    assert_eq!(fixture.calls("Logout"), 1);
}
