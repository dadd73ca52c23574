//! Processes that share a store, against an emulator that ends the sign-in of a superseded token.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use descope_magiclink_emulator::{Emulator, Fault, User};
use serde_json::json;

use crate::support::{KEY, Process, Server, SlowWay, free_port, results};

struct Fleet {
    emulator: Emulator,
    server: Server,
}

impl Fleet {
    async fn start() -> Self {
        Self::with(Server::start().await).await
    }

    async fn with(server: Server) -> Self {
        let emulator = Emulator::builder()
            .rotate_refresh_tokens(true)
            .user(User::new("joe@example.com"))
            .start();
        Self {
            emulator: emulator.await.unwrap(),
            server,
        }
    }

    async fn process(&self, store: Option<&str>) -> Process {
        self.process_with(store, &[]).await
    }

    async fn process_with(&self, store: Option<&str>, variables: &[(&str, &str)]) -> Process {
        let (base_url, project_id) = (self.emulator.base_url(), self.emulator.project_id());
        Process::start(base_url, project_id, store, variables).await
    }

    async fn processes(&self, url: &str) -> [Process; 3] {
        [
            self.process(Some(url)).await,
            self.process(Some(url)).await,
            self.process(Some(url)).await,
        ]
    }

    fn refresh_token(&self) -> String {
        let tokens = self.emulator.tokens("joe@example.com").issue().unwrap();
        tokens.refresh_jwt().to_owned()
    }

    /// All processes refresh one token at once. Gives how many requests failed, and the tokens they got.
    async fn storm(&self, processes: &mut [Process], token: &str) -> (usize, Vec<String>) {
        let count = processes.len();
        for (index, process) in processes.iter_mut().enumerate() {
            // 20 in all.
            let command = json!({ "refresh": token, "times": (20 + index) / count });
            process.send(&command).await;
        }
        let (mut failed, mut tokens) = (0, Vec::new());
        for process in processes {
            for result in results(&process.response().await) {
                match result {
                    Ok(token) => tokens.push(token),
                    Err(_) => failed += 1,
                }
            }
        }
        tokens.sort();
        tokens.dedup();
        (failed, tokens)
    }

    fn refreshes(&self) -> usize {
        self.emulator.requests().count("RefreshSession")
    }

