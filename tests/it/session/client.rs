//! The calls of a signed-in user, against the emulator and its faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use descope_magiclink::Refreshed;
use descope_magiclink::session::{KeyProblem, SessionError, TokenProblem};
use descope_magiclink::{
    AccessKey, Client, DeliveryMethod, Error, MagicLinkToken, ManualClock, RefreshToken,
    SessionToken,
};
use descope_magiclink_emulator::{Emulator, Fault, RefreshReuse, TokenDelivery, User};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::fixture::{Fixture, JOE, tokens_of};
use super::key_server::{KeyResponse, KeyServer};
use super::signing::{
    Key, LONG, PROJECT, USER, key_set, merged, refresh_claims, session_claims,
    with_a_limit_that_fits,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const SESSION_LIFE: Duration = Duration::from_secs(600);

fn text(token: &RefreshToken) -> &str {
    token.expose_secret()
}

/// What two callers must have in common.
fn pair(refreshed: &Refreshed) -> (String, String) {
    (
        refreshed.tokens.session.expose_secret().to_owned(),
        text(refreshed.tokens.refresh_token().unwrap()).to_owned(),
    )
}

fn token_problem(error: &Error) -> Option<TokenProblem> {
    match error {
        Error::Session(error) => error.token_problem(),
        _ => None,
    }
}

fn key_problem(error: &Error) -> Option<KeyProblem> {
    match error {
        Error::Session(SessionError::Unavailable(why)) => Some(why.problem()),
        _ => None,
    }
}

#[tokio::test]
async fn a_session_from_the_link_to_the_logout() {
    let fixture = Fixture::new().await;
    let magic_link = fixture.client.magic_link();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let message = fixture.emulator.outbox().next_for(JOE).await.unwrap();
    let token = MagicLinkToken::from_url(message.link()).unwrap();
    let auth = magic_link.verify(&token).await.unwrap();
    assert!(auth.session.user_id().starts_with('U'));
    assert_eq!(
        auth.session.authentication_methods().collect::<Vec<_>>(),
        ["email"]
    );
    assert!(auth.tokens.refresh_expires_at > Some(auth.session.expires_at()));

    let sessions = fixture.client.sessions();
    let session = sessions.validate(&auth.tokens.session).await.unwrap();
    assert_eq!(session.user_id(), auth.session.user_id());
    assert_eq!(session.project_id(), fixture.emulator.project_id());
    assert!(session.has_roles(["admin"]) && session.has_permissions(["invoice:read"]));
    assert!(
        session
            .tenant("acme")
            .unwrap()
            .has_permissions(["invoice:write"])
    );
    assert!(!session.tenant("umbrella").unwrap().has_roles(["admin"]));
    assert!(session.tenant("other").is_err());
    assert_eq!(
        fixture.calls("GetKeysV2"),
        1,
        "one fetch of keys for all of this"
    );

    let user = sessions
        .me(auth.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert_eq!(user.user_id(), Some(session.user_id()));
    let history = sessions
        .history(auth.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert!(history.iter().any(|sign_in| sign_in.at.is_some()));

    sessions
        .logout(auth.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    let error = sessions
        .me(auth.tokens.refresh_token().unwrap())
        .await
        .unwrap_err();
    assert!(error.is_unauthorized());
    let error = sessions
        .refresh(auth.tokens.refresh_token().unwrap())
        .await
        .unwrap_err();
    assert!(error.is_unauthorized() && !error.is_retryable());
    // What local validation cannot know ...
    assert!(sessions.validate(&auth.tokens.session).await.is_ok());
    // ... is over when the session token is.
    fixture.advance(SESSION_LIFE + MINUTE);
    let error = sessions.validate(&auth.tokens.session).await.unwrap_err();
    assert_eq!(token_problem(&error), Some(TokenProblem::Expired));
}

#[tokio::test]
async fn logging_out_everywhere_ends_the_sessions_of_one_user() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, here) = fixture.tokens();
    let (_, there) = fixture.tokens();
    let (_, ann) = tokens_of(fixture.emulator.tokens("ann@example.com"));
    sessions.logout_all(&here).await.unwrap();
    for ended in [&here, &there] {
        assert!(sessions.refresh(ended).await.unwrap_err().is_unauthorized());
    }
    sessions.refresh(&ann).await.unwrap();
}

#[tokio::test]
async fn a_refresh_gives_a_new_session_and_keeps_the_token() {
    let fixture = Fixture::new().await;
    let (_, refresh) = fixture.tokens();
    fixture.advance(SESSION_LIFE);
    let refreshed = fixture.client.sessions().refresh(&refresh).await.unwrap();
    assert!(!refreshed.tokens.rotated);
    assert_eq!(
        text(refreshed.tokens.refresh_token().unwrap()),
        text(&refresh)
    );
    let session = fixture
        .client
        .sessions()
        .validate(&refreshed.tokens.session)
        .await
        .unwrap();
    assert_eq!(session.expires_at(), refreshed.session.expires_at());
    assert_eq!(refreshed.user.unwrap().user_id(), Some(session.user_id()));
    let printed = format!(
        "{:?} {:?}",
        refreshed.tokens.session, refreshed.tokens.cookies
    );
    assert!(!printed.contains(refreshed.tokens.session.expose_secret()));
}

#[tokio::test]
async fn a_rotated_refresh_token_is_returned() {
    for delivery in [TokenDelivery::Body, TokenDelivery::Cookies] {
        for names in [None, Some(("MYDS", "MYDSR"))] {
            let fixture = Fixture::with(|builder| {
                let builder = builder.rotate_refresh_tokens(true).token_delivery(delivery);
                match names {
                    Some((session, refresh)) => builder.cookie_names(session, refresh),
                    None => builder,
                }
            })
            .await;
            let mut builder = Fixture::builder(&fixture.emulator);
            if let Some((session, refresh)) = names {
                builder = builder
                    .session_cookie_name(session)
                    .refresh_cookie_name(refresh);
            }
            let client = builder.build().unwrap();
            let (_, mut refresh) = fixture.tokens();
            for _ in 0..3 {
                let refreshed = client.sessions().refresh(&refresh).await.unwrap();
                assert!(refreshed.tokens.rotated);
                assert_ne!(
                    text(refreshed.tokens.refresh_token().unwrap()),
                    text(&refresh)
                );
                client
                    .sessions()
                    .validate(&refreshed.tokens.session)
                    .await
                    .unwrap();
                refresh = refreshed.tokens.refresh.unwrap();
                fixture.advance(SECOND);
            }
        }
    }
}

/// Begins a thousand refreshes of one token, and returns when each has begun and the one call is on its way.
async fn a_thousand_refreshes(
    fixture: &Fixture,
    refresh: &RefreshToken,
) -> Vec<JoinHandle<Result<Refreshed, Error>>> {
    fixture
        .client
        .sessions()
        .validator()
        .prefetch_keys()
        .await
        .unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (client, refresh) = (fixture.client.clone(), refresh.clone());
            let begun = Arc::clone(&begun);
            tokio::spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                client.sessions().refresh(&refresh).await
            })
        })
        .collect();
    while fixture.refreshes() == 0 || begun.load(Ordering::SeqCst) < tasks.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_refreshes_of_one_token_are_one_call() {
    let fixture = Fixture::with(|builder| {
        builder
            .rotate_refresh_tokens(true)
            .refresh_reuse(RefreshReuse::RefuseToken)
    })
    .await;
    let (_, refresh) = fixture.tokens();
    let held = fixture.hold("RefreshSession");
    let tasks = a_thousand_refreshes(&fixture, &refresh).await;
    fixture.emulator.faults().remove(held);
    let mut pairs = Vec::new();
    for task in tasks {
        pairs.push(pair(&task.await.unwrap().unwrap()));
    }
    assert_eq!(fixture.refreshes(), 1);
    assert!(pairs.iter().all(|found| *found == pairs[0]));
    // Those who come later, with the token that is superseded by now, get the same.
    fixture.advance(5 * MINUTE - SECOND);
    let late = fixture.client.sessions().refresh(&refresh).await.unwrap();
    assert_eq!(pair(&late), pairs[0]);
    assert_eq!(fixture.refreshes(), 1);
    // After a while it is what it is: used up.
    fixture.advance(SECOND);
    let error = fixture
        .client
        .sessions()
        .refresh(&refresh)
        .await
        .unwrap_err();
    assert_eq!(error.code().unwrap().as_str(), "E064006");
    assert_eq!(fixture.refreshes(), 2);
    fixture
        .client
        .sessions()
        .refresh(late.tokens.refresh_token().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_thousand_refreshes_that_fail_are_one_call_too() {
    let fixture = Fixture::new().await;
    let (_, refresh) = fixture.tokens();
    fixture
        .emulator
        .faults()
        .add(Fault::on("RefreshSession").black_hole())
        .unwrap();
    let tasks = a_thousand_refreshes(&fixture, &refresh).await;
    // The one that they all wait for is reset.
    fixture.emulator.faults().clear();
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    }
    assert_eq!(fixture.refreshes(), 1);
    // A failure is not kept.
    fixture.client.sessions().refresh(&refresh).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_caller_does_not_lose_the_new_tokens() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    sessions.validator().prefetch_keys().await.unwrap();
    let held = fixture.hold("RefreshSession");
    let faults = fixture.emulator.faults();
    tokio::select! {
        found = sessions.refresh(&refresh) => panic!("{found:?}"),
        () = faults.reached(held, 1) => {}
    }
    faults.remove(held);
    let refreshed = sessions.refresh(&refresh).await.unwrap();
    assert!(refreshed.tokens.rotated);
    assert_eq!(fixture.refreshes(), 1);
    fixture.emulator.faults().clear();
    sessions
        .refresh(refreshed.tokens.refresh_token().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_refresh_that_fails_on_the_way_is_no_logout() {
    let faults: [fn() -> Fault; 5] = [
        || Fault::on("RefreshSession").reset(),
        || Fault::on("RefreshSession").cut_body(10),
        || Fault::on("RefreshSession").respond(503),
        || Fault::on("RefreshSession").respond(502).text("<html>"),
        || Fault::on("RefreshSession").rate_limited(Some(MINUTE)),
    ];
    let story = async |fault: Fault, limit| {
        let fixture = Fixture::new().await;
        let client = Fixture::builder(&fixture.emulator).timeout(limit);
        let client = client.build().unwrap();
        let patient = client.with_timeout(LONG).sessions();
        let (session, refresh) = fixture.tokens();
        patient.validate(&session).await.unwrap();
        fixture.advance(SESSION_LIFE + MINUTE);
        patient.validator().prefetch_keys().await.unwrap();
        fixture.emulator.faults().add(fault.clone()).unwrap();
        let found = client
            .sessions()
            .validate_and_refresh(Some(&session), Some(&refresh))
            .await;
        let error = found.unwrap_err();
        assert!(
            error.is_retryable() && !error.is_unauthorized(),
            "{fault:?}: {error:?}"
        );
        if fixture.refreshes() == 0 {
            return None;
        }
        assert_eq!(fixture.refreshes(), 1, "never sent twice: {fault:?}");
        while client.has_calls_in_flight() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        fixture.emulator.faults().clear();
        // The wait that the service asked for is over.
        fixture.advance(MINUTE);
        let found = patient
            .validate_and_refresh(Some(&session), Some(&refresh))
            .await;
        let found = found.unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        assert!(found.refreshed.is_some());
        Some(())
    };
    for fault in faults {
        story(fault(), LONG).await.unwrap();
    }
    let hole = || Fault::on("RefreshSession").black_hole();
    with_a_limit_that_fits(async |limit| story(hole(), limit).await).await;
}

#[tokio::test]
async fn bad_refresh_tokens_are_refused_without_a_call() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (session, _) = fixture.tokens();
    let of = |mint| tokens_of(mint).1;
    let cases = [
        (RefreshToken::new(""), None),
        (RefreshToken::new("abc"), Some(TokenProblem::Malformed)),
        (
            of(fixture.mint().forged()),
            Some(TokenProblem::InvalidSignature),
        ),
        (of(fixture.mint().expired()), Some(TokenProblem::Expired)),
        (
            of(fixture.mint().issuer("P2Other")),
            Some(TokenProblem::WrongIssuer),
        ),
        (
            RefreshToken::new(session.expose_secret()),
            Some(TokenProblem::WrongTokenType),
        ),
    ];
    for (token, problem) in cases {
        let error = sessions.refresh(&token).await.unwrap_err();
        assert!(error.is_unauthorized());
        assert_eq!(token_problem(&error), problem);
        let error = sessions.select_tenant(&token, "acme").await.unwrap_err();
        assert_eq!(token_problem(&error), problem);
        assert!(sessions.try_refresh(Some(&token)).await.unwrap().is_none());
    }
    assert_eq!(fixture.refreshes() + fixture.calls("SelectTenant"), 0);
}

#[tokio::test]
async fn try_refresh_does_not_mind() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    assert!(sessions.try_refresh(None).await.unwrap().is_none());
    assert_eq!(fixture.refreshes(), 0);
    let (_, refresh) = fixture.tokens();
    let refreshed = sessions.try_refresh(Some(&refresh)).await.unwrap().unwrap();
    assert!(refreshed.tokens.rotated);
    let again = sessions.try_refresh(Some(&refresh)).await.unwrap().unwrap();
    assert_eq!(pair(&again), pair(&refreshed));
    assert_eq!(fixture.calls("TryRefreshSession"), 1);
    sessions
        .logout(refreshed.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert!(
        sessions
            .try_refresh(Some(&refresh))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        sessions
            .try_refresh(Some(refreshed.tokens.refresh_token().unwrap()))
            .await
            .unwrap()
            .is_none()
    );
    // What could not be told is not "no".
    let (_, refresh) = fixture.tokens();
    fixture
        .emulator
        .faults()
        .add(Fault::on("TryRefreshSession").respond(503))
        .unwrap();
    assert!(
        sessions
            .try_refresh(Some(&refresh))
            .await
            .unwrap_err()
            .is_retryable()
    );
    fixture.emulator.faults().clear();
    fixture
        .emulator
        .faults()
        .add(Fault::on("TryRefreshSession").respond(403).text("<html>"))
        .unwrap();
    assert!(sessions.try_refresh(Some(&refresh)).await.is_err());
}

#[tokio::test]
async fn a_refresh_that_joins_a_try_has_its_own_verdict() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    sessions.logout(&refresh).await.unwrap();
    let held = fixture.hold("TryRefreshSession");
    let trying = {
        let (sessions, refresh) = (sessions.clone(), refresh.clone());
        tokio::spawn(async move { sessions.try_refresh(Some(&refresh)).await })
    };
    let faults = fixture.emulator.faults();
    faults.reached(held, 1).await;
    let (joined, ()) = tokio::join!(sessions.refresh(&refresh), async { faults.remove(held) });
    let error = joined.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    assert!(trying.await.unwrap().unwrap().is_none());
}

/// A session or refresh token as a request may bring it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Brought {
    Nothing,
    Empty,
    Good,
    Expired,
    Forged,
}

