//! Rocket: `/orders` is for those who are signed in, and `/sign-out` ends the session.

use descope_magiclink::{Client, Session};
use descope_magiclink_web::cookies::SessionCookies;
use descope_magiclink_web::{Rejection, RequestSession, SessionLayer};
use rocket::fairing::{Fairing, Info, Kind};
use rocket::http::{Header, Status};
use rocket::request::{FromRequest, Outcome, Request};
use rocket::{Data, Response, State};

/// Finds out who makes a request, and adds to the response what belongs there.
struct Sessions(SessionLayer);

#[rocket::async_trait]
impl Fairing for Sessions {
    fn info(&self) -> Info {
        Info {
            name: "sessions",
            kind: Kind::Request | Kind::Response,
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let headers = request.headers().iter();
        let headers = headers.map(|one| (one.name.into_string(), one.value.into_owned()));
        let found = self.0.check(headers).await;
        request.local_cache(|| Some(found));
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if let Some(found) = request.local_cache(|| None::<RequestSession>) {
            let headers = response.headers().iter();
            let headers = headers.map(|one| (one.name.into_string(), one.value.into_owned()));
            for (name, value) in found.headers_to_add(headers) {
                let value = value.to_str().unwrap_or_default().to_owned();
                let header = Header::new(name.as_str().to_owned(), value);
                response.adjoin_header(header);
            }
        }
    }
}

struct SignedIn(Session);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for SignedIn {
    type Error = Rejection;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let found = request.local_cache(|| None::<RequestSession>);
        let session = found.as_ref().map(|found| found.session.clone());
        match session.unwrap_or(Err(Rejection::MissingLayer)) {
            Ok(session) => Outcome::Success(Self(session)),
            Err(why) => Outcome::Error((Status::new(why.status().as_u16()), why)),
        }
    }
}

#[rocket::get("/orders")]
fn orders(user: SignedIn) -> String {
    format!("the orders of {}", user.0.user_id())
}

/// The headers of a sign-out, and its text.
struct SignedOut(http::HeaderMap);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for SignedOut {
    type Error = ();
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        let client: &State<Client> = request.guard().await.unwrap();
        let mut headers = http::HeaderMap::new();
        if let Some(found) = request.local_cache(|| None::<RequestSession>) {
            let cookies = SessionCookies::new(&**client);
            let _ = cookies.sign_out(client, &found.tokens, &mut headers).await;
        }
        Outcome::Success(Self(headers))
    }
}

impl<'r> rocket::response::Responder<'r, 'static> for SignedOut {
    fn respond_to(self, request: &'r Request<'_>) -> rocket::response::Result<'static> {
        let mut response = "signed out".respond_to(request)?;
        for (name, value) in &self.0 {
            let value = value.to_str().unwrap_or_default().to_owned();
            response.adjoin_header(Header::new(name.as_str().to_owned(), value));
        }
        Ok(response)
    }
}

#[rocket::post("/sign-out")]
fn sign_out(response: SignedOut) -> SignedOut {
    response
}

fn app(settings: rocket::figment::Figment, client: &Client) -> rocket::Rocket<rocket::Build> {
    rocket::custom(settings)
        .attach(Sessions(SessionLayer::new(client).refreshing()))
        .manage(client.clone())
        .mount("/", rocket::routes![orders, sign_out])
}

#[rocket::launch]
fn launch() -> _ {
    app(rocket::Config::figment(), &Client::from_env().unwrap())
}

#[cfg(test)]
mod test;
