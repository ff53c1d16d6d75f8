//! What goes wrong around it, and what is said then.

use super::world::{PROGRAM, World, key, kill, local, supervisor_pid, until};
use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, process::Command, time::Duration};
use towpath_provider::{
    Health, HealthProbe, Platform, ProviderError, ProviderErrorKind as Kind, ReleaseSpec, RouteChange,
    TrafficRouter,
};
use towpath_provider_local::Local;

fn says(error: &ProviderError, kind: Kind, words: &[&str]) {
    let text = format!("{error:?}");
    assert_eq!(error.kind(), kind, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said_and_nothing_was_begun() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let local = world.local.clone().listen("orders", port);
    let spec = world.spec("orders", "1.0.0", "one");
    let error = local.deploy(&spec, &key(1)).await.unwrap_err();
    says(
        &error,
        Kind::Unavailable,
        &["cannot listen at its port", &port.to_string(), "give it another port"],
    );
    assert_eq!(local.releases("orders").await.unwrap(), []);
    drop(taken);
    local.deploy(&spec, &key(1)).await.unwrap();
    assert_eq!(local.address("orders").await.unwrap(), Some(format!("127.0.0.1:{port}")));
    // Another port for a service that has one.
    let error = world.local.clone().listen("orders", port ^ 1).deploy(&spec, &key(1)).await.unwrap_err();
    says(&error, Kind::Invalid, &["listens at another port already", "towpath-local stop"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_taken_meanwhile_is_waited_for() {
    let world = World::new();
    world.serving("orders", "1.0.0").await;
    let address = world.local.address("orders").await.unwrap().unwrap();
    kill(supervisor_pid(world.folder.path())).await;
    let mut taken = None;
    until("its port is free", || {
        taken = std::net::TcpListener::bind(&address).ok();
        std::future::ready(taken.is_some())
    })
    .await;
    let state = world.local.service("orders").await.unwrap().unwrap();
    until("the problem is said", || async {
        let state = world.local.service("orders").await.unwrap().unwrap();
        state.problem.is_some_and(|problem| problem.contains("cannot listen at 127.0.0.1:"))
    })
    .await;
    assert_eq!(state.address, address);
    drop(taken);
    until("it listens again", || async {
        world.client("orders").await.get("/").await.is_ok_and(|answer| answer.status == 200)
    })
    .await;
    assert_eq!(world.local.service("orders").await.unwrap().unwrap().problem, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_said() {
    let world = World::new();
    // A file is in the way: no user may make a folder of it.
    let path = world.folder.path().join("file");
    std::fs::write(&path, "").unwrap();
    let error =
        local(&path.join("releases")).deploy(&world.spec("orders", "1", "one"), &key(1)).await.unwrap_err();
    says(&error, Kind::Unavailable, &["cannot be written", "look for space and rights"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_written_changes_nothing() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    let before = world.local.routes("orders").await.unwrap().unwrap();
    // A folder in the place of the file that is written beside the state: what a full disk does, for every user.
    let beside = world.folder.path().join("services/orders/state.json.new");
    std::fs::create_dir(&beside).unwrap();
    let change = RouteChange::all_to("2.0.0", Some(before.revision.clone()));
    let error = world.local.set_routes("orders", &change, &key(9)).await.unwrap_err();
    says(&error, Kind::Unavailable, &["cannot be written, and nothing was changed", "look for space"]);
    assert_eq!(world.local.routes("orders").await.unwrap().unwrap(), before);
    assert_eq!(client.get("/").await.unwrap().text(), "1.0.0");
    let error = world.local.deploy(&world.spec("orders", "3.0.0", "one"), &key(9)).await.unwrap_err();
    says(&error, Kind::Unavailable, &["nothing was changed"]);
    assert_eq!(world.local.releases("orders").await.unwrap().len(), 2);
    std::fs::remove_dir(&beside).unwrap();
    world.local.set_routes("orders", &change, &key(9)).await.unwrap();
    assert_eq!(client.get("/").await.unwrap().text(), "2.0.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_acts_also_when_that_cannot_be_written() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    let change = RouteChange { stable: "1.0.0".into(), ..RouteChange::all_to("2.0.0", None) };
    world.route("orders", change.held_for(Duration::from_secs(2))).await;
    assert_eq!(client.get("/").await.unwrap().text(), "2.0.0");
    let beside = world.folder.path().join("services/orders/state.json.new");
    std::fs::create_dir(&beside).unwrap();
    until("it went back", || async {
        world.local.routes("orders").await.unwrap().unwrap().weight("1.0.0") == 100
    })
    .await;
    assert_eq!(client.get("/").await.unwrap().text(), "1.0.0");
    std::fs::remove_dir(&beside).unwrap();
    // The next supervisor reads that it was held, and that the time is over.
    kill(supervisor_pid(world.folder.path())).await;
    until("it went back once more", || async {
        world.local.routes("orders").await.unwrap().unwrap().weight("1.0.0") == 100
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupted_state_is_left_as_it_is_and_what_to_do_is_said() {
    let world = World::new();
    world.serving("orders", "1.0.0").await;
    world.up("other", "1.0.0").await;
    let path = world.folder.path().join("services/orders/state.json");
    let good = std::fs::read(&path).unwrap();
    kill(supervisor_pid(world.folder.path())).await;
    let bad = &good[..good.len() / 2];
    std::fs::write(&path, bad).unwrap();
    let error = world.local.releases("orders").await.unwrap_err();
    says(&error, Kind::Unexpected, &["is left as it is", "restore the file", "state.json"]);
    let error = world.local.deploy(&world.spec("orders", "2.0.0", "one"), &key(1)).await.unwrap_err();
    says(&error, Kind::Unexpected, &["is left as it is"]);
    assert_eq!(std::fs::read(&path).unwrap(), bad);
    assert_eq!(world.local.releases("other").await.unwrap().len(), 1, "another service is not harmed");
    std::fs::write(&path, &good).unwrap();
    world.ready("orders", "1.0.0").await;
    until("it listens again", || async { world.client("orders").await.get("/").await.is_ok() }).await;
    // Where the supervisor sits is another file.
    let seat = world.folder.path().join("supervisor.json");
    let good = std::fs::read(&seat).unwrap();
    std::fs::write(&seat, "{").unwrap();
    let error = world.local.releases("orders").await.unwrap_err();
    says(&error, Kind::Unexpected, &["if no supervisor runs in this folder, remove the file"]);
    std::fs::write(&seat, good).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_supervisor_left_leads_to_nobody_else() {
    let world = World::new();
    world.serving("orders", "1.0.0").await;
    kill(supervisor_pid(world.folder.path())).await;
    // Somebody else answers where it did.
    let path = world.folder.path().join("supervisor.json");
    let seat: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    // The kernel closes what a killed process had open in its own time.
    let mut stranger = None;
    until("its port is free", || {
        stranger = std::net::TcpListener::bind(seat["admin"].as_str().unwrap()).ok();
        std::future::ready(stranger.is_some())
    })
    .await;
    let stranger = stranger.unwrap();
    stranger.set_nonblocking(true).unwrap();
    world.ready("orders", "1.0.0").await;
    let asked = stranger.accept().map(|_| ());
    assert_eq!(asked.unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody has asked the stranger");
    // A number that was given out again, to this very process: it is not taken for the supervisor.
    kill(supervisor_pid(world.folder.path())).await;
    let mut seat: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    seat["process"]["pid"] = std::process::id().into();
    std::fs::write(&path, seat.to_string()).unwrap();
    world.ready("orders", "1.0.0").await;
    assert_ne!(supervisor_pid(world.folder.path()), i32::try_from(std::process::id()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_never_becomes_healthy_says_why_and_gets_no_traffic() {
    let world = World::new();
    let mut client = world.serving("orders", "1.0.0").await;
    let seen = world.local.routes("orders").await.unwrap().unwrap();
    let env = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    for (version, env, words, health) in [
        (
            "2.0.0",
            env("EXIT", "3"),
            "it ended with code 3; it wrote: cannot begin: told to exit",
            Health::Exited,
        ),
        ("3.0.0", env("HEALTH", "bad"), "GET /health was answered with 500", Health::Starting),
    ] {
        let spec = ReleaseSpec { env, ..world.spec("orders", version, "one") };
        world.local.deploy(&spec, &key(2)).await.unwrap();
        until(words, || async {
            let releases = world.local.releases("orders").await.unwrap();
            let release = releases.into_iter().find(|release| release.version == version).unwrap();
            let instance = &release.instances[0];
            instance.last_words.as_deref() == Some(words) && instance.health == health
        })
        .await;
        let change = RouteChange::all_to(version, Some(seen.revision.clone()));
        let error = world.local.set_routes("orders", &change, &key(3)).await.unwrap_err();
        says(&error, Kind::Invalid, &["no instance of", "can take traffic"]);
        assert_eq!(client.get("/").await.unwrap().text(), "1.0.0");
    }
    // It is tried again and again, less and less often.
    until("it was started again", || async {
        let releases = world.local.releases("orders").await.unwrap();
        releases.iter().any(|release| release.version == "2.0.0" && release.instances[0].restarts >= 3)
    })
    .await;
    world.local.remove("orders", "2.0.0", Duration::ZERO, &key(4)).await.unwrap();
    world.local.remove("orders", "3.0.0", Duration::ZERO, &key(4)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_run_is_refused_before_anything_begins() {
    let world = World::new();
    let good = world.spec("orders", "1.0.0", "one");
    let folder = world.folder.path().join("no-program");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("entrypoint"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(folder.join("entrypoint"), PermissionsExt::from_mode(0o644)).unwrap();
    let digest = towpath_provider_local::folder_digest(&folder).unwrap();
    let image = format!("dir:{}", folder.display());
    let other = format!("sha256:{}", "0".repeat(64));
    for (spec, kind, words) in [
        (
            ReleaseSpec { image: "dir:/not/there".into(), ..good.clone() },
            Kind::NotFound,
            "the image is not there",
        ),
        (ReleaseSpec { image: "registry.example/a:1".into(), ..good.clone() }, Kind::Invalid, "`oci:FOLDER`"),
        (ReleaseSpec { image, digest, ..good.clone() }, Kind::Invalid, "no program that can be run"),
        (ReleaseSpec { digest: other, ..good.clone() }, Kind::Invalid, "is not the one that was asked for"),
        (ReleaseSpec { digest: "latest".into(), ..good.clone() }, Kind::Invalid, "64 lower-case hexadecimal"),
        (ReleaseSpec { service: "Orders".into(), ..good.clone() }, Kind::Invalid, "a service is called by"),
        (ReleaseSpec { version: "../x".into(), ..good.clone() }, Kind::Invalid, "a version is"),
        (ReleaseSpec { instances: 65, ..good.clone() }, Kind::Invalid, "at most 64 instances"),
        (ReleaseSpec { health: HealthProbe::at("health"), ..good.clone() }, Kind::Invalid, "begins with /"),
    ] {
        says(&world.local.deploy(&spec, &key(1)).await.unwrap_err(), kind, &[words]);
        assert_eq!(world.local.releases("orders").await.unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_become_the_supervisor_is_told_of() {
    let world = World::new();
    let spec = world.spec("orders", "1.0.0", "one");
    let at = |name: &str| Local::at(world.folder.path().join(name));
    let nowhere = at("a").supervisor("/not/there/towpath-local", None::<&str>);
    let error = nowhere.deploy(&spec, &key(1)).await.unwrap_err();
    says(&error, Kind::Unavailable, &["is not there, or cannot be run", "supervisor.log"]);
    let ends = at("b").supervisor("/bin/sh", ["-c", "echo cannot do that >&2; exit 9"]);
    let error = ends.deploy(&spec, &key(1)).await.unwrap_err();
    says(&error, Kind::Unavailable, &["the supervisor ended at once", "cannot do that"]);
    // The program itself, which calls `Local::at` without having asked first: this test, run once more.
    let error = at("c").deploy(&spec, &key(1)).await.unwrap_err();
    says(&error, Kind::Unavailable, &["supervise_here()` first in its `main`", "Local::supervisor"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_show_the_token_is_refused() {
    let world = World::new();
    world.serving("orders", "1.0.0").await;
    let path = world.folder.path().join("supervisor.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let seat: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let mut admin = super::http::Client::new(seat["admin"].as_str().unwrap());
    let token = seat["token"].as_str().unwrap();
    let path = "/v1/services/orders/routes";
    for header in [
        String::new(),
        format!("authorization: Bearer {}\r\n", "0".repeat(32)),
        format!("authorization: {token}\r\n"),
    ] {
        let answer = admin.send("PUT", path, &header, br#"{"weights":{"1.0.0":100}}"#).await.unwrap();
        assert_eq!(answer.status, 401, "{header}");
    }
    let before = world.local.routes("orders").await.unwrap().unwrap();
    // With it, a hand moves traffic with nothing but an HTTP client.
    let header = format!("authorization: Bearer {token}\r\n");
    let answer = admin.send("PUT", path, &header, br#"{"weights":{"1.0.0":100},"by":"ann"}"#).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let after = world.local.routes("orders").await.unwrap().unwrap();
    assert_ne!(after.revision, before.revision);
    assert_eq!(after.moved_by, towpath_provider::Mover::Other("by hand (ann)".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_shows_and_moves_traffic_by_hand() {
    let world = World::new();
    world.serving("orders", "1.0.0").await;
    world.up("orders", "2.0.0").await;
    let run = |arguments: &[&str]| {
        let folder = world.folder.path().to_str().unwrap().to_owned();
        let arguments: Vec<String> = arguments.iter().map(|word| word.replace("FOLDER", &folder)).collect();
        let out = Command::new(PROGRAM).args(arguments).env("USER", "ben").output().unwrap();
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr),
        )
    };
    let (code, text) = run(&["weights", "FOLDER", "orders", "2.0.0=30"]);
    assert_eq!((code, text.as_str()), (Some(0), "orders: 1.0.0 70 %, 2.0.0 30 %\n"));
    let routes = world.local.routes("orders").await.unwrap().unwrap();
    assert_eq!(routes.moved_by, towpath_provider::Mover::Other("by hand (ben)".into()));
    let (code, text) = run(&["status", "FOLDER"]);
    assert_eq!(code, Some(0));
    for words in [
        "traffic: 1.0.0 70 %, 2.0.0 30 %; stable: 1.0.0",
        "2.0.0: 1 of 1 healthy",
        "failed by the proxy itself: 0",
    ] {
        assert!(text.contains(words), "{words:?} in {text}");
    }
    let (code, text) = run(&["weights", "FOLDER", "orders", "9.9.9=30"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("the release \"9.9.9\" is not there"), "{text}");
    let (code, text) = run(&["weights", "FOLDER", "orders", "2.0.0"]);
    assert!(code == Some(1) && text.contains("write VERSION=PERCENT"), "{text}");
    assert_eq!(run(&["what"]).0, Some(2));
    let (code, text) = run(&["supervise", "FOLDER"]);
    assert_eq!((code, text.as_str()), (Some(75), ""), "another one supervises");
}
