//! What a client does when the network, the service or its own process fails, over real sockets.

mod chaos;
#[cfg(feature = "http2")]
mod http2;
mod pool;
mod server;
mod siege;
mod table;
#[cfg(any(feature = "rustls", feature = "native-tls"))]
mod tls;
mod waits;