#[tokio::test]
async fn validate_and_refresh() {
    use Brought::{Empty, Expired, Forged, Good, Nothing};

    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let bring = |what| {
        let mint = fixture.mint();
        match what {
            Nothing => (None, None),
            Empty => (Some(SessionToken::new("")), Some(RefreshToken::new(""))),
            Good | Expired | Forged => {
                let (session, refresh) = tokens_of(match what {
                    Expired => mint.expired(),
                    Forged => mint.forged(),
                    _ => mint,
                });
                (Some(session), Some(refresh))
            }
        }
    };
    /// How it ends: with or without a refresh, or with which error.
    #[derive(Debug, PartialEq)]
    enum End {
        Valid,
        Refreshed,
        Missing,
        Bad(TokenProblem),
    }
    let expired = || End::Bad(TokenProblem::Expired);
    let forged = || End::Bad(TokenProblem::InvalidSignature);
    for (session, refresh, end) in [
        (Good, Nothing, End::Valid),
        (Good, Good, End::Valid),
        (Good, Forged, End::Valid),
        (Expired, Good, End::Refreshed),
        (Forged, Good, End::Refreshed),
        (Nothing, Good, End::Refreshed),
        (Empty, Good, End::Refreshed),
        (Nothing, Nothing, End::Missing),
        (Empty, Nothing, End::Missing),
        (Nothing, Empty, End::Missing),
        // The session's error, where there is nothing to refresh with ...
        (Expired, Nothing, expired()),
        (Expired, Empty, expired()),
        (Forged, Nothing, forged()),
        // ... else the refresh's.
        (Expired, Forged, forged()),
        (Forged, Expired, expired()),
        (Nothing, Expired, expired()),
    ] {
        let before = fixture.refreshes();
        let (session_token, refresh_token) = (bring(session).0, bring(refresh).1);
        let found = sessions
            .validate_and_refresh(session_token.as_ref(), refresh_token.as_ref())
            .await;
        let found_end = match &found {
            Ok(signed_in) if signed_in.refreshed.is_some() => End::Refreshed,
            Ok(_) => End::Valid,
            Err(Error::Session(SessionError::Missing)) => End::Missing,
            Err(error) => End::Bad(token_problem(error).unwrap()),
        };
        assert_eq!(found_end, end, "{session:?} {refresh:?}");
        let calls = usize::from(end == End::Refreshed);
        assert_eq!(
            fixture.refreshes() - before,
            calls,
            "{session:?} {refresh:?}"
        );
        if let Ok(signed_in) = found {
            assert!(signed_in.session.has_roles(["admin"]));
        }
    }
}

