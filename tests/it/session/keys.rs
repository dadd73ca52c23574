//! Where keys come from: how often the endpoint is asked, and what happens when it fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use descope_magiclink::session::{KeyProblem, SessionError, SessionValidatorBuilder, TokenProblem};
use descope_magiclink::{Clock as _, ManualClock, SessionToken};
use descope_magiclink::{Session, SessionValidator};
use serde_json::json;

use super::key_server::{KeyResponse, KeyServer};
use super::signing::{
    Key, LONG, PROJECT, b64, jwks, key_set, merged, session_claims, with_a_limit_that_fits,
};

const TTL: Duration = Duration::from_secs(300);
const MAX_AGE: Duration = Duration::from_secs(3600);
const COOL_DOWN: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    server: KeyServer,
    key: Key,
    clock: Arc<ManualClock>,
}

impl Fixture {
    /// A project whose endpoint responds with its one key.
    async fn new() -> Self {
        let key = Key::p256("first");
        Self {
            server: KeyServer::start(KeyResponse::Body(key_set(&[&key]))).await,
            key,
            clock: Arc::new(ManualClock::new()),
        }
    }

    fn builder(&self) -> SessionValidatorBuilder {
        SessionValidator::builder(PROJECT)
            .base_url(self.server.url())
            .clock(Arc::clone(&self.clock))
            .key_fetch_timeout(LONG)
    }

    fn validator(&self) -> SessionValidator {
        self.builder().build().unwrap()
    }

    fn token_by(&self, key: &Key) -> SessionToken {
        // Good whenever in a test's hours it is looked at.
        let claims = merged(
            session_claims(self.clock.now()),
            json!({"exp": 9_999_999_999_i64}),
        );
        SessionToken::new(key.sign(&claims))
    }

    fn token(&self) -> SessionToken {
        self.token_by(&self.key)
    }

    /// A token that nobody signed, naming a key that nobody has.
    fn made_up(&self, n: usize) -> SessionToken {
        let header = json!({"alg": "ES256", "kid": format!("made-up-{n}")}).to_string();
        SessionToken::new(format!("{}.e30.{}", b64(header), b64([1; 64])))
    }
}

fn token_problem(found: Result<Session, SessionError>) -> TokenProblem {
    let error = found.expect_err("a bad token");
    error.token_problem().unwrap_or_else(|| panic!("{error:?}"))
}

fn key_problem(found: Result<Session, SessionError>) -> KeyProblem {
    match found.expect_err("no verdict") {
        SessionError::Unavailable(why) => why.problem(),
        error => panic!("{error:?}"),
    }
}

