#![doc = include_str!("../README.md")]

mod garbage;
mod sealing;
mod store;

pub use store::{RedisStore, RedisStoreBuilder};