#[tokio::test]
async fn an_outage_of_the_keys_uses_up_no_refresh_token() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    let (session, refresh) = fixture.tokens();
    fixture
        .emulator
        .faults()
        .add(Fault::on("GetKeysV2").respond(500))
        .unwrap();
    let found = sessions
        .validate_and_refresh(Some(&session), Some(&refresh))
        .await;
    assert_eq!(
        key_problem(&found.unwrap_err()),
        Some(KeyProblem::Status(500))
    );
    let error = sessions.refresh(&refresh).await.unwrap_err();
    assert!(error.is_retryable() && !error.is_unauthorized());
    assert!(sessions.try_refresh(Some(&refresh)).await.is_err());
    assert_eq!(fixture.refreshes(), 0);
    fixture.emulator.faults().clear();
    fixture.advance(SECOND * 2);
    sessions.refresh(&refresh).await.unwrap();
}

#[tokio::test]
async fn new_tokens_that_could_not_be_checked_are_kept_until_they_can() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    sessions.validator().prefetch_keys().await.unwrap();
    // The new tokens are signed by a key that the endpoint will not tell of.
    fixture.emulator.keys().rotate().unwrap();
    fixture
        .emulator
        .faults()
        .add(Fault::on("GetKeysV2").respond(500))
        .unwrap();
    let error = sessions.refresh(&refresh).await.unwrap_err();
    assert_eq!(key_problem(&error), Some(KeyProblem::Status(500)));
    assert_eq!(fixture.refreshes(), 1);
    fixture.advance(MINUTE);
    let error = sessions.refresh(&refresh).await.unwrap_err();
    assert!(error.is_retryable());
    // The old token is used up, and still the user is not logged out.
    fixture.emulator.faults().clear();
    fixture.advance(MINUTE);
    let refreshed = sessions.refresh(&refresh).await.unwrap();
    assert!(refreshed.tokens.rotated);
    assert_eq!(fixture.refreshes(), 1);
    sessions
        .refresh(refreshed.tokens.refresh_token().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_flood_of_made_up_keys_does_not_lock_out_new_tokens() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    sessions.validator().prefetch_keys().await.unwrap();
    let made_up = Key::p256("made-up").sign(&json!({}));
    let error = sessions
        .validate(&SessionToken::new(made_up))
        .await
        .unwrap_err();
    assert_eq!(token_problem(&error), Some(TokenProblem::UnknownKey));
    // The cooldown runs; a rotation right now must not cost anyone their session.
    fixture.emulator.keys().rotate().unwrap();
    let (new_session, new_refresh) = fixture.tokens();
    let error = sessions.refresh(&new_refresh).await.unwrap_err();
    assert_eq!(key_problem(&error), Some(KeyProblem::InCooldown));
    assert!(error.is_retryable() && !error.is_unauthorized());
    // What the service itself hands out is looked up at once.
    sessions.refresh(&refresh).await.unwrap();
    sessions.validate(&new_session).await.unwrap();
    sessions.refresh(&new_refresh).await.unwrap();
}

