//! The body of a response that a layer lets through or makes itself.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response of a [`SessionService`](crate::SessionService),
    /// [`RequireService`](crate::RequireService) or [`PagesService`](crate::PagesService): the
    /// application's, or the text of a refusal.
    ///
    /// So the layers fit around any service, whatever its body is.
    pub struct GuardedBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<R> {
        Application { #[pin] body: R },
        Text { text: Cow<'static, str> },
    }
}

impl<R> GuardedBody<R> {
    pub(crate) fn new(body: R) -> Self {
        Self {
            kind: Kind::Application { body },
        }
    }

    pub(crate) fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind: Kind::Text { text: text.into() },
        }
    }
}

impl<R> fmt::Debug for GuardedBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedBody").finish_non_exhaustive()
    }
}

/// What services that make a response of their own need, as those of timeouts do.
impl<R: Default> Default for GuardedBody<R> {
    fn default() -> Self {
        Self::new(R::default())
    }
}

impl<R> Body for GuardedBody<R>
where
    R: Body,
    R::Data: From<Vec<u8>>,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Application { body } => body.poll_frame(cx),
            KindProjection::Text { text } => {
                let text = std::mem::take(text).into_owned().into_bytes();
                Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(text.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Application { body } => body.is_end_stream(),
            Kind::Text { text } => text.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Application { body } => body.size_hint(),
            Kind::Text { text } => {
                SizeHint::with_exact(u64::try_from(text.len()).unwrap_or(u64::MAX))
            }
        }
    }
}
