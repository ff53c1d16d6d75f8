//! What the proxy does with requests.

use super::{
    http::Client,
    world::{World, key, pause, until},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use towpath_provider::{Platform, ProviderErrorKind, ReleaseSpec, RouteChange};

fn with(spec: ReleaseSpec, variables: &[(&str, &str)]) -> ReleaseSpec {
    let env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ReleaseSpec { env: env.collect(), ..spec }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_percent_of_a_hundred_requests_are_ten() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    for percent in [10, 35, 1] {
        world.route("orders", RouteChange::split("1.0.0", "2.0.0", percent, None)).await;
        let mut canary = 0;
        for n in 0..100 {
            // Half of them over connections of their own: it is requests that are counted, not connections.
            let mut fresh = world.client("orders").await;
            let client = if n % 2 == 0 { &mut client } else { &mut fresh };
            canary += u8::from(client.get("/").await.unwrap().text() == "2.0.0");
        }
        assert_eq!(canary, percent);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_told_where_to_listen_and_nothing_of_the_engine() {
    let world = World::new();
    let spec = with(world.spec("orders", "1.0.0", "one"), &[("COLOUR", "blue")]);
    world.deploy(&spec).await;
    world.all_to("orders", "1.0.0").await;
    let mut client = world.client("orders").await;
    for (name, value) in [
        ("SERVICE", "orders"),
        ("VERSION", "1.0.0"),
        ("COLOUR", "blue"),
        ("HOST", "127.0.0.1"),
        ("TOWPATH_INSTANCE", "orders-1.0.0-1"),
        ("TOWPATH_LOCAL_SUPERVISE", ""),
        ("CARGO_MANIFEST_DIR", ""),
    ] {
        assert_eq!(client.get(&format!("/env/{name}")).await.unwrap().text(), value, "{name}");
    }
    let port = client.get("/env/PORT").await.unwrap().text();
    let shown = world.local.releases("orders").await.unwrap()[0].instances[0].address.clone();
    assert_eq!(shown, Some(format!("127.0.0.1:{port}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_both_ways_and_heads_are_made_right() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    let body: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let answer = client.send("POST", "/echo", "", &body).await.unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    assert!(answer.body == body);
    let answer =
        client.send("GET", "/head", "connection: keep-alive, x-mine\r\nx-mine: 1\r\n", b"").await.unwrap();
    let head = answer.text().to_ascii_lowercase();
    assert!(!head.contains("x-mine") && !head.contains("keep-alive"), "{head}");
    for line in
        ["host: shop.example", "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http", "via: 1.1 towpath"]
    {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(answer.head.contains("via: 1.1 towpath"), "{}", answer.head);
    // A chunk is there before the next one was sent.
    let address = world.local.address("orders").await.unwrap().unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await
        .unwrap();
    let mut got = String::new();
    let mut buffer = [0; 4096];
    while !got.contains("first") {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "{got}");
        got += &String::from_utf8_lossy(&buffer[..n]);
    }
    stream.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    while !got.ends_with("0\r\n\r\n") {
        let n = stream.read(&mut buffer).await.unwrap();
        assert!(n > 0, "{got}");
        got += &String::from_utf8_lossy(&buffer[..n]);
    }
    assert!(got.contains("second"), "{got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_instance_closes_is_not_the_clients_trouble() {
    let world = World::new();
    // It closes every connection after one request, and says nothing about it.
    world.deploy(&with(world.spec("orders", "1.0.0", "one"), &[("ONE", "1")])).await;
    world.all_to("orders", "1.0.0").await;
    let mut client = world.client("orders").await;
    for n in 0..50 {
        // What may be repeated meets used connections; what may not never does.
        let (method, body) = if n % 3 == 0 { ("POST", "x") } else { ("GET", "") };
        let answer = client.send(method, "/", "", body.as_bytes()).await.unwrap();
        assert_eq!(answer.status, 200, "{n}: {answer:?}");
    }
    let metrics = metrics(&world).await;
    let again = metrics.lines().find(|line| line.starts_with("towpath_proxy_sent_again_total{")).unwrap();
    assert!(!again.ends_with(" 0"), "it never had to: {again}");
    assert_eq!(world.local.service("orders").await.unwrap().unwrap().proxy_failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_answers_badly_is_blamed_and_the_proxy_is_not() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    let counts = || async {
        let metrics = metrics(&world).await;
        let value = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name)).map(ToOwned::to_owned);
            line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        };
        (value("towpath_requests_total{"), value("towpath_request_errors_total{"))
    };
    assert_eq!(client.get("/").await.unwrap().status, 200);
    assert_eq!(counts().await, (1, 0));
    assert_eq!(client.get("/fail").await.unwrap().status, 500);
    assert_eq!(counts().await, (2, 1));
    client.get("/cut").await.unwrap_err();
    until("half an answer is an error", || async { counts().await == (3, 2) }).await;
    assert_eq!(world.local.service("orders").await.unwrap().unwrap().proxy_failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_nobody_can_take_are_counted_apart() {
    let world = World::new();
    world.up("orders", "1.0.0").await;
    let answer = world.client("orders").await.get("/").await.unwrap();
    assert_eq!(answer.status, 503, "no traffic was ever sent anywhere");
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
    assert_eq!(world.local.service("orders").await.unwrap().unwrap().proxy_failures, 1);
    let metrics = metrics(&world).await;
    let line = "towpath_proxy_failures_total{service=\"orders\",reason=\"no_instance\"} 1";
    assert!(metrics.lines().any(|found| found == line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_drained_before_it_ends() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    let mut slow = Vec::new();
    for path in ["/slow/1500", "/slow-body/1500"] {
        let mut client = world.client("orders").await;
        slow.push(tokio::spawn(async move { client.get(path).await }));
    }
    pause(Duration::from_millis(300)).await;
    world.all_to("orders", "2.0.0").await;
    assert_eq!(client.get("/").await.unwrap().text(), "2.0.0", "a kept connection meets the new weights");
    let began = Instant::now();
    world.local.remove("orders", "1.0.0", Duration::from_secs(20), &key(2)).await.unwrap();
    let took = began.elapsed();
    for slow in slow {
        assert_eq!(slow.await.unwrap().unwrap().text(), "1.0.0", "what was under way is finished");
    }
    assert!(took < Duration::from_secs(10), "it ends when the last request has, and took {took:?}");
    // Who takes longer than he is given is cut off. What may be repeated would be, elsewhere.
    let mut late = world.client("orders").await;
    let late = tokio::spawn(async move { late.send("POST", "/slow/20000", "", b"").await });
    pause(Duration::from_millis(300)).await;
    world.up("orders", "3.0.0").await;
    world.all_to("orders", "3.0.0").await;
    world.local.remove("orders", "2.0.0", Duration::from_millis(200), &key(3)).await.unwrap();
    assert_eq!(late.await.unwrap().unwrap().status, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_with_traffic_is_not_removed() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    let refused = world.local.remove("orders", "1.0.0", Duration::ZERO, &key(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ProviderErrorKind::ConditionFailed);
    assert!(refused.to_string().contains("move the traffic first"), "{refused}");
    world.up("orders", "2.0.0").await;
    let hold = Duration::from_secs(60);
    let all = BTreeMap::from([("2.0.0".to_owned(), 100)]);
    let change = RouteChange { weights: all, ..RouteChange::all_to("1.0.0", None) };
    world.route("orders", change.held_for(hold)).await;
    let refused = world.local.remove("orders", "1.0.0", Duration::ZERO, &key(2)).await.unwrap_err();
    assert_eq!(refused.kind(), ProviderErrorKind::ConditionFailed, "the switch would lead there: {refused}");
    world.all_to("orders", "2.0.0").await;
    world.local.remove("orders", "1.0.0", Duration::ZERO, &key(2)).await.unwrap();
    assert_eq!(client.get("/").await.unwrap().text(), "2.0.0");
}

/// What is told to Prometheus.
pub(crate) async fn metrics(world: &World) -> String {
    let seat = std::fs::read(world.folder.path().join("supervisor.json")).unwrap();
    let seat: serde_json::Value = serde_json::from_slice(&seat).unwrap();
    let answer = Client::new(seat["admin"].as_str().unwrap()).get("/metrics").await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        answer.head
    );
    answer.text()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_may_open_more_files_than_its_instances() {
    let world = World::new();
    world.up("orders", "1.0.0").await;
    let limit = |pid: &str| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (words[3].clone(), words[4].clone())
    };
    let state = std::fs::read(world.folder.path().join("services/orders/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let instance = state["releases"]["1.0.0"]["instances"]["1"]["process"]["pid"].to_string();
    let supervisor = limit(&super::world::supervisor_pid(world.folder.path()).to_string());
    assert_eq!(supervisor.0, supervisor.1);
    assert_eq!(limit(&instance).0, limit("self").0, "an instance has what there was before");
}