#[tokio::test]
async fn two_machines_that_refresh_at_once_are_a_race() {
    let fixture = Fixture::with(|builder| {
        builder
            .rotate_refresh_tokens(true)
            .refresh_reuse(RefreshReuse::RefuseToken)
    })
    .await;
    let (one, other) = (
        fixture.client.sessions(),
        fixture.another_client().sessions(),
    );
    let (session, refresh) = fixture.tokens();
    let winner = one.refresh(&refresh).await.unwrap();
    // Nothing is shared between processes, so the second is refused ...
    let loser = other.refresh(&refresh).await.unwrap_err();
    assert_eq!(loser.code().unwrap().as_str(), "E064006");
    // ... but what its requests bring is good still, and so are the tokens the winner handed out.
    let signed_in = other
        .validate_and_refresh(Some(&session), Some(&refresh))
        .await
        .unwrap();
    assert!(signed_in.refreshed.is_none());
    let renewed = other
        .validate_and_refresh(
            Some(&winner.tokens.session),
            Some(winner.tokens.refresh_token().unwrap()),
        )
        .await
        .unwrap();
    assert!(renewed.refreshed.is_none());
    other
        .refresh(winner.tokens.refresh_token().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn two_clients_share_no_refreshes() {
    let fixture = Fixture::new().await;
    let other_fixture = Fixture::new().await;
    let (_, refresh) = fixture.tokens();
    let (_, other_refresh) = other_fixture.tokens();
    fixture.client.sessions().refresh(&refresh).await.unwrap();
    // The same token at another project's client is no token at all, kept result or not.
    let error = other_fixture
        .client
        .sessions()
        .refresh(&refresh)
        .await
        .unwrap_err();
    assert!(error.is_unauthorized());
    other_fixture
        .client
        .sessions()
        .refresh(&other_refresh)
        .await
        .unwrap();
    // And another client of the same project makes its own call.
    fixture
        .another_client()
        .sessions()
        .refresh(&refresh)
        .await
        .unwrap();
    assert_eq!((fixture.refreshes(), other_fixture.refreshes()), (2, 1));
    // Clones of a client are one client.
    fixture
        .client
        .clone()
        .sessions()
        .refresh(&refresh)
        .await
        .unwrap();
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn a_logout_takes_what_was_kept_with_it() {
    type Logout = fn(&Client, RefreshToken) -> tokio::task::JoinHandle<Result<(), Error>>;
    let logouts: [Logout; 2] = [
        |client, token| {
            let sessions = client.sessions();
            tokio::spawn(async move { sessions.logout(&token).await })
        },
        |client, token| {
            let sessions = client.sessions();
            tokio::spawn(async move { sessions.logout_all(&token).await })
        },
    ];
    for logout in logouts {
        let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
        let sessions = fixture.client.sessions();
        let (_, old) = fixture.tokens();
        let refreshed = sessions.refresh(&old).await.unwrap();
        logout(&fixture.client, refreshed.tokens.refresh.clone().unwrap())
            .await
            .unwrap()
            .unwrap();
        let error = sessions.refresh(&old).await.unwrap_err();
        assert!(error.is_unauthorized());
        // Without rotation old and new are the same token.
        let fixture = Fixture::new().await;
        let sessions = fixture.client.sessions();
        let (_, token) = fixture.tokens();
        sessions.refresh(&token).await.unwrap();
        logout(&fixture.client, token.clone())
            .await
            .unwrap()
            .unwrap();
        assert!(
            sessions
                .refresh(&token)
                .await
                .unwrap_err()
                .is_unauthorized()
        );
    }
}

/// A request that comes while the service is asked to end the session.
#[tokio::test]
async fn what_is_refreshed_during_a_logout_is_not_kept_after_it() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, token) = fixture.tokens();
    let held = fixture.hold("Logout");
    let logout = tokio::spawn({
        let (sessions, token) = (sessions.clone(), token.clone());
        async move { sessions.logout(&token).await }
    });
    fixture.emulator.faults().reached(held, 1).await;
    sessions.refresh(&token).await.unwrap();
    fixture.emulator.faults().remove(held);
    logout.await.unwrap().unwrap();
    let error = sessions.refresh(&token).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn whose_kept_tokens_end_is_known_without_keys() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let client = Fixture::builder(&fixture.emulator)
        .session_validation(|validation| validation.key_ttl(MINUTE).max_key_age(MINUTE))
        .build()
        .unwrap();
    let sessions = client.sessions();
    let (_, old) = fixture.tokens();
    let new = sessions.refresh(&old).await.unwrap();
    fixture.advance(2 * MINUTE);
    let faults = fixture.emulator.faults();
    faults.add(Fault::on("GetKeysV2").respond(500)).unwrap();
    let new = new.tokens.refresh_token().unwrap();
    sessions.logout(new).await.unwrap();
    faults.clear();
    fixture.advance(MINUTE);
    let error = sessions.refresh(&old).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error}");
    assert_eq!(fixture.refreshes(), 1, "it is not presented again");
}