/// Lets the fetch in the background come to its end.
async fn settle(validator: &SessionValidator) {
    while validator.is_fetching_keys() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn the_request_is_as_the_service_expects_it() {
    let fixture = Fixture::new().await;
    fixture
        .validator()
        .validate(&fixture.token())
        .await
        .unwrap();
    let heads = fixture.server.heads();
    let [head] = heads.as_slice() else {
        panic!("{heads:?}")
    };
    let head = head.to_lowercase();
    let project = PROJECT.to_lowercase();
    assert!(
        head.starts_with(&format!("get /v2/keys/{project} http/1.1\r\n")),
        "{head}"
    );
    assert!(
        head.contains(&format!("\r\nauthorization: bearer {project}\r\n")),
        "{head}"
    );
    assert!(
        head.contains(&format!("\r\nx-descope-project-id: {project}\r\n")),
        "{head}"
    );
}

#[tokio::test]
async fn making_a_validator_asks_nothing() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    assert!(!validator.is_fetching_keys());
    assert_eq!(fixture.server.requests(), 0);
    let found = validator.validate_cached(&fixture.token());
    assert_eq!(key_problem(found), KeyProblem::NotLoaded);
    assert_eq!(fixture.server.requests(), 0);
    validator.validate(&fixture.token()).await.unwrap();
    validator.validate_cached(&fixture.token()).unwrap();
    assert_eq!(fixture.server.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_cold_validations_cause_one_fetch() {
    let fixture = Fixture::new().await;
    fixture
        .server
        .respond(KeyResponse::Held(key_set(&[&fixture.key])));
    let validator = fixture.validator();
    let token = fixture.token();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..1000)
        .map(|_| {
            let (validator, token, begun) = (validator.clone(), token.clone(), Arc::clone(&begun));
            tokio::spawn(async move {
                begun.fetch_add(1, Ordering::SeqCst);
                validator.validate(&token).await
            })
        })
        .collect();
    fixture.server.reached(1).await;
    while begun.load(Ordering::SeqCst) < tasks.len() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fixture.server.release();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(fixture.server.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_made_up_keys_causes_one_more_fetch() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    let good = fixture.token();
    validator.validate(&good).await.unwrap();
    // 10,000 tokens in 30 s, in waves of 100 at a time.
    for wave in 0..100 {
        let tasks: Vec<_> = (0..100)
            .map(|n| {
                let (validator, token) = (validator.clone(), fixture.made_up(wave * 100 + n));
                tokio::spawn(async move { validator.validate(&token).await })
            })
            .collect();
        for task in tasks {
            assert_eq!(token_problem(task.await.unwrap()), TokenProblem::UnknownKey);
        }
        validator.validate_cached(&good).unwrap();
        fixture.clock.advance(Duration::from_millis(300));
    }
    assert_eq!(fixture.server.requests(), 2);
    // After the cooldown it takes one more.
    fixture.clock.advance(SECOND);
    for n in 0..10 {
        let found = validator.validate(&fixture.made_up(n)).await;
        assert_eq!(token_problem(found), TokenProblem::UnknownKey);
    }
    assert_eq!(fixture.server.requests(), 3);
}

#[tokio::test]
async fn what_names_no_key_asks_nothing() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    for kid in [
        json!(null),
        json!(""),
        json!("k".repeat(5000)),
        json!("a\u{0}b"),
        json!(5),
    ] {
        let header = json!({"alg": "ES256", "kid": kid}).to_string();
        let token = format!("{}.e30.{}", b64(header), b64([1; 64]));
        assert!(validator.validate(&SessionToken::new(token)).await.is_err());
    }
    for alg in ["none", "HS256", "ES384"] {
        let header = json!({"alg": alg, "kid": "made-up"}).to_string();
        let token = format!("{}.e30.{}", b64(header), b64([1; 64]));
        assert!(validator.validate(&SessionToken::new(token)).await.is_err());
    }
    assert_eq!(fixture.server.requests(), 0);
}

#[tokio::test]
async fn failures_do_not_end_the_cool_down() {
    let failing = [
        KeyResponse::Raw(404, String::new(), String::new()),
        KeyResponse::Body("<html>".to_owned()),
    ];
    for response in failing {
        let fixture = Fixture::new().await;
        let validator = fixture.validator();
        validator.validate(&fixture.token()).await.unwrap();
        fixture.server.respond(response);
        let before = fixture.server.requests();
        for n in 0..200 {
            let found = validator.validate(&fixture.made_up(n)).await;
            assert!(found.unwrap_err().is_unavailable());
            validator.validate_cached(&fixture.token()).unwrap();
            fixture.clock.advance(Duration::from_millis(150));
        }
        assert_eq!(fixture.server.requests() - before, 1);
    }
}

#[tokio::test]
async fn a_set_without_a_usable_key_withdraws_the_old_keys() {
    let mut for_encryption = Key::p256("first").jwk();
    for_encryption["use"] = json!("enc");
    for set in [jwks(vec![]), jwks(vec![for_encryption])] {
        let fixture = Fixture::new().await;
        let validator = fixture.validator();
        validator.validate(&fixture.token()).await.unwrap();
        fixture.server.respond(KeyResponse::Body(set));
        fixture.clock.advance(TTL);
        // Nothing can be checked, which is held against nobody.
        let found = validator.validate(&fixture.token()).await;
        assert_eq!(key_problem(found), KeyProblem::NoUsableKey);
        let before = fixture.server.requests();
        for n in 0..200 {
            let found = validator.validate(&fixture.made_up(n)).await;
            assert!(found.unwrap_err().is_unavailable());
            let found = validator.validate(&fixture.token()).await;
            assert_eq!(key_problem(found), KeyProblem::NoUsableKey);
        }
        assert_eq!(fixture.server.requests(), before, "not asked at each token");
        // It recovers as soon as the endpoint does.
        fixture
            .server
            .respond(KeyResponse::Body(key_set(&[&fixture.key])));
        fixture.clock.advance(COOL_DOWN);
        validator.validate(&fixture.token()).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_that_is_gone_from_the_set_is_unknown() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    validator.validate(&fixture.token()).await.unwrap();
    fixture
        .server
        .respond(KeyResponse::Body(key_set(&[&Key::p256("second")])));
    fixture.clock.advance(TTL);
    let error = validator.validate(&fixture.token()).await.unwrap_err();
    assert_eq!(error.token_problem(), Some(TokenProblem::UnknownKey));
}

#[tokio::test]
async fn a_fetch_that_began_earlier_does_not_decide_that_there_is_no_such_key() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    // A first caller's fetch is on its way, with the old set, ...
    let old = key_set(&[&fixture.key]);
    fixture.server.respond(KeyResponse::Held(old));
    let first = {
        let (validator, token) = (validator.clone(), fixture.token());
        tokio::spawn(async move { validator.validate(&token).await.map(drop) })
    };
    fixture.server.reached(1).await;
    // ... when the keys are rotated and the first token of the new key comes in.
    let next = Key::p256("second");
    fixture
        .server
        .respond(KeyResponse::Body(key_set(&[&fixture.key, &next])));
    let second = {
        let (validator, token) = (validator.clone(), fixture.token_by(&next));
        tokio::spawn(async move { validator.validate(&token).await.map(drop) })
    };
    // Both tasks run on this thread, so the second waits for the fetch after this.
    tokio::task::yield_now().await;
    fixture.server.release();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(fixture.server.requests(), 2);
}

#[tokio::test]
async fn a_rotation_is_noticed_at_the_first_token_of_the_new_key() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    validator.validate(&fixture.token()).await.unwrap();
    let next = Key::rsa("second");
    fixture
        .server
        .respond(KeyResponse::Body(key_set(&[&fixture.key, &next])));
    validator.validate(&fixture.token_by(&next)).await.unwrap();
    validator.validate(&fixture.token()).await.unwrap();
    assert_eq!(fixture.server.requests(), 2);
}

