//! The options that every message has.

use std::collections::BTreeMap;

use crate::body::Members;

/// How a message is made and where its link leads.
#[derive(Debug, Clone, Default)]
pub(super) struct Message {
    pub(super) redirect_url: Option<String>,
    pub(super) provider_id: Option<String>,
    pub(super) template_id: Option<String>,
    pub(super) template_options: Members<BTreeMap<String, String>>,
    pub(super) locale: Option<String>,
}

/// The setters for a request type with a field `message`.
macro_rules! message_options {
    ($($name:ident),+) => {$(
        impl $name {
            /// The page that the link opens, with the token in its query parameter `t`. Its domain
            /// must be approved in the project; without it the project's setting is used.
            pub fn redirect_url(mut self, url: impl Into<String>) -> Self {
                self.message.redirect_url = Some(url.into());
                self
            }

            /// The connector that delivers the message, by its id.
            pub fn provider_id(mut self, id: impl Into<String>) -> Self {
                self.message.provider_id = Some(id.into());
                self
            }

            /// The message's template, by its id.
            pub fn template_id(mut self, id: impl Into<String>) -> Self {
                self.message.template_id = Some(id.into());
                self
            }

            /// A value for a placeholder of the message's template.
            pub fn template_option(
                mut self,
                name: impl Into<String>,
                value: impl Into<String>,
            ) -> Self {
                self.message.template_options.insert(name.into(), value.into());
                self
            }

            /// The message's language, such as `en` or `pt-BR`.
            pub fn locale(mut self, locale: impl Into<String>) -> Self {
                self.message.locale = Some(locale.into());
                self
            }
        }
    )+};
}

pub(super) use message_options;
