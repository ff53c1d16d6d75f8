//! The supervisor is killed at any moment, again and again, while releases and traffic change.

use super::world::{World, key, pause, until};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use towpath_provider::{
    Mover, Platform, ProviderError, ProviderErrorKind as Kind, ReleaseSpec, RouteChange, TrafficRouter,
};

/// What has been killed, and how often.
struct Killer {
    ends: Arc<AtomicBool>,
    kills: Arc<AtomicU32>,
    killing: tokio::task::JoinHandle<()>,
}

/// SplitMix64 by Steele, Lea and Flood: the moments are the same in every run of the test.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn pid(folder: &Path) -> Option<i32> {
    let seat = std::fs::read(folder.join("supervisor.json")).ok()?;
    let seat: serde_json::Value = serde_json::from_slice(&seat).ok()?;
    i32::try_from(seat["process"]["pid"].as_i64()?).ok()
}

impl Killer {
    fn of(folder: &Path) -> Self {
        let (ends, kills) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (folder, ended, counted) = (folder.to_owned(), Arc::clone(&ends), Arc::clone(&kills));
        let killing = tokio::spawn(async move {
            let (mut state, mut last) = (7, None);
            while !ended.load(Ordering::Relaxed) {
                // Often enough within a call, and seldom enough for some of them to end.
                pause(Duration::from_micros(next(&mut state) % 400_000)).await;
                let found = pid(&folder).filter(|pid| Some(*pid) != last);
                if let Some(pid) = found.and_then(rustix::process::Pid::from_raw) {
                    last = Some(pid.as_raw_nonzero().get());
                    let killed = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                    counted.fetch_add(u32::from(killed.is_ok()), Ordering::Relaxed);
                }
            }
        });
        Killer { ends, kills, killing }
    }

    async fn end(self) -> u32 {
        self.ends.store(true, Ordering::Relaxed);
        self.killing.await.unwrap();
        self.kills.load(Ordering::Relaxed)
    }
}

/// Repeats a call with its key, as a step does, until it is known to have taken effect.
async fn repeated<T, F: Future<Output = Result<T, ProviderError>>>(mut call: impl FnMut() -> F) -> (T, u32) {
    for again in 0..200 {
        match call().await {
            Ok(answer) => return (answer, again),
            Err(error) if matches!(error.kind(), Kind::OutcomeUnknown | Kind::Unavailable) => {
                pause(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("a repetition was refused: {error:?}"),
        }
    }
    panic!("200 repetitions were in vain")
}

/// All processes that run an image of this folder, also one that was removed since.
fn processes(folder: &Path) -> BTreeSet<u32> {
    let within = folder.join("images");
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let runs =
        |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&within));
    numbers.filter(runs).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_of_the_supervisor_loses_or_doubles_anything() {
    let world = World::new();
    let spec = |version: &str, instances| ReleaseSpec { instances, ..world.spec("orders", version, "one") };
    world.deploy(&spec("1", 2)).await;
    world.all_to("orders", "1").await;
    let killer = Killer::of(world.folder.path());
    let local = &world.local;
    let (mut n, mut repetitions) = (0u8, 0);
    for round in 2..=8u8 {
        let (old, new) = ((round - 1).to_string(), round.to_string());
        for instances in [1, 3, 2] {
            let (spec, key) = (spec(&new, instances), key(round));
            repetitions += repeated(|| local.deploy(&spec, &key)).await.1;
        }
        let is_ready = async || {
            let (releases, _) = repeated(|| local.releases("orders")).await;
            releases.iter().any(|release| release.version == new && release.is_ready())
        };
        until("the new release is ready", is_ready).await;
        for percent in [30, 100] {
            n += 1;
            let (seen, _) = repeated(|| local.routes("orders")).await;
            let seen = seen.unwrap();
            let stable = if percent == 100 { &new } else { &old };
            let change = RouteChange {
                stable: stable.clone(),
                ..RouteChange::split(&*old, &*new, percent, Some(seen.revision.clone()))
            };
            // An instance may be starting again at this moment; then the move is refused, and nothing has changed.
            let moved = loop {
                match local.set_routes("orders", &change, &key(n)).await {
                    Ok(moved) => break moved,
                    Err(error)
                        if matches!(
                            error.kind(),
                            Kind::OutcomeUnknown | Kind::Unavailable | Kind::Invalid
                        ) =>
                    {
                        repetitions += 1;
                        pause(Duration::from_millis(20)).await;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            };
            assert_eq!(moved.moved_by, Mover::Key(key(n)));
            assert_ne!(moved.revision, seen.revision);
            pause(Duration::from_millis(100)).await;
            let (now, _) = repeated(|| local.routes("orders")).await;
            assert_eq!(now.unwrap(), moved, "what was answered is what is there, whoever was killed since");
        }
        let (drain, key) = (Duration::from_millis(200), key(n));
        repetitions += repeated(|| local.remove("orders", &old, drain, &key)).await.1;
    }
    let kills = killer.end().await;
    // The last one that was killed may still be answering.
    repeated(|| local.releases("orders")).await;
    assert!(kills >= 10 && repetitions >= 3, "{kills} kills met {repetitions} calls: that is no test");
    world.ready("orders", "8").await;
    let releases = local.releases("orders").await.unwrap();
    assert_eq!(releases.len(), 1, "{releases:?}");
    let ids: BTreeMap<_, _> =
        releases[0].instances.iter().map(|i| (i.id.clone(), i.address.clone())).collect();
    assert_eq!(ids.len(), 2);
    let folder = world.folder.path().canonicalize().unwrap();
    until("exactly those instances run that should", || async { processes(&folder).len() == 2 }).await;
    let mut client = world.client("orders").await;
    assert_eq!(client.get("/").await.unwrap().text(), "8");
}