#[tokio::test]
async fn a_removed_key_is_refused_within_the_time_to_live() {
    let fixture = Fixture::new().await;
    let validator = fixture
        .builder()
        .token_cache_bytes(1 << 20)
        .build()
        .unwrap();
    let token = fixture.token();
    validator.validate(&token).await.unwrap();
    let next = Key::p256("second");
    fixture.server.respond(KeyResponse::Body(key_set(&[&next])));
    // Young keys serve without asking ...
    fixture.clock.advance(TTL / 2);
    validator.validate(&token).await.unwrap();
    assert_eq!(fixture.server.requests(), 1);
    // ... and a process that slept until the end asks first.
    fixture.clock.advance(TTL / 2);
    assert_eq!(
        token_problem(validator.validate(&token).await),
        TokenProblem::UnknownKey
    );
    validator.validate(&fixture.token_by(&next)).await.unwrap();
    // The last token of the removed key was one more unknown key at the most.
    assert!(fixture.server.requests() <= 3);
}

#[tokio::test]
async fn a_key_replaced_under_its_old_name_is_replaced_for_remembered_tokens_too() {
    let fixture = Fixture::new().await;
    let validator = fixture
        .builder()
        .token_cache_bytes(1 << 20)
        .build()
        .unwrap();
    let token = fixture.token();
    validator.validate(&token).await.unwrap();
    validator.validate(&token).await.unwrap();
    let impostor = Key::p256(&fixture.key.kid);
    fixture
        .server
        .respond(KeyResponse::Body(key_set(&[&impostor])));
    fixture.clock.advance(TTL);
    assert_eq!(
        token_problem(validator.validate(&token).await),
        TokenProblem::InvalidSignature
    );
    validator
        .validate(&fixture.token_by(&impostor))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_busy_process_fetches_ahead_and_never_waits() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    let token = fixture.token();
    validator.validate(&token).await.unwrap();
    // The endpoint holds its responses back, and still no validation has to wait for one.
    fixture
        .server
        .respond(KeyResponse::Held(key_set(&[&fixture.key])));
    for round in 1..8 {
        let before = fixture.server.requests();
        let mut steps = 0;
        while !validator.is_fetching_keys() {
            fixture.clock.advance(TTL / 20);
            steps += 1;
            validator.validate_cached(&token).unwrap();
        }
        fixture.server.reached(before + 1).await;
        assert!(
            (11..=19).contains(&steps),
            "round {round}: after {steps}/20 of the time"
        );
        validator.validate_cached(&token).unwrap();
        assert_eq!(
            fixture.server.requests(),
            before + 1,
            "one fetch in round {round}"
        );
        fixture.server.release();
        settle(&validator).await;
    }
}

