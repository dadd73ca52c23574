//! Rocket: all paths are for those who are signed in, and `/sign-out` ends the session.

use descope_magiclink::Client;
use descope_magiclink_web::{SessionLayer, cookies::SessionCookies};
use rocket::http::{Method, Status};
use rocket::route::{Handler, Outcome, Route};
use rocket::{Data, Request, response::Responder as _};

#[derive(Clone)]
struct Respond(Client);

#[rocket::async_trait]
impl Handler for Respond {
    async fn handle<'r>(&self, request: &'r Request<'_>, _: Data<'r>) -> Outcome<'r> {
        let sent = request.headers().iter();
        let sent = sent.map(|one| (one.name.into_string(), one.value.into_owned()));
        let found = SessionLayer::new(&self.0).refreshing().check(sent).await;
        let mut headers = http::HeaderMap::new();
        let (status, text) = match &found.session {
            _ if request.uri().path() == "/sign-out" => {
                let cookies = SessionCookies::new(&self.0);
                let _ = cookies.sign_out(&self.0, &found.tokens, &mut headers).await;
                (200, "signed out".to_owned())
            }
            Ok(session) => (200, format!("the orders of {}", session.user_id())),
            Err(why) => (why.status().as_u16(), why.to_string()),
        };
        found.set_cookies(&mut headers);
        let mut response = (Status::new(status), text).respond_to(request).unwrap();
        for (name, value) in &headers {
            response.adjoin_raw_header(name.to_string(), value.to_str().unwrap().to_owned());
        }
        Outcome::Success(response)
    }
}

fn app(client: Client) -> rocket::Rocket<rocket::Build> {
    let route = |method| Route::new(method, "/<_..>", Respond(client.clone()));
    rocket::build().mount("/", [Method::Get, Method::Post].map(route))
}

#[rocket::launch]
fn launch() -> _ {
    app(Client::from_env().unwrap())
}

#[cfg(test)]
mod test;
