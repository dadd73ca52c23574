#![doc = include_str!("guide.md")]

#[doc = include_str!("sending.md")]
pub mod sending {}

#[doc = include_str!("sessions.md")]
pub mod sessions {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("configuration.md")]
pub mod configuration {}

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}

#[doc = include_str!("questions.md")]
pub mod questions {}