#[tokio::test]
async fn processes_do_not_fetch_in_step() {
    let fixture = Fixture::new().await;
    let token = fixture.token();
    let mut validators = Vec::new();
    for _ in 0..20 {
        let validator = fixture.validator();
        validator.validate(&token).await.unwrap();
        validators.push(validator);
    }
    let mut moments = Vec::new();
    for step in 0..=90 {
        let before = fixture.server.requests();
        for validator in &validators {
            validator.validate_cached(&token).unwrap();
        }
        for validator in &validators {
            settle(validator).await;
        }
        if fixture.server.requests() > before {
            moments.push(step);
        }
        fixture.clock.advance(TTL / 100);
    }
    assert_eq!(fixture.server.requests(), 40);
    assert!(moments.len() >= 8, "fetched in step: {moments:?}");
    assert!(
        moments.iter().all(|step| (60..=90).contains(step)),
        "{moments:?}"
    );
}

#[tokio::test]
async fn old_keys_serve_while_the_endpoint_is_down() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    let token = fixture.token();
    validator.validate(&token).await.unwrap();
    fixture
        .server
        .respond(KeyResponse::Raw(500, String::new(), String::new()));
    fixture.clock.advance(TTL);
    // The first to come finds out, once.
    validator.validate(&token).await.unwrap();
    assert_eq!(fixture.server.requests(), 2);
    // From then on nobody waits, up to the last second.
    let steps = (MAX_AGE - TTL).as_secs() / 20;
    for _ in 0..steps {
        validator.validate_cached(&token).unwrap();
        settle(&validator).await;
        fixture.clock.advance(Duration::from_secs(20));
    }
    let found = validator.validate_cached(&token);
    assert_eq!(key_problem(found), KeyProblem::NotLoaded);
}

#[tokio::test]
async fn attempts_grow_rare_while_the_endpoint_is_down() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    let token = fixture.token();
    validator.validate(&token).await.unwrap();
    fixture
        .server
        .respond(KeyResponse::Raw(404, String::new(), String::new()));
    fixture.clock.advance(TTL);
    let before = fixture.server.requests();
    let mut moments = Vec::new();
    for second in 0..121 {
        let asked = fixture.server.requests();
        validator.validate(&token).await.unwrap();
        settle(&validator).await;
        if fixture.server.requests() > asked {
            moments.push(second);
        }
        fixture.clock.advance(SECOND);
    }
    assert_eq!(moments, [0, 1, 3, 7, 15, 31, 61, 91]);
    assert_eq!(fixture.server.requests() - before, moments.len());
    // Back again: the next attempt makes the keys young.
    fixture
        .server
        .respond(KeyResponse::Body(key_set(&[&fixture.key])));
    validator.validate(&token).await.unwrap();
    settle(&validator).await;
    let after = fixture.server.requests();
    fixture.clock.advance(TTL / 2);
    validator.validate(&token).await.unwrap();
    assert_eq!(fixture.server.requests(), after);
}