#[tokio::test]
async fn an_ended_refresh_token_is_refused_here_for_a_day() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, token) = fixture.tokens();
    sessions.end_refresh(&token).await;
    for age in [Duration::ZERO, 1439 * MINUTE] {
        fixture.advance(age);
        let error = sessions.refresh(&token).await.unwrap_err();
        assert_eq!(token_problem(&error), Some(TokenProblem::SessionEnded));
        assert!(sessions.try_refresh(Some(&token)).await.unwrap().is_none());
    }
    assert_eq!(fixture.refreshes(), 0);
    // A day and a minute of leeway later it is presented again.
    fixture.advance(2 * MINUTE);
    sessions.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn verify_does_not_use_up_a_link_while_nothing_can_be_checked() {
    let fixture = Fixture::new().await;
    let magic_link = fixture.client.magic_link();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let message = fixture.emulator.outbox().next_for(JOE).await.unwrap();
    let token = MagicLinkToken::from_url(message.link()).unwrap();
    fixture
        .emulator
        .faults()
        .add(Fault::on("GetKeysV2").respond(404))
        .unwrap();
    let error = magic_link.verify(&token).await.unwrap_err();
    assert_eq!(key_problem(&error), Some(KeyProblem::Status(404)));
    assert_eq!(fixture.calls("VerifyMagicLink"), 0);
    fixture.emulator.faults().clear();
    fixture.advance(2 * SECOND);
    magic_link.verify(&token).await.unwrap();
}

/// A client of a server that responds to any call with this, and knows the keys without it.
async fn client_of(response: &Value, cookies: &str, keys: &[&Key]) -> (KeyServer, Client) {
    let headers = format!("Content-Type: application/json\r\n{cookies}");
    let server = KeyServer::start(KeyResponse::Raw(200, headers, response.to_string())).await;
    let client = Client::builder(PROJECT)
        .base_url(server.url())
        .session_validation(|validation| validation.key_set(key_set(keys)))
        .build()
        .unwrap();
    (server, client)
}

fn now() -> std::time::SystemTime {
    use descope_magiclink::Clock as _;

    descope_magiclink::SystemClock.now()
}

