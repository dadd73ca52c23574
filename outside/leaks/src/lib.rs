//! What another crate of a build turns on in reqwest changes no request: neither its bytes nor who speaks TLS.

#[cfg(test)]
mod test {
    use descope_magiclink::{Client, DeliveryMethod, Error, RetryPolicy};
    use outside_support::Canned;

    const PROJECT: &str = "P2aAc4T2V93bddihGEx2Ryhc8e5Z";

    fn client(url: &str) -> Client {
        let client = Client::builder(PROJECT).base_url(url);
        client.retry(RetryPolicy::never()).build().unwrap()
    }

    async fn sign_in(client: &Client) -> Result<(), Error> {
        let magic_link = client.magic_link();
        let call = magic_link.sign_in(DeliveryMethod::Email, "ann@example.com");
        call.send().await.map(drop)
    }

    #[tokio::test]
    async fn the_request_has_the_same_bytes() {
        // The features are on: a client that nobody has told otherwise asks for encodings.
        let service = Canned::start([(200, "{}".to_owned()), (200, "{}".to_owned())]);
        let plain = reqwest::Client::builder().no_proxy().build().unwrap();
        plain.get(service.url()).send().await.unwrap();
        assert!(service.requests()[0].contains("accept-encoding: "));

        sign_in(&client(service.url())).await.unwrap();
        let host = service.url().trim_start_matches("http://");
        let version = service.requests()[1]
            .split("x-descope-sdk-version: ")
            .nth(1)
            .and_then(|rest| rest.split('\r').next().map(str::to_owned))
            .unwrap();
        let expected = [
            "POST /v1/auth/magiclink/signin/email HTTP/1.1".to_owned(),
            format!("authorization: Bearer {PROJECT}"),
            "accept: application/json".to_owned(),
            format!("x-descope-project-id: {PROJECT}"),
            "x-descope-sdk-name: rust".to_owned(),
            format!("x-descope-sdk-version: {version}"),
            format!("user-agent: descope-magiclink/{version}"),
            "content-type: application/json".to_owned(),
            format!("host: {host}"),
            "content-length: 29".to_owned(),
            String::new(),
            r#"{"loginId":"ann@example.com"}"#.to_owned(),
        ];
        assert_eq!(service.requests()[1], expected.join("\r\n"));
    }

    #[tokio::test]
    async fn the_chosen_backend_speaks_tls() {
        // No TLS is spoken there, and each backend complains in its own words.
        let service = Canned::start([(200, "{}".to_owned())]);
        let error = sign_in(&client(&service.url().replace("http", "https"))).await;
        let error = error.unwrap_err();
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
            error.source()
        });
        let text = causes
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        assert!(text.contains("InvalidContentType"), "{text}");
    }
}