#[tokio::test]
async fn a_cold_process_asks_every_two_seconds_and_responds_at_once_between() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    let token = fixture.token();
    fixture
        .server
        .respond(KeyResponse::Raw(404, String::new(), String::new()));
    let mut moments = Vec::new();
    for second in 0..12 {
        let asked = fixture.server.requests();
        let problem = key_problem(validator.validate(&token).await);
        assert_eq!(problem, KeyProblem::Status(404));
        if fixture.server.requests() > asked {
            moments.push(second);
        }
        fixture.clock.advance(SECOND);
    }
    assert_eq!(moments, [0, 1, 3, 5, 7, 9, 11]);
}

#[tokio::test]
async fn keys_past_their_maximum_age_no_longer_serve() {
    let fixture = Fixture::new().await;
    for (limit, builder) in [
        (MAX_AGE, fixture.builder()),
        (TTL, fixture.builder().max_key_age(TTL)),
    ] {
        let validator = builder.build().unwrap();
        fixture
            .server
            .respond(KeyResponse::Body(key_set(&[&fixture.key])));
        let token = fixture.token();
        validator.validate(&token).await.unwrap();
        fixture
            .server
            .respond(KeyResponse::Raw(404, String::new(), String::new()));
        fixture.clock.advance(limit - SECOND);
        validator.validate(&token).await.unwrap();
        settle(&validator).await;
        fixture.clock.advance(SECOND);
        let found = validator.validate(&token).await;
        assert_eq!(key_problem(found), KeyProblem::Status(404));
        // Known keys are not unknown ones, and the token is not bad.
        fixture.clock.advance(COOL_DOWN);
        fixture
            .server
            .respond(KeyResponse::Body(key_set(&[&fixture.key])));
        validator.validate(&token).await.unwrap();
    }
}

#[tokio::test]
async fn a_long_silence_is_no_licence_for_old_keys() {
    let fixture = Fixture::new().await;
    let validator = fixture.validator();
    let token = fixture.token();
    validator.validate(&token).await.unwrap();
    fixture
        .server
        .respond(KeyResponse::Raw(404, String::new(), String::new()));
    fixture.clock.advance(TTL);
    validator.validate(&token).await.unwrap();
    // The endpoint came back and the key is gone, but nobody asked for as long as keys live.
    let next = Key::p256("second");
    fixture.server.respond(KeyResponse::Body(key_set(&[&next])));
    fixture.clock.advance(TTL);
    assert_eq!(
        token_problem(validator.validate(&token).await),
        TokenProblem::UnknownKey
    );
}

