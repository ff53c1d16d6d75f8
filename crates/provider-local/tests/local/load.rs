//! Not one request fails because of the machinery.

use super::{
    http::Client,
    world::{World, key, kill, pause, supervisor_pid},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use towpath_provider::{Platform, ReleaseSpec, RouteChange};

/// Clients that ask without a pause, over connections that they keep.
struct Load {
    ends: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn of(address: &str, clients: usize) -> Self {
        let (ends, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |n: usize| {
            let (mut client, ends, answered) =
                (Client::new(address), Arc::clone(&ends), Arc::clone(&answered));
            tokio::spawn(async move {
                let (mut failures, mut turn) = (Vec::new(), n);
                while !ends.load(Ordering::Relaxed) {
                    turn += 1;
                    let (method, path, body) = match turn % 4 {
                        0 => ("POST", "/echo", "a body that is sent once"),
                        1 => ("GET", "/slow/5", ""),
                        _ => ("GET", "/", ""),
                    };
                    match client.send(method, path, "", body.as_bytes()).await {
                        Ok(answer) if answer.status == 200 => {
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        wrong => failures.push(format!("{method} {path}: {wrong:?}")),
                    }
                }
                failures
            })
        };
        Load { clients: (0..clients).map(client).collect(), ends, answered }
    }

    async fn more(&self, requests: u64) {
        let from = self.answered.load(Ordering::Relaxed);
        while self.answered.load(Ordering::Relaxed) < from + requests {
            pause(Duration::from_millis(2)).await;
        }
    }

    /// Ends it, and gives how many requests were answered and what went wrong.
    async fn end(self) -> (u64, Vec<String>) {
        self.ends.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for client in self.clients {
            failures.extend(client.await.unwrap());
        }
        (self.answered.load(Ordering::Relaxed), failures)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_weights_move_and_releases_are_replaced() {
    let world = World::new();
    // Instances that close connections whenever they were silent for a moment, as servers do.
    let release = |version: &str| ReleaseSpec {
        env: BTreeMap::from([("IDLE_MS".to_owned(), "15".to_owned())]),
        instances: 2,
        ..world.spec("orders", version, "one")
    };
    world.deploy(&release("0")).await;
    world.all_to("orders", "0").await;
    let load = Load::of(&world.local.address("orders").await.unwrap().unwrap(), 12);
    let mut moves = 0;
    for n in 1..=10u8 {
        let (old, new) = ((n - 1).to_string(), n.to_string());
        world.deploy(&release(&new)).await;
        for percent in [5, 25, 50, 75] {
            world.route("orders", RouteChange::split(&old, &new, percent, None)).await;
            moves += 1;
            load.more(40).await;
        }
        world.all_to("orders", &new).await;
        moves += 1;
        world.local.remove("orders", &old, Duration::from_secs(10), &key(n)).await.unwrap();
    }
    let (answered, failures) = load.end().await;
    assert_eq!((moves, failures.len()), (50, 0), "of {answered} requests: {failures:#?}");
    assert!(answered > 2_000, "{answered}");
    assert_eq!(world.local.service("orders").await.unwrap().unwrap().proxy_failures, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_fails_what_is_under_way_and_nothing_after_it_is_back() {
    let world = World::new();
    world.serving("orders", "1").await;
    let address = world.local.address("orders").await.unwrap().unwrap();
    let load = Load::of(&address, 4);
    load.more(100).await;
    kill(supervisor_pid(world.folder.path())).await;
    world.local.releases("orders").await.unwrap();
    // A client that was refused asks again and again; what counts is that this ends.
    load.more(100).await;
    load.end().await;
    let load = Load::of(&address, 4);
    load.more(200).await;
    let (_, failures) = load.end().await;
    assert!(failures.is_empty(), "{failures:#?}");
}