#[tokio::test]
async fn verify_checks_the_tokens_it_gets() {
    let (key, stranger) = (Key::p256("k"), Key::p256("k"));
    let (session, refresh) = (session_claims(now()), refresh_claims(now()));
    let verify = async |session_jwt: String, refresh_jwt: String| {
        let response = json!({"sessionJwt": session_jwt, "refreshJwt": refresh_jwt});
        let (_server, client) = client_of(&response, "", &[&key]).await;
        let magic_link = client.magic_link();
        let unchecked = magic_link.verify_unchecked(&MagicLinkToken::new("t")).await;
        assert_eq!(
            unchecked.unwrap().tokens.session.expose_secret(),
            session_jwt
        );
        magic_link.verify(&MagicLinkToken::new("t")).await
    };
    let auth = verify(key.sign(&session), key.sign(&refresh))
        .await
        .unwrap();
    assert_eq!(auth.session.user_id(), USER);
    let other_project = json!({"iss": "P2other"});
    for (session_jwt, refresh_jwt, problem) in [
        (
            stranger.sign(&session),
            key.sign(&refresh),
            TokenProblem::InvalidSignature,
        ),
        (
            key.sign(&session),
            stranger.sign(&refresh),
            TokenProblem::InvalidSignature,
        ),
        (
            key.sign(&refresh),
            key.sign(&session),
            TokenProblem::WrongTokenType,
        ),
        (
            key.sign(&session),
            key.sign(&session),
            TokenProblem::WrongTokenType,
        ),
        (
            key.sign(&merged(session.clone(), json!({"exp": 1}))),
            key.sign(&refresh),
            TokenProblem::Expired,
        ),
        (
            key.sign(&merged(session.clone(), other_project.clone())),
            key.sign(&refresh),
            TokenProblem::WrongIssuer,
        ),
        (
            key.sign(&session),
            key.sign(&merged(refresh.clone(), other_project)),
            TokenProblem::WrongIssuer,
        ),
        (
            Key::p256("new").sign(&session),
            key.sign(&refresh),
            TokenProblem::UnknownKey,
        ),
        (
            "abc".to_owned(),
            key.sign(&refresh),
            TokenProblem::Malformed,
        ),
    ] {
        let error = verify(session_jwt, refresh_jwt).await.unwrap_err();
        assert_eq!(token_problem(&error), Some(problem));
        assert!(!error.is_unauthorized(), "no word about the link: {error}");
    }
}

#[tokio::test]
async fn of_several_new_tokens_the_newest_wins() {
    let (key, stranger) = (Key::p256("k"), Key::p256("k"));
    let issued = |claims: Value, ago: i64| {
        let iat = claims["iat"].as_i64().unwrap() - ago;
        key.sign(&merged(claims, json!({"iat": iat})))
    };
    let old = issued(refresh_claims(now()), 100);
    let newer = issued(refresh_claims(now()), 10);
    let newest = issued(refresh_claims(now()), 0);
    let session_of_same_age = key.sign(&merged(
        session_claims(now()),
        json!({"iat": session_claims(now())["iat"].as_i64().unwrap() - 5, "jti": "2"}),
    ));
    let newer_of_same_age = key.sign(&merged(
        refresh_claims(now()),
        json!({"iat": refresh_claims(now())["iat"].as_i64().unwrap() - 10, "jti": "2"}),
    ));
    let of_same_age = key.sign(&merged(
        refresh_claims(now()),
        json!({"iat": refresh_claims(now())["iat"].as_i64().unwrap() - 100, "jti": "2"}),
    ));
    let ancient = issued(refresh_claims(now()), 1000);
    let bad = stranger.sign(&refresh_claims(now()));
    let session = issued(session_claims(now()), 5);
    let newer_session = issued(session_claims(now()), 0);
    let bad_session = stranger.sign(&session_claims(now()));
    // In the body, in a cookie, and which is to win; `None`: the response is refused.
    let refresh_cases: Vec<(Option<&String>, Option<&String>, Option<&String>)> = vec![
        (None, None, Some(&old)),
        (Some(&newer), None, Some(&newer)),
        (None, Some(&newer), Some(&newer)),
        (Some(&old), Some(&newer), Some(&newer)),
        (Some(&newer), Some(&old), Some(&newer)),
        (Some(&newer), Some(&newest), Some(&newest)),
        (Some(&newest), Some(&newer), Some(&newest)),
        (Some(&old), Some(&of_same_age), Some(&of_same_age)),
        (Some(&newer), Some(&newer_of_same_age), Some(&newer)),
        (Some(&ancient), None, Some(&old)),
        (Some(&bad), Some(&newer), Some(&newer)),
        (Some(&bad), None, None),
        (Some(&old), Some(&bad), None),
    ];
    let session_cases = vec![
        (Some(&session), None, Some(&session)),
        (None, Some(&session), Some(&session)),
        (Some(&session), Some(&newer_session), Some(&newer_session)),
        (Some(&newer_session), Some(&session), Some(&newer_session)),
        // Of one age, the body's.
        (Some(&session), Some(&session_of_same_age), Some(&session)),
        (Some(&bad_session), Some(&session), Some(&session)),
        (Some(&bad_session), None, None),
        (None, None, None),
    ];
    let run = async |session: (Option<&String>, Option<&String>),
                     refresh: (Option<&String>, Option<&String>)| {
        let response = json!({"sessionJwt": session.0, "refreshJwt": refresh.0});
        let mut cookies = String::new();
        for (name, token) in [("DS", session.1), ("DSR", refresh.1)] {
            if let Some(token) = token {
                cookies += &format!("Set-Cookie: {name}={token}; Path=/; HttpOnly\r\n");
            }
        }
        let (_server, client) = client_of(&response, &cookies, &[&key]).await;
        let token = RefreshToken::new(old.as_str());
        let by_refresh = client.sessions().refresh(&token).await;
        let by_selection = client.sessions().select_tenant(&token, "t1").await;
        assert_eq!(by_refresh.is_ok(), by_selection.is_ok());
        if let (Ok(one), Ok(other)) = (&by_refresh, &by_selection) {
            assert_eq!(pair(one), pair(other));
        }
        by_refresh.ok()
    };
    for (body, cookie, expected) in refresh_cases {
        let found = run((Some(&session), None), (body, cookie)).await;
        let found_token = found
            .as_ref()
            .map(|refreshed| text(refreshed.tokens.refresh_token().unwrap()));
        assert_eq!(
            found_token,
            expected.map(String::as_str),
            "{body:?} {cookie:?}"
        );
        if let Some(refreshed) = &found {
            assert_eq!(refreshed.tokens.rotated, expected != Some(&old));
        }
    }
    for (body, cookie, expected) in session_cases {
        let found = run((body, cookie), (None, None)).await;
        let found = found.map(|refreshed| refreshed.tokens.session.expose_secret().to_owned());
        assert_eq!(found.as_ref(), expected, "{body:?} {cookie:?}");
    }
}

