//! Waits that the service asks for.

use std::time::Duration;

use descope_magiclink::{Error, RefreshToken};
use descope_magiclink_emulator::Fault;

use crate::session::fixture::{Fixture, tokens_of};

const FORTY: Duration = Duration::from_secs(40);

fn limited(wait: u64) -> [Fault; 2] {
    let on = || Fault::on("RefreshSession");
    [
        on().rate_limited(Some(Duration::from_secs(wait))),
        on().respond(503).header("Retry-After", wait.to_string()),
    ]
}

async fn refused(fixture: &Fixture, token: &RefreshToken) -> Error {
    fixture.client.sessions().refresh(token).await.unwrap_err()
}

#[tokio::test]
async fn while_the_service_asks_to_wait_no_refresh_of_the_client_is_sent() {
    for fault in limited(40) {
        let fixture = Fixture::new().await;
        fixture.emulator.faults().add(fault).unwrap();
        let (_, joe) = fixture.tokens();
        let (_, ann) = tokens_of(fixture.emulator.tokens("ann@example.com"));
        let first = refused(&fixture, &joe).await;
        assert_eq!(first.retry_after(), Some(FORTY));
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..250 {
            for token in [joe.clone(), ann.clone()] {
                let sessions = fixture.client.sessions();
                callers.spawn(async move { sessions.refresh(&token).await.unwrap_err() });
            }
        }
        for error in callers.join_all().await {
            assert_eq!(error.status(), first.status());
            assert_eq!(error.retry_after(), Some(FORTY));
            assert!(error.is_retryable() && !error.is_unauthorized());
        }
        let tried = fixture.client.sessions().try_refresh(Some(&ann)).await;
        assert_eq!(tried.unwrap_err().status(), first.status());
        assert_eq!(fixture.refreshes(), 1, "one call for all of them");

        let other = fixture.another_client();
        other.sessions().refresh(&joe).await.unwrap_err();
        assert_eq!(fixture.refreshes(), 2, "each client asks for itself");

        fixture.advance(Duration::from_secs(30));
        let later = refused(&fixture, &joe).await;
        assert_eq!(later.retry_after(), Some(Duration::from_secs(10)));
        fixture.emulator.faults().clear();
        fixture.advance(Duration::from_secs(10));
        let sessions = fixture.client.sessions();
        sessions.refresh(&joe).await.unwrap();
        sessions.refresh(&ann).await.unwrap();
    }
}

#[tokio::test]
async fn a_longer_wait_is_tried_again_after_a_minute() {
    for (wait, fault) in [3600, u64::MAX]
        .into_iter()
        .flat_map(|wait| limited(wait).map(|fault| (wait, fault)))
    {
        let fixture = Fixture::new().await;
        fixture.emulator.faults().add(fault).unwrap();
        let (_, joe) = fixture.tokens();
        refused(&fixture, &joe).await;
        fixture.advance(Duration::from_secs(59));
        let error = refused(&fixture, &joe).await;
        if wait == 3600 {
            assert_eq!(error.retry_after(), Some(Duration::from_secs(3541)));
        }
        assert_eq!(fixture.refreshes(), 1);
        fixture.advance(Duration::from_secs(1));
        refused(&fixture, &joe).await;
        assert_eq!(fixture.refreshes(), 2);
    }
}

#[tokio::test]
async fn new_tokens_that_are_there_are_given_out_meanwhile() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, joe) = fixture.tokens();
    let (_, ann) = tokens_of(fixture.emulator.tokens("ann@example.com"));
    let refreshed = sessions.refresh(&joe).await.unwrap();
    let [fault, _] = limited(40);
    fixture.emulator.faults().add(fault).unwrap();
    refused(&fixture, &ann).await;
    let again = sessions.refresh(&joe).await.unwrap();
    assert_eq!(again.session.expires_at(), refreshed.session.expires_at());
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn an_outage_without_a_time_is_not_kept() {
    let fixture = Fixture::new().await;
    let (_, joe) = fixture.tokens();
    for fault in [
        Fault::on("RefreshSession").respond(503),
        Fault::on("RefreshSession").rate_limited(None),
        Fault::on("RefreshSession")
            .respond(500)
            .header("Retry-After", "40"),
    ] {
        fixture.emulator.faults().add(fault.times(1)).unwrap();
        refused(&fixture, &joe).await;
    }
    fixture.client.sessions().refresh(&joe).await.unwrap();
    assert_eq!(fixture.refreshes(), 4);
}
