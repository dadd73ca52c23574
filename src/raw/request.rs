//! What each type of a request has beside its fields.

/// Completes a generated struct: a setter for each field, and `extra`, where what is not described has its
/// place.
macro_rules! request {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {$(
            $(#[doc = $doc:expr])*
            $(#[serde($($serde:tt)*)])?
            $(#[doc(alias = $alias:literal)])?
            $(#[deprecated = $why:literal])?
            pub $field:ident:
                $(Option<$one:ty $(,)?>)?
                $(Vec<$item:ty $(,)?>)?
                $(BTreeMap<String, $value:ty $(,)?>)?
                $(crate::transport::body::Members<$members:ty $(,)?>)?
        ),* $(,)?}
    ) => {
        $(#[$meta])*
        pub struct $name {
            $(
                $(#[doc = $doc])*
                $(#[serde($($serde)*)])?
                $(#[doc(alias = $alias)])?
                $(#[deprecated = $why])?
                pub $field:
                    $(Option<$one>)?
                    $(Vec<$item>)?
                    $(BTreeMap<String, $value>)?
                    $(crate::transport::body::Members<$members>)?,
            )*
            /// Members that the description does not have, sent as they stand here. One that is described later
            /// is sent all the same, and not what its field says.
            #[serde(flatten)]
            pub extra: crate::transport::body::Members,
        }

        impl $name {
            $(
                $(#[doc = $doc])*
                $(#[doc(alias = $alias)])?
                $(#[deprecated = $why])?
                #[must_use]
                $(pub fn $field(mut self, $field: impl Into<$one>) -> Self {
                    self.$field = Some($field.into());
                    self
                })?
                $(pub fn $field(mut self, $field: impl IntoIterator<Item = impl Into<$item>>) -> Self {
                    self.$field = $field.into_iter().map(Into::into).collect();
                    self
                })?
                $(pub fn $field(
                    mut self,
                    $field: impl IntoIterator<Item = (impl Into<String>, impl Into<$value>)>,
                ) -> Self {
                    let members = $field.into_iter();
                    self.$field = members.map(|(name, value)| (name.into(), value.into())).collect();
                    self
                })?
                $(pub fn $field(mut self, $field: impl Into<crate::transport::body::Members<$members>>) -> Self {
                    self.$field = $field.into();
                    self
                })?
            )*

            /// A member that the description does not have, beside those that are in [`extra`](field@Self::extra) already.
            #[must_use]
            pub fn member(
                mut self,
                name: impl Into<String>,
                value: impl Into<::serde_json::Value>,
            ) -> Self {
                self.extra.insert(name.into(), value.into());
                self
            }
        }
    };
}
