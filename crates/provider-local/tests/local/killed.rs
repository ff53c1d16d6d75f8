//! What happens when what is killed.

use super::world::{World, key, kill, local, pause, supervisor_pid, until};
use std::{collections::BTreeSet, process::Command, time::Duration};
use towpath_provider::{Health, Platform, ReleaseSpec, RouteChange, TrafficRouter};

/// Which processes run the program of a folder, by their numbers.
fn processes(world: &World) -> BTreeSet<u32> {
    let within = world.folder.path().join("images").canonicalize().unwrap();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let runs =
        |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&within));
    numbers.filter(runs).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_supervisor_is_started_again_and_takes_over_what_lives() {
    let world = World::new();
    let spec = ReleaseSpec { instances: 2, ..world.spec("orders", "1.0.0", "one") };
    world.deploy(&spec).await;
    world.up("orders", "2.0.0").await;
    world.all_to("orders", "1.0.0").await;
    world.route("orders", RouteChange::split("1.0.0", "2.0.0", 50, None)).await;
    let (routes, releases) =
        (world.local.routes("orders").await.unwrap(), world.local.releases("orders").await.unwrap());
    let (address, before) = (world.local.address("orders").await.unwrap(), processes(&world));
    assert_eq!(before.len(), 3);
    let first = supervisor_pid(world.folder.path());
    for round in 0..3 {
        kill(supervisor_pid(world.folder.path())).await;
        assert_eq!(processes(&world), before, "instances outlive their supervisor, round {round}");
        // The first call starts another one.
        assert_eq!(world.local.routes("orders").await.unwrap(), routes);
        assert_eq!(world.local.address("orders").await.unwrap(), address);
        let mut client = world.client("orders").await;
        let mut versions = BTreeSet::new();
        for _ in 0..4 {
            let answer = client.get("/").await.unwrap();
            assert_eq!(answer.status, 200, "traffic goes on at once: {answer:?}");
            versions.insert(answer.text());
        }
        assert_eq!(versions.len(), 2, "with the weights that were there");
        assert_eq!(processes(&world), before, "none is started beside those that live");
        let now = world.local.releases("orders").await.unwrap();
        let who = |all: &[towpath_provider::ReleaseState]| {
            let instances = all.iter().flat_map(|release| release.instances.clone());
            instances.map(|i| (i.id, i.address, i.restarts, i.health)).collect::<Vec<_>>()
        };
        assert_eq!(who(&now), who(&releases));
    }
    assert_ne!(supervisor_pid(world.folder.path()), first);
    // An instance that was taken over is watched like any other.
    let victim = *before.first().unwrap();
    kill(i32::try_from(victim).unwrap()).await;
    until("another instance runs in its place", || async {
        processes(&world).len() == 3 && !processes(&world).contains(&victim)
    })
    .await;
    world.ready("orders", "1.0.0").await;
    world.ready("orders", "2.0.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_ended_while_nobody_looked_is_started_again() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    let instance = *processes(&world).first().unwrap();
    kill(supervisor_pid(world.folder.path())).await;
    kill(i32::try_from(instance).unwrap()).await;
    client.get("/").await.unwrap_err();
    world.ready("orders", "1.0.0").await;
    assert_eq!(client.get("/").await.unwrap().text(), "1.0.0");
    assert_eq!(processes(&world).len(), 1);
    let restarts = world.local.releases("orders").await.unwrap()[0].instances[0].restarts;
    assert_eq!(restarts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_killed_is_stood_in_for_and_started_again() {
    let world = World::new();
    let spec = ReleaseSpec { instances: 2, ..world.spec("orders", "1.0.0", "one") };
    world.deploy(&spec).await;
    world.all_to("orders", "1.0.0").await;
    let mut client = world.client("orders").await;
    for victim in processes(&world) {
        kill(i32::try_from(victim).unwrap()).await;
        for _ in 0..20 {
            assert_eq!(client.get("/").await.unwrap().status, 200);
        }
        until("it runs again", || async { processes(&world).len() == 2 }).await;
        world.ready("orders", "1.0.0").await;
    }
    let state = world.local.service("orders").await.unwrap().unwrap();
    assert_eq!(state.proxy_failures, 0);
    assert_eq!(state.releases[0].instances.iter().map(|instance| instance.restarts).sum::<u32>(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_ordered_may_die_and_everything_goes_on() {
    let world = World::new();
    // A caller in a process of its own, which starts the supervisor and is killed with its whole group.
    world.up("warm", "1.0.0").await;
    world.local.stop(Duration::ZERO).await.unwrap();
    let mut caller = Command::new("/bin/sh");
    let script =
        format!("exec 7>lock; {} status . >/dev/null; echo ready; read never", super::world::PROGRAM);
    caller.args(["-c", &script]).current_dir(world.folder.path());
    caller.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut caller = std::os::unix::process::CommandExt::process_group(&mut caller, 0).spawn().unwrap();
    let mut line = String::new();
    let out = std::io::BufReader::new(caller.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut { out }, &mut line).unwrap();
    let supervisor = supervisor_pid(world.folder.path());
    let open = std::fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().flatten();
    let held = open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).filter(|to| to.ends_with("lock"));
    assert_eq!(held.count(), 0, "the supervisor holds nothing that its caller has opened");
    let group = rustix::process::Pid::from_raw(i32::try_from(caller.id()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    caller.wait().unwrap();
    pause(Duration::from_millis(200)).await;
    assert_eq!(supervisor_pid(world.folder.path()), supervisor);
    world.ready("warm", "1.0.0").await;
    assert_eq!(supervisor_pid(world.folder.path()), supervisor, "it is the same one");
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_that_start_the_supervisor_at_once_get_one() {
    let world = World::new();
    world.up("orders", "1.0.0").await;
    let before = processes(&world);
    for _ in 0..3 {
        kill(supervisor_pid(world.folder.path())).await;
        let callers = (0..8).map(|_| {
            let local = local(world.folder.path());
            tokio::spawn(async move { local.releases("orders").await.unwrap().len() })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), 1);
        }
        let name = format!("TOWPATH_LOCAL_SUPERVISE={}", world.folder.path().display());
        let supervisors = || {
            let all = std::fs::read_dir("/proc").unwrap().flatten();
            let is_one = |entry: &std::fs::DirEntry| {
                std::fs::read(entry.path().join("environ"))
                    .is_ok_and(|env| env.split(|byte| *byte == 0).any(|v| v == name.as_bytes()))
            };
            all.filter(is_one).count()
        };
        until("only one is left", || async { supervisors() == 1 }).await;
        assert_eq!(processes(&world), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_its_supervisor_did_not_live_to_end_is_ended_by_the_next() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    // A request that is under way keeps the old release from ending.
    let slow = tokio::spawn(async move { client.get("/slow/20000").await.map(|answer| answer.status) });
    pause(Duration::from_millis(200)).await;
    world.all_to("orders", "2.0.0").await;
    let removes = local(world.folder.path());
    let removal =
        tokio::spawn(
            async move { removes.remove("orders", "1.0.0", Duration::from_secs(60), &key(1)).await },
        );
    until("the removal is known", || async {
        world.local.releases("orders").await.unwrap().iter().any(|release| release.wanted == 0)
    })
    .await;
    kill(supervisor_pid(world.folder.path())).await;
    let lost = removal.await.unwrap().unwrap_err();
    assert_eq!(lost.kind(), towpath_provider::ProviderErrorKind::OutcomeUnknown, "{lost:?}");
    slow.await.unwrap().unwrap_err();
    until("the next supervisor has ended it", || async {
        let releases = world.local.releases("orders").await.unwrap();
        releases.len() == 1 && releases[0].version == "2.0.0"
    })
    .await;
    assert_eq!(processes(&world).len(), 1);
    assert_eq!(world.local.releases("orders").await.unwrap()[0].instances[0].health, Health::Healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_asked_to_end_finishes_what_is_under_way_and_leaves_its_instances() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    let before = processes(&world);
    let mut slow = world.client("orders").await;
    let slow = tokio::spawn(async move { slow.get("/slow/1000").await });
    pause(Duration::from_millis(300)).await;
    let supervisor = rustix::process::Pid::from_raw(supervisor_pid(world.folder.path())).unwrap();
    rustix::process::kill_process(supervisor, rustix::process::Signal::TERM).unwrap();
    assert_eq!(slow.await.unwrap().unwrap().text(), "1.0.0", "what was under way is finished");
    until("it has ended", || async { !world.folder.path().join("supervisor.json").exists() }).await;
    client.get("/").await.unwrap_err();
    assert_eq!(processes(&world), before);
    world.ready("orders", "1.0.0").await;
    until("it listens again", || async { world.client("orders").await.get("/").await.is_ok() }).await;
    assert_eq!(processes(&world), before);
}