/// An endpoint's fault, what is made of it, and the requests one fetch makes in its face.
fn faults() -> Vec<(&'static str, KeyResponse, KeyProblem, usize)> {
    let raw = |status, headers: &str, body: &str| {
        KeyResponse::Raw(status, headers.to_owned(), body.to_owned())
    };
    let location = "Location: /elsewhere\r\n";
    vec![
        ("hanging up", KeyResponse::Hangup, KeyProblem::Transport, 3),
        ("status 503", raw(503, "", ""), KeyProblem::Status(503), 3),
        ("status 500", raw(500, "", "{}"), KeyProblem::Status(500), 1),
        ("status 404", raw(404, "", "{}"), KeyProblem::Status(404), 1),
        (
            "status 429",
            raw(429, "Retry-After: 1\r\n", ""),
            KeyProblem::Status(429),
            1,
        ),
        ("status 204", raw(204, "", ""), KeyProblem::Status(204), 1),
        (
            "moved for good",
            raw(301, location, ""),
            KeyProblem::Redirect,
            1,
        ),
        (
            "found elsewhere",
            raw(307, location, ""),
            KeyProblem::Redirect,
            1,
        ),
        ("not modified", raw(304, "", ""), KeyProblem::Redirect, 1),
        ("silence", KeyResponse::Silent, KeyProblem::Timeout, 1),
        ("dripping", KeyResponse::Drip, KeyProblem::Timeout, 1),
        (
            "10 MB, told",
            KeyResponse::Huge {
                bytes: 10_485_760,
                told: true,
            },
            KeyProblem::TooLarge,
            1,
        ),
        (
            "10 MB, not told",
            KeyResponse::Huge {
                bytes: 10_485_760,
                told: false,
            },
            KeyProblem::TooLarge,
            1,
        ),
        (
            "HTML",
            raw(200, "", "<html><body>Sign in</body></html>"),
            KeyProblem::InvalidJson,
            1,
        ),
        ("nothing", raw(200, "", ""), KeyProblem::InvalidJson, 1),
        ("null", raw(200, "", "null"), KeyProblem::InvalidJson, 1),
        (
            "a bare list",
            raw(200, "", "[]"),
            KeyProblem::InvalidJson,
            1,
        ),
        (
            "no list",
            raw(200, "", r#"{"keys":{}}"#),
            KeyProblem::InvalidJson,
            1,
        ),
        (
            "cut off",
            raw(200, "", r#"{"keys":[{"kid":"a""#),
            KeyProblem::InvalidJson,
            1,
        ),
        (
            "nested deeply",
            raw(200, "", &"[".repeat(200_000)),
            KeyProblem::InvalidJson,
            1,
        ),
        (
            "no keys",
            raw(200, "", r#"{"keys":[]}"#),
            KeyProblem::NoUsableKey,
            1,
        ),
        (
            "odd keys",
            raw(200, "", r#"{"keys":[null,1,"x",[],{},{"kid":"first"}]}"#),
            KeyProblem::NoUsableKey,
            1,
        ),
    ]
}

/// Tells a story of every fault. Where it is silence, the end of the fetch's time is the story, so that time is short.
async fn with_every_fault(
    story: impl AsyncFn(&str, KeyResponse, KeyProblem, usize, Duration) -> Option<()>,
) {
    for (name, response, problem, requests) in faults() {
        if problem == KeyProblem::Timeout {
            with_a_limit_that_fits(async |limit| {
                story(name, response.clone(), problem, requests, limit).await
            })
            .await;
        } else {
            story(name, response, problem, requests, LONG)
                .await
                .unwrap();
        }
    }
}

/// What came of a fetch from an endpoint without a fault; `None` when it was not fast enough.
fn in_time<T: std::fmt::Debug>(found: Result<T, SessionError>) -> Option<T> {
    match found {
        Err(SessionError::Unavailable(why)) if why.problem() == KeyProblem::Timeout => None,
        found => Some(found.unwrap()),
    }
}

#[tokio::test]
async fn faults_at_the_start() {
    with_every_fault(async |name, response, problem, requests, limit| {
        let fixture = Fixture::new().await;
        fixture.server.respond(response);
        let validator = fixture.builder().key_fetch_timeout(limit).build().unwrap();
        let token = fixture.token();
        for _ in 0..3 {
            let error = validator.validate(&token).await.unwrap_err();
            assert!(error.is_unavailable(), "{name}");
            assert_eq!(key_problem(Err(error)), problem, "{name}");
        }
        if fixture.server.requests() == 0 {
            return None;
        }
        assert_eq!(fixture.server.requests(), requests, "{name}");
        // It recovers as soon as the endpoint does.
        fixture
            .server
            .respond(KeyResponse::Body(key_set(&[&fixture.key])));
        fixture.clock.advance(SECOND);
        in_time(validator.validate(&token).await)?;
        assert_eq!(fixture.server.requests(), requests + 1, "{name}");
        Some(())
    })
    .await;
}

#[tokio::test]
async fn faults_later() {
    with_every_fault(async |name, response, problem, requests, limit| {
        if problem == KeyProblem::NoUsableKey {
            // No fault: see `a_set_without_a_usable_key_withdraws_the_old_keys`.
            return Some(());
        }
        let fixture = Fixture::new().await;
        let validator = fixture.builder().key_fetch_timeout(limit).build().unwrap();
        let token = fixture.token();
        in_time(validator.validate(&token).await)?;
        fixture.server.respond(response);
        fixture.clock.advance(TTL);
        validator.validate(&token).await.unwrap();
        if fixture.server.requests() == 1 {
            return None;
        }
        assert_eq!(fixture.server.requests(), 1 + requests, "{name}");
        // What cannot be told without the endpoint is not held against the token.
        let next = Key::p256("second");
        let found = validator.validate(&fixture.token_by(&next)).await;
        assert_eq!(key_problem(found), problem, "{name}");
        settle(&validator).await;
        validator.validate_cached(&token).unwrap();
        Some(())
    })
    .await;
}

#[tokio::test]
async fn keys_from_elsewhere_are_refused_even_if_the_http_client_follows() {
    let fixture = Fixture::new().await;
    let elsewhere = KeyServer::start(KeyResponse::Body(key_set(&[&fixture.key]))).await;
    let location = format!("Location: {}/v2/keys/{PROJECT}\r\n", elsewhere.url());
    fixture
        .server
        .respond(KeyResponse::Raw(307, location, String::new()));
    let following = reqwest::Client::builder().no_proxy().build().unwrap();
    let client = descope_magiclink::Client::builder(PROJECT)
        .base_url(fixture.server.url())
        .http_client(following)
        .session_validation(|validation| validation.key_fetch_timeout(LONG))
        .build()
        .unwrap();
    let error = client
        .sessions()
        .validate(&fixture.token())
        .await
        .unwrap_err();
    let descope_magiclink::Error::Session(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(key_problem(Err(error)), KeyProblem::Redirect);
    assert_eq!(elsewhere.requests(), 1, "the client did follow");
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let fixture = Fixture::new().await;
    // Bound but not listening: no other program gets the port in the meantime.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    let validator = fixture.builder().base_url(url).build().unwrap();
    let error = validator.validate(&fixture.token()).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert!(source.is_some_and(|text| !text.contains("http://")));
    assert_eq!(key_problem(Err(error)), KeyProblem::Transport);
}

#[tokio::test]
async fn no_fetch_outlives_its_deadline() {
    for response in [
        KeyResponse::Silent,
        KeyResponse::Drip,
        KeyResponse::Hangup,
        KeyResponse::Raw(503, String::new(), String::new()),
    ] {
        let fixture = Fixture::new().await;
        fixture.server.respond(response);
        let limit = Duration::from_millis(100);
        let validator = fixture.builder().key_fetch_timeout(limit).build().unwrap();
        // That it ends is the test: the server would go on for ever.
        let found = validator.validate(&fixture.token()).await;
        assert!(found.unwrap_err().is_unavailable());
    }
}

#[tokio::test]
async fn one_odd_key_does_not_take_the_others_down() {
    let fixture = Fixture::new().await;
    let odd = json!({"kid": "odd", "kty": "oct", "k": "c2VjcmV0", "alg": "HS256"});
    fixture.server.respond(KeyResponse::Body(jwks(vec![
        odd,
        json!(null),
        fixture.key.jwk(),
    ])));
    fixture
        .validator()
        .validate(&fixture.token())
        .await
        .unwrap();
    assert_eq!(fixture.server.requests(), 1);
}

#[tokio::test]
async fn a_cancelled_caller_does_not_cancel_the_fetch() {
    let fixture = Fixture::new().await;
    fixture
        .server
        .respond(KeyResponse::Held(key_set(&[&fixture.key])));
    let validator = fixture.validator();
    let token = fixture.token();
    for _ in 0..5 {
        let wait = Duration::from_millis(20);
        let cancelled = tokio::time::timeout(wait, validator.validate(&token)).await;
        assert!(cancelled.is_err());
    }
    fixture.server.reached(1).await;
    fixture.server.release();
    settle(&validator).await;
    validator.validate_cached(&token).unwrap();
    assert_eq!(fixture.server.requests(), 1);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// Polls once, by hand: what needs no waiting is ready then.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).as_mut().poll(&mut context) {
        std::task::Poll::Ready(found) => Some(found),
        std::task::Poll::Pending => None,
    }
}

/// Runs a future on this thread, with no runtime around.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(found) => return found,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn validation_needs_no_runtime_of_the_caller() {
    let serving = runtime();
    let fixture = serving.block_on(Fixture::new());
    let validator = fixture.validator();
    block_on(validator.prefetch_keys()).unwrap();
    block_on(validator.validate(&fixture.token())).unwrap();
    // Nor does a fetch in the background, or one that hangs.
    fixture.clock.advance(TTL - SECOND);
    validator.validate_cached(&fixture.token()).unwrap();
    fixture.server.respond(KeyResponse::Silent);
    let hasty = fixture
        .builder()
        .key_fetch_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let found = block_on(hasty.validate(&fixture.token()));
    assert_eq!(key_problem(found), KeyProblem::Timeout);
}

#[tokio::test]
async fn two_projects_share_nothing() {
    let fixture = Fixture::new().await;
    let other_project = "P2bbbbbbbbbbbbbbbbbbbbbbbbbb";
    let other_key = Key::p256(&fixture.key.kid);
    let other_server = KeyServer::start(KeyResponse::Body(key_set(&[&other_key]))).await;
    let ours = fixture.validator();
    let theirs = SessionValidator::builder(other_project)
        .base_url(other_server.url())
        .clock(Arc::clone(&fixture.clock))
        .build()
        .unwrap();
    let token = fixture.token();
    let claims = merged(
        session_claims(fixture.clock.now()),
        json!({"iss": other_project}),
    );
    let other_token = SessionToken::new(other_key.sign(&claims));
    for _ in 0..2 {
        ours.validate(&token).await.unwrap();
        theirs.validate(&other_token).await.unwrap();
        assert_eq!(
            token_problem(ours.validate(&other_token).await),
            TokenProblem::InvalidSignature
        );
        assert_eq!(
            token_problem(theirs.validate(&token).await),
            TokenProblem::InvalidSignature
        );
    }
    assert_eq!((fixture.server.requests(), other_server.requests()), (1, 1));
    // Even a project that got hold of the other's key is told apart by its issuer.
    let claims = merged(
        session_claims(fixture.clock.now()),
        json!({"iss": other_project}),
    );
    let forged = SessionToken::new(fixture.key.sign(&claims));
    assert_eq!(
        token_problem(ours.validate(&forged).await),
        TokenProblem::WrongIssuer
    );
}

#[tokio::test]
async fn provided_keys_need_no_network() {
    let fixture = Fixture::new().await;
    let validator = fixture
        .builder()
        .key_set(fixture.key.jwk().to_string())
        .build()
        .unwrap();
    validator.validate(&fixture.token()).await.unwrap();
    validator.validate_cached(&fixture.token()).unwrap();
    let other = Key::p256("second");
    let found = validator.validate(&fixture.token_by(&other)).await;
    assert_eq!(token_problem(found), TokenProblem::UnknownKey);
    assert_eq!(fixture.server.requests(), 0);
}

#[test]
fn neither_a_flood_nor_an_outage_keeps_known_keys_waiting() {
    let serving = runtime();
    let fixture = serving.block_on(Fixture::new());
    let validator = fixture.validator();
    let token = fixture.token();
    serving.block_on(validator.validate(&token)).unwrap();
    // An endpoint that takes connections and never responds, a fetch stuck in it, and a flood.
    fixture.server.respond(KeyResponse::Silent);
    fixture.clock.advance(TTL - SECOND);
    let requests = fixture.server.requests();
    let flood: Vec<_> = (0..100)
        .map(|n| {
            let (validator, token) = (validator.clone(), fixture.made_up(n));
            serving.spawn(async move { validator.validate(&token).await })
        })
        .collect();
    serving.block_on(fixture.server.reached(requests + 1));
    let _in_runtime = serving.enter();
    for _ in 0..2000 {
        // Both would wait for ever if they waited at all.
        validator.validate_cached(&token).unwrap();
        poll_once(validator.validate(&token)).unwrap().unwrap();
    }
    assert_eq!(fixture.server.requests(), requests + 1);
    flood.iter().for_each(|task| task.abort());
}
