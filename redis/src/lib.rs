#![doc = include_str!("../README.md")]

mod sealing;
mod store;

pub use store::{RedisStore, RedisStoreBuilder};
