//! What each call does to the server.

use std::time::Duration;

use descope_magiclink::Store as _;
use descope_magiclink_redis::RedisStore;

use crate::support::{KEY, OTHER_KEY, Server};

const MINUTE: Duration = Duration::from_secs(60);

fn store(server: &Server) -> RedisStore {
    let store = RedisStore::builder(server.url(), KEY).timeout(Duration::from_secs(60));
    store.build().unwrap()
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_lease_has_one_holder_until_it_is_given_back_or_ends() {
    let server = Server::start().await;
    let store = store(&server);
    let key = [1; 32];
    assert_eq!(store.get(key).await.unwrap(), None);
    assert!(store.insert(key, b"a".to_vec(), MINUTE).await.unwrap());
    assert!(!store.insert(key, b"b".to_vec(), MINUTE).await.unwrap());
    let (value, left) = store.get(key).await.unwrap().unwrap();
    assert!(value == b"a" && left <= MINUTE && !left.is_zero());
    store.set(key, Vec::new(), Duration::ZERO).await.unwrap();
    let brief = Duration::from_millis(1);
    assert!(store.insert(key, b"b".to_vec(), brief).await.unwrap());
    while store.get(key).await.unwrap().is_some() {}
    assert!(store.insert(key, b"c".to_vec(), MINUTE).await.unwrap());
    store.set(key, b"d".to_vec(), Duration::MAX).await.unwrap();
    assert_eq!(store.get(key).await.unwrap().unwrap().0, b"d");
    // Of all that, the server knows hashes and sealed values.
    let names = server.names().await;
    assert!(
        names.len() == 1 && names[0].starts_with("descope:v:"),
        "{names:?}"
    );
    assert!(server.query(&["PTTL", &names[0]]).await.starts_with(":3"));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn counters_end_and_lists_are_read_once() {
    let server = Server::start().await;
    let store = store(&server);
    let key = [1; 32];
    assert_eq!(store.count(key, 0, MINUTE).await.unwrap(), 0);
    assert!(server.names().await.is_empty());
    assert_eq!(store.count(key, 2, MINUTE).await.unwrap(), 2);
    assert_eq!(store.count(key, 3, 9 * MINUTE).await.unwrap(), 5);
    assert_eq!(store.count(key, 0, MINUTE).await.unwrap(), 5);
    let left = server.query(&["PTTL", &server.names().await[0]]).await;
    assert!(left.trim_start_matches(':').parse::<u64>().unwrap() <= 60_000);

    let brief = Duration::from_millis(1);
    store.count([2; 32], 1, brief).await.unwrap();
    while store.count([2; 32], 0, brief).await.unwrap() > 0 {}

    for entry in 0..20 {
        store.append(key, vec![entry], MINUTE).await.unwrap();
    }
    let (entries, mark) = store.since(key, 0).await.unwrap();
    assert!(entries.into_iter().eq((0..20).map(|entry| vec![entry])));
    assert_eq!(store.since(key, mark).await.unwrap(), (Vec::new(), mark));
    store.append(key, vec![20], MINUTE).await.unwrap();
    assert_eq!(store.since(key, mark).await.unwrap().0, [[20]]);
    for name in server.names().await {
        assert_ne!(server.query(&["PTTL", &name]).await, ":-1", "{name}");
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn what_the_crate_has_not_put_there_is_as_if_it_were_not() {
    let server = Server::start().await;
    let (store, key) = (store(&server), [1; 32]);
    let foreign = RedisStore::builder(server.url(), OTHER_KEY)
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let set_up = || async {
        server.query(&["FLUSHALL"]).await;
        store.set(key, b"a".to_vec(), MINUTE).await.unwrap();
        store.count(key, 1, MINUTE).await.unwrap();
        store.append(key, b"a".to_vec(), MINUTE).await.unwrap();
        server.names().await
    };
    let garbage: [&[&str]; 4] = [
        &["SET", "", "garbage"],
        &["SET", "", ""],
        &["LPUSH", "", "garbage"],
        &["XADD", "", "*", "v", "garbage"],
    ];
    for command in garbage {
        for name in set_up().await {
            server.query(&["DEL", &name]).await;
            let mut command = command.to_vec();
            command[1] = &name;
            server.query(&command).await;
        }
        assert_eq!(store.get(key).await.unwrap(), None, "{command:?}");
        assert!(
            store.insert(key, b"b".to_vec(), MINUTE).await.unwrap(),
            "{command:?}"
        );
        assert!(!store.insert(key, b"c".to_vec(), MINUTE).await.unwrap());
        assert_eq!(store.since(key, 0).await.unwrap().0.len(), 0, "{command:?}");
        store.append(key, b"b".to_vec(), MINUTE).await.unwrap();
        assert_eq!(store.since(key, 0).await.unwrap().0, [b"b"], "{command:?}");
        assert_eq!(store.count(key, 1, MINUTE).await.unwrap(), 1, "{command:?}");
    }
    // Sealed by another key.
    set_up().await;
    assert_eq!(foreign.get(key).await.unwrap(), None);
    assert!(foreign.since(key, 0).await.unwrap().0.is_empty());
    assert!(foreign.insert(key, b"b".to_vec(), MINUTE).await.unwrap());
    assert_eq!(store.get(key).await.unwrap(), None);
}
