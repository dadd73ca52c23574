//! For tests of applications: what a user does with a link.

use std::future::poll_fn;

use http::header::{ACCEPT, CONTENT_TYPE, COOKIE, ORIGIN, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use tower_service::Service;
use url::form_urlencoded::Serializer;

use super::form;

/// Opens a link and presses the button of its [page](super::LandingPage), as a browser does: for tests,
/// so that none takes the page's HTML apart. Gives the response to the button; if the page has none, the
/// page.
///
/// `app` is the landing page, or an application with it. `address` is typed where the page asks for it.
/// `cookies` is the browser's `Cookie` header: those that the response to the request for the link has set,
/// or nothing in another browser.
///
/// ```
/// use descope_magiclink::{Client, DeliveryMethod};
/// use descope_magiclink_emulator::{Emulator, User};
/// use descope_magiclink_web::{LandingPage, press_button};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let joe = "joe@example.com";
/// let emulator = Emulator::builder().user(User::new(joe)).start().await?;
/// let client = Client::builder(emulator.project_id()).base_url(emulator.base_url()).build()?;
/// let page = "https://app.example.com/verify";
/// let landing = LandingPage::builder(&client, page).signed_in_page("/orders").build()?;
///
/// let link = client.magic_link().sign_in(DeliveryMethod::Email, joe).redirect_url(page);
/// link.send().await?;
/// let message = emulator.outbox().next_for(joe).await?;
/// let response = press_button(landing, message.link(), joe, "").await?;
/// assert_eq!(response.headers()["location"], "/orders");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// What the service fails with.
pub async fn press_button<S, R>(
    mut app: S,
    link: &str,
    address: &str,
    cookies: &str,
) -> Result<Response<String>, S::Error>
where
    S: Service<Request<String>, Response = Response<R>>,
    R: Body,
{
    let link: Uri = link.parse().unwrap_or_default();
    let origin = link.scheme_str().zip(link.authority());
    let origin = origin.map(|(scheme, host)| format!("{scheme}://{host}"));
    let path = link.path_and_query().map_or("/", |path| path.as_str());
    let mut cookies: Vec<String> = Some(cookies.to_owned())
        .into_iter()
        .filter(|cookies| !cookies.is_empty())
        .collect();
    let open = request(Method::GET, path, &cookies, String::new());
    let page = send(&mut app, open).await?;
    let Some((action, mut fields)) = form_of(page.body()) else {
        return Ok(page);
    };
    let set = page.headers().get_all(SET_COOKIE).iter();
    let pairs = set.filter_map(|line| line.to_str().ok()?.split(';').next());
    cookies.extend(pairs.map(str::to_owned));
    fields.push((form::ADDRESS.to_owned(), address.to_owned()));
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut press = request(Method::POST, &action, &cookies, body);
    let origin = origin.unwrap_or_default();
    for (name, value) in [
        (CONTENT_TYPE, "application/x-www-form-urlencoded"),
        (ORIGIN, &origin),
        (HeaderName::from_static("sec-fetch-site"), "same-origin"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            press.headers_mut().insert(name, value);
        }
    }
    send(&mut app, press).await
}

fn request(method: Method, path: &str, cookies: &[String], body: String) -> Request<String> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
    if let Ok(cookies) = HeaderValue::from_str(&cookies.join("; "))
        && !cookies.is_empty()
    {
        headers.insert(COOKIE, cookies);
    }
    request
}

async fn send<S, R>(app: &mut S, request: Request<String>) -> Result<Response<String>, S::Error>
where
    S: Service<Request<String>, Response = Response<R>>,
    R: Body,
{
    poll_fn(|cx| app.poll_ready(cx)).await?;
    let (head, body) = app.call(request).await?.into_parts();
    let body = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    Ok(Response::from_parts(head, body))
}

/// Where the form of a page goes, and its hidden fields: as [`LandingView::form`](super::LandingView::form)
/// writes them.
fn form_of(html: &str) -> Option<(String, Vec<(String, String)>)> {
    let (_, form) = html.split_once("<form method=\"post\" action=\"")?;
    let (form, _) = form.split_once("</form>")?;
    let (action, form) = form.split_once('"')?;
    let fields = form.split("<input type=\"hidden\" name=\"").skip(1);
    let fields = fields.filter_map(|field| {
        let (name, rest) = field.split_once("\" value=\"")?;
        let (value, _) = rest.split_once('"')?;
        Some((name.to_owned(), unescape(value)))
    });
    Some((unescape(action), fields.collect()))
}

fn unescape(text: &str) -> String {
    let text = text.replace("&quot;", "\"").replace("&#39;", "'");
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&amp;", "&")
}
