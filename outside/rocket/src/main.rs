//! Rocket: `/orders` is for those who are signed in.

use descope_magiclink::{Client, Session};
use descope_magiclink_web::{Rejection, SessionLayer};
use rocket::http::{Cookie, Header, Status};
use rocket::request::{FromRequest, Outcome, Request};

struct SignedIn(Session);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for SignedIn {
    type Error = Rejection;
    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Rejection> {
        let layer: &SessionLayer = request.rocket().state().unwrap();
        let headers = request.headers().iter();
        let headers = headers.map(|one| (one.name.into_string(), one.value.into_owned()));
        let found = layer.check(headers).await;
        for line in found.cookies.iter().filter_map(|line| line.to_str().ok()) {
            request
                .cookies()
                .add(Cookie::parse(line.to_owned()).unwrap());
        }
        match found.session {
            Ok(session) => Outcome::Success(Self(session)),
            Err(why) => Outcome::Error((Status::new(why.status().as_u16()), why)),
        }
    }
}

#[derive(rocket::Responder)]
struct Page(String, Header<'static>);

#[rocket::get("/orders")]
fn orders(user: SignedIn) -> Page {
    let text = format!("the orders of {}", user.0.user_id());
    Page(text, Header::new("cache-control", "no-store"))
}

#[rocket::launch]
fn launch() -> _ {
    let layer = SessionLayer::new(&Client::from_env().unwrap()).refreshing();
    rocket::build()
        .manage(layer)
        .mount("/", rocket::routes![orders])
}

#[cfg(test)]
mod test;