    /// Whether the processes meet in the store now.
    async fn meet(&self, processes: &mut [Process]) -> bool {
        let before = self.refreshes();
        let (failed, tokens) = self.storm(processes, &self.refresh_token()).await;
        failed == 0 && tokens.len() == 1 && self.refreshes() == before + 1
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_storm_over_three_processes_is_one_refresh_and_signs_nobody_out() {
    let fleet = Fleet::start().await;
    let mut processes = fleet.processes(&fleet.server.url()).await;
    let (mut refused, mut late) = (0, 0);
    for storm in 1..=30 {
        let first = fleet.refresh_token();
        let (failed, tokens) = fleet.storm(&mut processes, &first).await;
        refused += failed;
        assert_eq!(tokens.len(), 1);
        assert_eq!(fleet.refreshes(), 2 * storm - 1);
        // Those who come late with the old token get the same, and the new token is good.
        let (failed, again) = fleet.storm(&mut processes, &first).await;
        late += failed;
        assert_eq!(again, tokens);
        let new = processes[0].refresh(&tokens[0], 1).await.pop();
        new.unwrap().unwrap();
    }
    println!("{refused} of 600 refused, and {late} of 600 who came late");
    assert_eq!((refused, late), (0, 0));
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn without_a_store_the_same_storm_signs_users_out() {
    let fleet = Fleet::start().await;
    let mut processes = [fleet.process(None).await, fleet.process(None).await];
    let mut refused = 0;
    for _ in 0..10 {
        refused += fleet.storm(&mut processes, &fleet.refresh_token()).await.0;
    }
    println!("{refused} of 200 refused");
    assert!(refused > 0);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_process_killed_in_mid_refresh_loses_that_sign_in_and_no_other() {
    let fleet = Fleet::start().await;
    let [mut leader, mut second, mut third] = fleet.processes(&fleet.server.url()).await;
    let (lost, other) = (fleet.refresh_token(), fleet.refresh_token());
    // The service has replaced the token, and its response is on its way.
    let held = fleet
        .emulator
        .faults()
        .add(Fault::on("RefreshSession").hold().after_handling().times(1));
    let held = held.unwrap();
    leader.send(&json!({ "refresh": lost, "times": 3 })).await;
    fleet.emulator.faults().reached(held, 1).await;
    leader.child.kill().await.unwrap();
    fleet.emulator.faults().clear();

    second.send(&json!({ "refresh": lost, "times": 3 })).await;
    // Others are served meanwhile.
    third
        .refresh(&other, 5)
        .await
        .into_iter()
        .for_each(|result| {
            result.unwrap();
        });
    // Their own time may run out first; then the session is over, and its token was not presented again.
    let mut response = results(&second.response().await);
    loop {
        let all_know = response.iter().all(|result| {
            let error = result.as_ref().unwrap_err();
            assert!(
                error.contains("timed out") || error.contains("session has ended"),
                "{error}"
            );
            error.contains("session has ended")
        });
        if all_know {
            break;
        }
        response = third.refresh(&lost, 2).await;
    }
    assert_eq!(fleet.refreshes(), 2);
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_server_that_stops_costs_nobody_anything_and_is_found_again() {
    let mut fleet = Fleet::start().await;
    let mut processes = fleet.processes(&fleet.server.url()).await;
    assert!(fleet.meet(&mut processes).await);
    fleet.server.stop().await;
    for process in &mut processes {
        let token = fleet.refresh_token();
        for result in process.refresh(&token, 5).await {
            result.unwrap();
        }
    }
    fleet.server.restart().await;
    while !fleet.meet(&mut processes).await {}
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_slow_server_costs_nobody_anything_and_is_used_again() {
    let fleet = Fleet::start().await;
    let way = SlowWay::to(fleet.server.port).await;
    let url = format!("redis://127.0.0.1:{}/", way.port);
    let mut processes = fleet.processes(&url).await;
    while !fleet.meet(&mut processes).await {}
    way.millis.store(400, Ordering::SeqCst);
    for process in &mut processes {
        let token = fleet.refresh_token();
        for result in process.refresh(&token, 5).await {
            result.unwrap();
        }
    }
    way.millis.store(0, Ordering::SeqCst);
    while !fleet.meet(&mut processes).await {}
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_full_server_costs_nobody_anything() {
    let fleet = Fleet::start().await;
    let mut processes = fleet.processes(&fleet.server.url()).await;
    fleet
        .server
        .query(&["CONFIG", "SET", "maxmemory", "1"])
        .await;
    for process in &mut processes {
        let token = fleet.refresh_token();
        for result in process.refresh(&token, 5).await {
            result.unwrap();
        }
    }
    fleet
        .server
        .query(&["CONFIG", "SET", "maxmemory", "0"])
        .await;
    while !fleet.meet(&mut processes).await {}
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn garbage_in_the_place_of_an_outcome_is_passed_over() {
    let server = Server::start().await;
    let emulator = Emulator::builder().user(User::new("joe@example.com"));
    let emulator = emulator.start().await.unwrap();
    let fleet = Fleet { emulator, server };
    let [mut one, mut other, _] = fleet.processes(&fleet.server.url()).await;
    let token = fleet.refresh_token();
    one.refresh(&token, 1).await.pop().unwrap().unwrap();
    let names = fleet.server.names().await;
    let names: Vec<_> = names.iter().filter(|name| name.contains(":v:")).collect();
    assert_eq!(names.len(), 1);
    fleet.server.query(&["SET", names[0], "garbage"]).await;
    other.refresh(&token, 1).await.pop().unwrap().unwrap();
    assert_eq!(fleet.refreshes(), 2);
}

/// Waits until there is an event, and then some more; gives all of them.
#[cfg(feature = "tracing")]
async fn events(fleet: &Fleet, process: &mut Process, is_busy: bool) -> Vec<String> {
    let mut events = Vec::new();
    let mut more = 10;
    while more > 0 {
        // By itself a process looks every 500 ms what others have ended.
        tokio::time::sleep(Duration::from_millis(100)).await;
        if is_busy {
            let token = fleet.refresh_token();
            process.refresh(&token, 2).await.pop().unwrap().unwrap();
        }
        events.append(&mut process.events().await);
        if !events.is_empty() {
            more -= 1;
        }
    }
    events
}

#[cfg(feature = "tracing")]
#[tokio::test]
#[ignore = "needs redis-server"]
async fn each_change_of_the_server_is_told_in_one_event() {
    let mut fleet = Fleet::start().await;
    let way = SlowWay::to(fleet.server.port).await;
    let url = format!("redis://127.0.0.1:{}/", way.port);
    // More than a busy machine takes.
    let patient = [(crate::support::TIMEOUT, "5")];
    let mut process = fleet.process_with(Some(&url), &patient).await;
    let worse = |events: &[String]| {
        let [event] = events else {
            panic!("{events:?}");
        };
        assert!(
            event.starts_with("WARN the store is unavailable"),
            "{event}"
        );
    };
    let again = |events: &[String]| assert_eq!(events, ["INFO the store is available again"]);
    fleet.meet(std::array::from_mut(&mut process)).await;
    process.events().await;

    fleet.server.stop().await;
    worse(&events(&fleet, &mut process, true).await);
    fleet.server.restart().await;
    again(&events(&fleet, &mut process, true).await);

    way.millis.store(10_000, Ordering::SeqCst);
    worse(&events(&fleet, &mut process, false).await);
    way.millis.store(0, Ordering::SeqCst);
    again(&events(&fleet, &mut process, false).await);

    // One that is full can be read all the time.
    let memory = async |limit| {
        fleet
            .server
            .query(&["CONFIG", "SET", "maxmemory", limit])
            .await
    };
    memory("1").await;
    worse(&events(&fleet, &mut process, true).await);
    memory("0").await;
    again(&events(&fleet, &mut process, true).await);

    let mut other = fleet.process_with(Some(&url), &patient).await;
    for _ in 0..5 {
        let token = fleet.refresh_token();
        process.refresh(&token, 1).await.pop().unwrap().unwrap();
        for name in fleet.server.names().await {
            fleet.server.query(&["SET", &name, "garbage"]).await;
        }
        // It presents what was replaced, as it would without a store.
        let _ = other.refresh(&token, 1).await;
    }
    let told = other.events().await;
    let [event] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(event.starts_with("WARN the store holds values"), "{event}");
    assert!(process.events().await.is_empty());
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn processes_meet_over_tls_where_they_trust_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("server.pem", certificate.pem());
    let key = file("server.key", key.serialize_pem());
    let port = free_port().await.to_string();
    let tls = [
        ["--tls-port", &port],
        ["--tls-cert-file", &certificate],
        ["--tls-key-file", &key],
        ["--tls-ca-cert-file", &certificate],
        ["--tls-auth-clients", "no"],
    ];
    let fleet = Fleet::with(Server::start_with(folder, tls.as_flattened()).await).await;
    let url = format!("rediss://localhost:{port}/");
    let trusting = [("SSL_CERT_FILE", certificate.as_str())];
    let mut processes = [
        fleet.process_with(Some(&url), &trusting).await,
        fleet.process_with(Some(&url), &trusting).await,
    ];
    while !fleet.meet(&mut processes).await {}
    // One that does not trust it works on its own.
    let mut alone = fleet.process(Some(&url)).await;
    let token = fleet.refresh_token();
    for result in alone.refresh(&token, 5).await {
        result.unwrap();
    }
}

#[cfg(feature = "cluster")]
#[tokio::test]
#[ignore = "needs redis-server"]
async fn processes_meet_in_a_cluster_and_a_node_that_is_gone_costs_nobody_anything() {
    let node = || async {
        let folder = tempfile::tempdir().unwrap();
        Server::start_with(folder, &["--cluster-enabled", "yes"]).await
    };
    let fleet = Fleet::with(node().await).await;
    let mut others = [node().await, node().await];
    let slots = [["0", "5460"], ["5461", "10922"], ["10923", "16383"]];
    let nodes = [&fleet.server, &others[0], &others[1]];
    for (node, [first, last]) in nodes.into_iter().zip(slots) {
        let added = node.query(&["CLUSTER", "ADDSLOTSRANGE", first, last]).await;
        assert_eq!(added, "+OK");
        let port = node.port.to_string();
        fleet
            .server
            .query(&["CLUSTER", "MEET", "127.0.0.1", &port])
            .await;
    }
    for node in nodes {
        while !node
            .query(&["CLUSTER", "INFO"])
            .await
            .contains("cluster_state:ok")
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let cluster = [(crate::support::CLUSTER, "yes")];
    let url = fleet.server.url();
    let mut processes = [
        fleet.process_with(Some(&url), &cluster).await,
        fleet.process_with(Some(&url), &cluster).await,
    ];
    // Until names lie on all nodes, which one a name lies on being a matter of its hash.
    let (mut in_a_row, mut empty) = (0, nodes.len());
    while in_a_row < 10 || empty > 0 {
        let meet = fleet.meet(&mut processes).await;
        in_a_row = if meet { in_a_row + 1 } else { 0 };
        empty = 0;
        for node in nodes {
            empty += usize::from(node.names().await.is_empty());
        }
    }
    let [mut one, mut other] = processes;
    let session = fleet.emulator.tokens("joe@example.com").issue().unwrap();
    let session = |end: bool| json!({ "session": session.session_jwt(), "end": end });
    one.request(&session(true)).await;
    while other.request(&session(false)).await == json!(true) {}
    others[1].stop().await;
    for process in [&mut one, &mut other] {
        for _ in 0..5 {
            let token = fleet.refresh_token();
            for result in process.refresh(&token, 2).await {
                result.unwrap();
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn a_session_that_ends_in_one_process_ends_in_all() {
    let fleet = Fleet::start().await;
    let [mut one, mut other, _] = fleet.processes(&fleet.server.url()).await;
    let tokens = fleet.emulator.tokens("joe@example.com").issue().unwrap();
    let kept = fleet
        .emulator
        .tokens("joe@example.com")
        .claim("n", 1)
        .issue()
        .unwrap();
    let session = |end: bool| json!({ "session": tokens.session_jwt(), "end": end });
    assert_eq!(other.request(&session(false)).await, json!(true));
    assert_eq!(one.request(&session(true)).await, json!(false));
    while other.request(&session(false)).await == json!(true) {}
    // One that starts later hears of it as well.
    let mut late = fleet.process(Some(&fleet.server.url())).await;
    while late.request(&session(false)).await == json!(true) {}
    let kept = json!({ "session": kept.session_jwt() });
    assert_eq!(late.request(&kept).await, json!(true));
    assert_eq!(other.request(&kept).await, json!(true));
}

/// Not a test: prints what the store costs, in one run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; needs redis-server"]
async fn what_the_store_costs() {
    use descope_magiclink::{Client, RefreshToken, SessionToken};
    use descope_magiclink_redis::RedisStore;
    use std::sync::Arc;

    let fleet = Fleet::start().await;
    let builder =
        || Client::builder(fleet.emulator.project_id()).base_url(fleet.emulator.base_url());
    let store = Arc::new(RedisStore::new(fleet.server.url(), KEY).unwrap());
    let clients = [
        ("without", builder().build().unwrap()),
        ("with", builder().store(store).build().unwrap()),
    ];
    let print = |what: &str, mut times: Vec<Duration>| {
        times.sort();
        let at = |per_cent: usize| times[(times.len() - 1) * per_cent / 100];
        println!("{what}: p50 {:?}, p99 {:?}", at(50), at(99));
    };
    let session = fleet.emulator.tokens("joe@example.com").issue().unwrap();
    let session = SessionToken::new(session.session_jwt());
    let ended = fleet
        .emulator
        .tokens("joe@example.com")
        .claim("n", 1)
        .issue()
        .unwrap();
    for (name, client) in &clients {
        let ended = SessionToken::new(ended.session_jwt());
        client.sessions().validate(&ended).await.unwrap();
        client.sessions().end(&ended).await;
        client.sessions().validate(&session).await.unwrap();
        let mut times = Vec::new();
        for _ in 0..20_000 {
            let start = Instant::now();
            client.sessions().validate(&session).await.unwrap();
            times.push(start.elapsed());
        }
        print(&format!("a valid request, {name} a store"), times);
    }
    for (name, client) in &clients {
        let mut times = Vec::new();
        let mut token = RefreshToken::new(fleet.refresh_token());
        for _ in 0..1000 {
            let start = Instant::now();
            let new = client.sessions().refresh(&token).await.unwrap();
            times.push(start.elapsed());
            token = new.tokens.refresh.unwrap();
        }
        print(&format!("a request that refreshes, {name} a store"), times);
    }
}
