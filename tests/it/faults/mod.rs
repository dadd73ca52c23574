//! What a client does when the network, the service or its own process fails, over real sockets.

mod pool;