#[tokio::test]
async fn history_comes_in_two_shapes() {
    let record = json!({"userId": "U1", "loginTime": 1_769_331_398, "ip": "1.2.3.4", "city": "Bern", "country": "", "selectedTenant": null, "x": 1});
    for (response, count) in [
        (json!([record, {}]), 2),
        (json!({"authHistory": [record]}), 1),
        (json!([]), 0),
        (json!({}), 0),
        (json!({"authHistory": null}), 0),
    ] {
        let (_server, client) = client_of(&response, "", &[&Key::p256("k")]).await;
        let history = client
            .sessions()
            .history(&RefreshToken::new("r"))
            .await
            .unwrap();
        assert_eq!(history.len(), count, "{response}");
        if let Some(first) = history.first() {
            assert_eq!(
                (first.ip.as_deref(), first.city.as_deref()),
                (Some("1.2.3.4"), Some("Bern"))
            );
            assert_eq!(
                (first.country.as_deref(), first.tenant.as_deref()),
                (None, None)
            );
            let at = first
                .at
                .unwrap()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap();
            assert_eq!(at.as_secs(), 1_769_331_398);
        }
    }
    for response in [json!("x"), json!([1]), json!({"authHistory": 1})] {
        let (_server, client) = client_of(&response, "", &[&Key::p256("k")]).await;
        let error = client
            .sessions()
            .history(&RefreshToken::new("r"))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{response}: {error:?}");
    }
    let (server, client) = client_of(&json!([]), "", &[&Key::p256("k")]).await;
    server.respond(KeyResponse::Raw(
        401,
        String::new(),
        "{\"errorCode\":\"E061005\"}".to_owned(),
    ));
    let error = client
        .sessions()
        .history(&RefreshToken::new("r"))
        .await
        .unwrap_err();
    assert!(error.is_unauthorized());
    let head = server.heads().pop().unwrap();
    assert!(head.starts_with("GET /v1/auth/me/history "), "{head}");
    assert!(
        head.contains(&format!("authorization: Bearer {PROJECT}:r\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn the_services_own_verdict() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (session, _) = fixture.tokens();
    let claims = sessions.validate_remote(&session).await.unwrap();
    assert_eq!(claims.get("drn"), Some(&json!("DS")));
    let (expired, _) = tokens_of(fixture.mint().expired());
    assert!(
        sessions
            .validate_remote(&expired)
            .await
            .unwrap_err()
            .is_unauthorized()
    );
    for (response, expected) in [
        (json!({"sub": "U1"}), json!({"sub": "U1"})),
        (json!({"parsedJWT": {"sub": "U1"}}), json!({"sub": "U1"})),
        (
            json!({"parsedJWT": "x", "sub": "U1"}),
            json!({"parsedJWT": "x", "sub": "U1"}),
        ),
    ] {
        let (_server, client) = client_of(&response, "", &[&Key::p256("k")]).await;
        let claims = client
            .sessions()
            .validate_remote(&SessionToken::new("s"))
            .await
            .unwrap();
        assert_eq!(Value::from(claims), expected);
    }
}

#[tokio::test]
async fn tenants_of_the_user() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    let tenants = sessions
        .my_tenants(&refresh, ["acme", "umbrella", "other"])
        .await
        .unwrap();
    let names: Vec<_> = tenants
        .iter()
        .map(|t| (t.id.as_str(), t.name.as_deref()))
        .collect();
    assert_eq!(
        names,
        [("acme", Some("Acme Inc.")), ("umbrella", Some("umbrella"))]
    );
    assert_eq!(
        tenants[0].custom_attributes.get("plan"),
        Some(&json!("gold"))
    );
    let printed = format!("{tenants:?}");
    assert!(printed.contains("acme") && printed.contains("plan"));
    assert!(!printed.contains("gold"), "{printed}");
    assert!(
        sessions
            .my_current_tenant(&refresh)
            .await
            .unwrap()
            .is_none()
    );
    for ids in [vec![], vec![""], vec!["acme", ""]] {
        let error = sessions.my_tenants(&refresh, ids).await.unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)));
    }

    let selected = sessions.select_tenant(&refresh, "acme").await.unwrap();
    assert_eq!(selected.session.current_tenant(), Some("acme"));
    assert!(
        selected.session.tenant("umbrella").is_ok(),
        "the others are listed still"
    );
    let current = sessions
        .my_current_tenant(selected.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert_eq!(current.unwrap().id, "acme");
    let error = sessions.select_tenant(&refresh, "other").await.unwrap_err();
    assert!(matches!(error, Error::Api(_)));
    let error = sessions.select_tenant(&refresh, "").await.unwrap_err();
    assert!(matches!(error, Error::InvalidArgument(_)));
}

#[tokio::test]
async fn access_keys_have_sessions_of_their_own() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let key = AccessKey::new("access-key-secret");
    let exchange = sessions
        .exchange_access_key(&key)
        .custom_claim("job", "nightly");
    assert!(!format!("{exchange:?}").contains("access-key-secret"));
    let found = exchange.send().await.unwrap();
    assert_eq!(found.key_id.as_deref(), Some("K1"));
    assert_eq!(found.session.user_id(), "K1");
    assert!(found.session.has_roles(["admin"]));
    let claim = found
        .session
        .nonsecure_claim("job")
        .or(found.session.custom_claim("job"));
    assert_eq!(claim, Some(json!("nightly")));
    sessions.validate(&found.tokens.session).await.unwrap();
    let error = sessions
        .exchange_access_key(&AccessKey::new("wrong"))
        .send()
        .await
        .unwrap_err();
    assert!(error.is_credential_refused() && !error.is_unauthorized());
}

