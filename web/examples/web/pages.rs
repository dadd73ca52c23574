//! What the pages look like.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use descope_magiclink_web::{LandingView, SendError, escape_html};

/// What is wrong with a form: the field, and what to do about it.
pub(crate) type Problem = (&'static str, &'static str);

/// The response to a form that sends a link: where the address is none, the form once more.
pub(crate) fn or_form(
    sent: Result<Response<String>, SendError>,
    form: impl FnOnce(Problem) -> Html<String>,
) -> Result<Response, SendError> {
    match sent {
        Err(SendError::InvalidAddress(argument)) => {
            let problem = match argument.name() {
                name if name.contains("phone") => (
                    "phone",
                    "This is no phone number. Write it as +15555555555.",
                ),
                _ => (
                    "email",
                    "This is no email address. Write it as joe@example.com.",
                ),
            };
            Ok((StatusCode::BAD_REQUEST, form(problem)).into_response())
        }
        sent => sent.map(IntoResponse::into_response),
    }
}

/// A page with a form, or other values, in it. A place `{name}` is for a value, `{name!}` for what is wrong
/// with it.
pub(crate) fn form(
    title: &str,
    html: &str,
    values: &[(&str, &str)],
    problem: Option<Problem>,
) -> Html<String> {
    let escaped: Vec<_> = values
        .iter()
        .map(|(name, value)| (*name, escape_html(value)))
        .collect();
    let wrong = problem.map(|(field, text)| {
        let attributes = format!("aria-invalid=\"true\" aria-describedby=\"{field}-problem\"");
        let text = format!("<span class=\"problem\" id=\"{field}-problem\">{text}</span>");
        [
            (format!("{field}!"), text),
            (format!("{field}?"), attributes),
        ]
    });
    let mut all: Vec<(&str, &str)> = escaped.iter().map(|(n, v)| (*n, v.as_str())).collect();
    all.extend(
        wrong
            .iter()
            .flatten()
            .map(|(n, v)| (n.as_str(), v.as_str())),
    );
    page(title, &fill(html, &all))
}

/// The radio button that is chosen.
pub(crate) fn choice(method: &str) -> (&'static str, &'static str) {
    match method {
        "sms" => ("sms", "checked"),
        "whatsapp" => ("whatsapp", "checked"),
        _ => ("mail", "checked"),
    }
}

/// The landing page, and pages of what is refused, with the application's looks.
pub(crate) fn from_view(view: &LandingView<'_>) -> String {
    let mut body = format!("<p>{}</p>", escape_html(view.text()));
    body += &view.form().unwrap_or_default();
    body += &view.countdown().unwrap_or_default();
    if let Some((path, text)) = view.new_link().or(view.continue_link()) {
        let (path, text) = (escape_html(path), escape_html(text));
        body += &format!("<p><a href=\"{path}\">{text}</a></p>");
    }
    document(view.language(), view.title(), &body)
}

pub(crate) fn page(title: &str, body: &str) -> Html<String> {
    Html(document("en", title, body))
}

fn document(language: &str, title: &str, body: &str) -> String {
    fill(
        include_str!("page.html"),
        &[
            ("language", &escape_html(language)),
            ("title", &escape_html(title)),
            ("body", body),
        ],
    )
}

/// Puts values in the places of their names in braces, and nothing where there is no value. What a value
/// contains is left as it is.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled += before;
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let value = values.iter().find(|(known, _)| *known == name);
        filled += value.map_or("", |(_, value)| value);
        rest = tail;
    }
    filled + rest
}

pub(crate) async fn style() -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "text/css")],
        include_str!("app.css"),
    )
}
