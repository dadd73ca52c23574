//! Shows what the service says of a user, in detail: `outside-reader LOGIN_ID`, with `DESCOPE_PROJECT_ID` and
//! `DESCOPE_MANAGEMENT_KEY` in the environment.

use std::fmt::Write as _;

use descope_magiclink::raw::ResponseValue;
use descope_magiclink::{Client, Error, ManagementKey};
use serde::Serialize;
use serde_json::{Value, json};

/// Status, names of headers, and each member with whether it is described.
fn report<T: Serialize>(response: &ResponseValue<T>, described: &Value) -> String {
    let mut text = format!("{}\n", response.status());
    for name in response.headers().keys() {
        let _ = writeln!(text, "header {name}");
    }
    let body = response.json();
    for (name, value) in body["user"].as_object().into_iter().flatten() {
        let is_described = described.get(name).is_some();
        let mark = if is_described { "" } else { " (not described)" };
        let _ = writeln!(text, "{name}{mark}: {value}");
    }
    text
}

async fn user(client: &Client, key: &ManagementKey, login_id: &str) -> Result<String, Error> {
    let call = client.raw().load_user(key).login_id(login_id);
    let response = call.send().await?;
    let mut described = response.user.clone().unwrap_or_default();
    described.extra = [("", Value::Null); 0].into();
    Ok(report(&response, &json!(described)))
}

/// All that is known of why it failed.
fn why(error: &Error) -> String {
    let mut text = error.to_string();
    if let Error::Api(error) = error {
        let names: Vec<&String> = error.members().keys().collect();
        let _ = write!(text, "\nmembers: {names:?}");
    }
    if let Error::Decode(error) = error {
        let _ = write!(
            text,
            "\nmember: {:?}, {} headers",
            error.member(),
            error.headers().len()
        );
    }
    text
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let login_id = std::env::args().nth(1).ok_or("which login id?")?;
    let key = ManagementKey::new(std::env::var("DESCOPE_MANAGEMENT_KEY")?);
    let client = Client::from_env()?;
    match user(&client, &key, &login_id).await {
        Ok(report) => println!("{report}"),
        Err(error) => println!("{}", why(&error)),
    }
    Ok(())
}

#[cfg(test)]
mod test {
    use descope_magiclink_emulator::{Emulator, User};

    use super::*;

    #[tokio::test]
    async fn each_member_is_told() {
        let emulator = Emulator::builder().user(User::new("ann@example.com").name("Ann"));
        let emulator = emulator.start().await.unwrap();
        let client = Client::builder(emulator.project_id()).base_url(emulator.base_url());
        let client = client.build().unwrap();
        let key = ManagementKey::new(emulator.management_key());
        let text = user(&client, &key, "ann@example.com").await.unwrap();
        for line in [
            "200 OK\n",
            "header content-type\n",
            "\nname: \"Ann\"\n",
            "\nloginIds: [",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let missing = user(&client, &key, "bob@example.com").await.unwrap_err();
        let text = why(&missing);
        assert!(
            text.starts_with("load_user: ") && text.contains("\"errorCode\""),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_described_is_marked() {
        let body = json!({ "user": { "name": "Ann", "shoeSize": 39 } });
        let response: descope_magiclink::raw::types::UserResponse =
            serde_json::from_value(body).unwrap();
        let response = ResponseValue::new(response, Default::default(), Default::default());
        let text = report(&response, &json!({ "name": "Ann" }));
        assert!(text.contains("shoeSize (not described): 39"), "{text}");
        assert_eq!(response.user.as_ref().unwrap().extra["shoeSize"], 39);
    }
}