#[tokio::test]
async fn settings_of_validation_reach_the_client() {
    let fixture = Fixture::new().await;
    let (session, refresh) = fixture.tokens();
    let strict = Fixture::builder(&fixture.emulator)
        .session_validation(|validation| validation.audience("https://api.example.com"))
        .build()
        .unwrap();
    let error = strict.sessions().validate(&session).await.unwrap_err();
    assert_eq!(token_problem(&error), Some(TokenProblem::WrongAudience));
    let offline = Client::builder(PROJECT)
        .session_validation(|validation| validation.key_set("{}"))
        .build();
    assert!(matches!(offline, Err(Error::Config(_))));
    let same_names = Client::builder(PROJECT).session_cookie_name("DSR").build();
    assert!(matches!(same_names, Err(Error::Config(_))));
    // The client's clock is the validator's.
    let clock = Arc::new(ManualClock::at(fixture.emulator.clock().now()));
    let slow = Fixture::builder(&fixture.emulator)
        .clock(Arc::clone(&clock))
        .build()
        .unwrap();
    slow.sessions().validate(&session).await.unwrap();
    clock.advance(SESSION_LIFE + MINUTE);
    assert!(
        slow.sessions()
            .validate(&session)
            .await
            .unwrap_err()
            .is_unauthorized()
    );
    // What the service issues is measured by its own clock, and corrects this one.
    slow.sessions().refresh(&refresh).await.unwrap();
    let user = slow.sessions().validate(&session).await.unwrap();
    assert!(user.has_roles(["admin"]));
}

#[tokio::test]
async fn removed_keys_end_sessions() {
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .start()
        .await
        .unwrap();
    emulator.clock().freeze();
    let client = Fixture::builder(&emulator).build().unwrap();
    let (session, refresh) = tokens_of(emulator.tokens(JOE));
    client.sessions().validate(&session).await.unwrap();
    emulator.keys().rotate_and_revoke().unwrap();
    emulator.clock().advance(5 * MINUTE);
    let error = client.sessions().validate(&session).await.unwrap_err();
    assert_eq!(token_problem(&error), Some(TokenProblem::UnknownKey));
    let found = client
        .sessions()
        .validate_and_refresh(Some(&session), Some(&refresh))
        .await;
    assert!(found.is_err());
}

#[tokio::test]
async fn nothing_printed_holds_a_token() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    let (session, refresh) = fixture.tokens();
    let refreshed = sessions.refresh(&refresh).await.unwrap();
    let signed_in = sessions
        .validate_and_refresh(None, Some(refreshed.tokens.refresh_token().unwrap()))
        .await
        .unwrap();
    let key_session = sessions
        .exchange_access_key(&AccessKey::new("access-key-secret"))
        .send()
        .await
        .unwrap();
    let refresh_claims = sessions
        .validator()
        .validate_refresh(refreshed.tokens.refresh_token().unwrap())
        .await;
    let error = sessions.refresh(&refresh).await.err();
    let printed = format!(
        "{refreshed:?} {signed_in:?} {key_session:?} {refresh_claims:?} {sessions:?} {:?} {error:?} {:?}",
        sessions.validator(),
        fixture.client,
    );
    let newest = signed_in.refreshed.unwrap();
    for token in [
        session.expose_secret(),
        text(&refresh),
        text(refreshed.tokens.refresh_token().unwrap()),
        refreshed.tokens.session.expose_secret(),
        text(newest.tokens.refresh_token().unwrap()),
        newest.tokens.session.expose_secret(),
        key_session.tokens.session.expose_secret(),
    ] {
        for part in token.split('.') {
            assert!(!printed.contains(part), "{printed}");
        }
    }
}

#[tokio::test]
async fn a_refused_token_is_not_asked_for_again_for_a_while() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, token) = fixture.tokens();
    sessions.logout(&token).await.unwrap();
    for _ in 0..20 {
        let error = sessions.refresh(&token).await.unwrap_err();
        assert!(
            error.is_unauthorized() && !error.is_retryable(),
            "{error:?}"
        );
        assert!(sessions.try_refresh(Some(&token)).await.unwrap().is_none());
    }
    assert_eq!(fixture.refreshes(), 1, "one refusal serves them all");
    fixture.advance(MINUTE);
    sessions.refresh(&token).await.unwrap_err();
    assert_eq!(fixture.refreshes(), 2, "and not for ever");
}

#[tokio::test]
async fn a_logout_during_a_refresh_leaves_nothing_behind() {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    let (_, token) = fixture.tokens();
    sessions.validator().prefetch_keys().await.unwrap();
    let held = Fault::on("RefreshSession").hold().after_handling();
    let faults = fixture.emulator.faults();
    let held = faults.add(held).unwrap();
    let refresh = tokio::spawn({
        let (sessions, token) = (sessions.clone(), token.clone());
        async move { sessions.refresh(&token).await }
    });
    faults.reached(held, 1).await;
    assert!(fixture.client.has_calls_in_flight());
    // Whatever the service says to the old token: the user wanted to be signed out.
    let _ = sessions.logout(&token).await;
    faults.remove(held);
    let _ = refresh.await.unwrap();
    sessions.refresh(&token).await.unwrap_err();
    assert_eq!(
        fixture.refreshes(),
        1,
        "a token that was replaced is not presented again"
    );
}
