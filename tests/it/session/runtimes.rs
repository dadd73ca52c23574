//! Callers whose runtime is blocked, idle or gone, or who go away: nobody else waits for them.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use descope_magiclink::{
    Client, DeliveryMethod, Error, MagicLinkToken, RefreshToken, SessionToken,
};
use descope_magiclink_emulator::Fault;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::fixture::{Fixture, JOE};
use super::signing::LONG;

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Calls whose work other callers share.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Validate,
    Refresh,
    Verify,
    SelectTenant,
}

impl Operation {
    const ALL: [Self; 4] = [
        Self::Validate,
        Self::Refresh,
        Self::Verify,
        Self::SelectTenant,
    ];

    /// The call that is sent once for all.
    fn id(self) -> &'static str {
        match self {
            Self::Validate => "GetKeysV2",
            Self::Refresh => "RefreshSession",
            Self::Verify => "VerifyMagicLink",
            Self::SelectTenant => "SelectTenant",
        }
    }
}

#[derive(Clone)]
struct Tokens {
    session: SessionToken,
    refresh: RefreshToken,
    link: MagicLinkToken,
}

impl Tokens {
    async fn new(fixture: &Fixture) -> Self {
        let (session, refresh) = fixture.tokens();
        let sign_in = fixture.client.magic_link();
        let sign_in = sign_in.sign_in(DeliveryMethod::Email, JOE);
        sign_in.send().await.unwrap();
        let message = fixture.emulator.outbox().next_for(JOE).await.unwrap();
        Self {
            session,
            refresh,
            link: MagicLinkToken::from_url(message.link()).unwrap(),
        }
    }

    fn call(
        &self,
        client: &Client,
        operation: Operation,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let (tokens, client) = (self.clone(), client.clone());
        let sessions = client.sessions();
        async move {
            match operation {
                Operation::Validate => drop(sessions.validate(&tokens.session).await?),
                Operation::Refresh => drop(sessions.refresh(&tokens.refresh).await?),
                Operation::Verify => drop(client.magic_link().verify(&tokens.link).await?),
                Operation::SelectTenant => {
                    drop(sessions.select_tenant(&tokens.refresh, "acme").await?);
                }
            }
            Ok(())
        }
    }
}

/// What became of the caller who has started the work, while it was in flight.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    /// A runtime of one thread, which nobody drives.
    Idle,
    /// Other code blocks the only thread of its runtime.
    Blocked,
    Dropped,
    ShutDown,
}

impl Caller {
    const ALL: [Self; 4] = [Self::Idle, Self::Blocked, Self::Dropped, Self::ShutDown];

    /// Starts a call that the service holds back; then its caller gives no more. What comes back keeps it so.
    fn start(
        self,
        call: impl Future<Output = Result<(), Error>> + Send + 'static,
        in_flight: impl FnOnce(),
    ) -> Box<dyn std::any::Any> {
        if self == Self::Idle {
            let idle = Builder::new_current_thread().enable_all().build().unwrap();
            let first = idle.spawn(call);
            idle.block_on(tokio::task::yield_now());
            in_flight();
            return Box::new((first, idle));
        }
        let runtime = runtime();
        let first: JoinHandle<_> = runtime.spawn(call);
        in_flight();
        match self {
            Self::Idle | Self::Dropped => {
                first.abort();
                assert!(runtime.block_on(first).unwrap_err().is_cancelled());
                Box::new(runtime)
            }
            Self::Blocked => {
                let (blocked, is_blocked) = mpsc::channel();
                let (release, released) = mpsc::channel::<()>();
                runtime.spawn(async move {
                    blocked.send(()).unwrap();
                    // Until the other end is dropped.
                    let _ = released.recv();
                });
                is_blocked.recv().unwrap();
                // In this order: a runtime that is dropped waits for its threads.
                Box::new((release, first, runtime))
            }
            Self::ShutDown => {
                runtime.shutdown_timeout(LONG);
                Box::new(first)
            }
        }
    }
}

/// A call of each kind, in flight for a caller of each kind.
fn stories(story: impl Fn(&Runtime, &Fixture, &Tokens, Operation, &str)) {
    let serving = runtime();
    for operation in Operation::ALL {
        for caller in Caller::ALL {
            let what = format!("{operation:?}, {caller:?}");
            let fixture =
                serving.block_on(Fixture::with(|builder| builder.rotate_refresh_tokens(true)));
            let tokens = serving.block_on(Tokens::new(&fixture));
            if operation != Operation::Validate {
                let sessions = fixture.client.sessions();
                let validator = sessions.validator();
                serving.block_on(validator.prefetch_keys()).unwrap();
            }
            let held = fixture.hold(operation.id());
            let _caller = caller.start(tokens.call(&fixture.client, operation), || {
                serving.block_on(fixture.emulator.faults().reached(held, 1));
            });
            story(&serving, &fixture, &tokens, operation, &what);
            assert_eq!(fixture.calls(operation.id()), 1, "{what}");
        }
    }
}

#[test]
fn others_get_what_a_caller_has_started_whose_runtime_stands_still_or_is_gone() {
    stories(|serving, fixture, tokens, operation, what| {
        let joined = serving.spawn(tokens.call(&fixture.client, operation));
        fixture.emulator.faults().clear();
        let joined = serving.block_on(joined).unwrap();
        joined.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    });
}

#[test]
fn others_wait_until_their_own_deadline_and_what_comes_later_is_kept() {
    stories(|serving, fixture, tokens, operation, what| {
        // That it ends is the test: the first has an hour.
        let hurried = fixture.client.with_timeout(Duration::from_millis(20));
        let error = serving.block_on(tokens.call(&hurried, operation));
        let error = error.unwrap_err();
        assert!(error.is_timeout(), "{what}: {error:?}");
        assert!(
            error.is_retryable() && !error.is_unauthorized(),
            "{what}: {error:?}"
        );
        fixture.emulator.faults().clear();
        let later = serving.block_on(tokens.call(&fixture.client, operation));
        later.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    });
}

/// The key endpoint never responds, and a fetch of its own would have an hour: that the calls end is the test.
#[tokio::test]
async fn a_call_has_one_deadline_the_fetch_of_the_keys_included() {
    let fixture = Fixture::new().await;
    let tokens = Tokens::new(&fixture).await;
    let hole = Fault::on("GetKeysV2").black_hole();
    fixture.emulator.faults().add(hole).unwrap();
    // With what the client is built with, and with what it is derived with.
    let limit = Duration::from_millis(300);
    let built = Fixture::builder(&fixture.emulator).timeout(limit);
    for client in [built.build().unwrap(), fixture.client.with_timeout(limit)] {
        let sessions = client.sessions();
        let mut errors = Vec::new();
        for operation in Operation::ALL {
            errors.push(tokens.call(&client, operation).await.err());
        }
        errors.push(sessions.try_refresh(Some(&tokens.refresh)).await.err());
        let (session, refresh) = (Some(&tokens.session), Some(&tokens.refresh));
        let found = sessions.validate_and_refresh(session, refresh).await;
        errors.push(found.err());
        let key = "access-key-secret".into();
        errors.push(sessions.exchange_access_key(&key).send().await.err());
        for error in errors {
            let error = error.unwrap();
            assert!(error.is_timeout(), "{error:?}");
            assert!(
                error.is_retryable() && !error.is_unauthorized(),
                "{error:?}"
            );
        }
    }
    // Nothing was used up for tokens that nobody can check.
    for operation in &Operation::ALL[1..] {
        assert_eq!(fixture.calls(operation.id()), 0, "{operation:?}");
    }
}
