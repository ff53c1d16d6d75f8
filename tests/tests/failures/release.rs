//! Builds, ports, programs and proxies.

use crate::{snapshot, world::World};
use std::{fs, process::Stdio, time::Duration};
use towpath::provider::TrafficRouter;

#[test]
fn a_build_that_fails_says_how_and_releases_nothing() {
    let world = World::new();
    world.released("1.0.0");
    let script = "echo compiling orders; echo 'error: `price` is used and never said' >&2; exit 101";
    let said = world.built_by("2.0.0", &["sh", "-c", script]);
    snapshot::check("failures/build-fails.txt", &said.text);
}

#[test]
fn what_the_compiler_says_of_a_service_reaches_who_releases_it() {
    let world = World::new();
    let sources = world.path("sources");
    fs::create_dir(sources.join("src")).unwrap();
    fs::write(
        sources.join("Cargo.toml"),
        "[package]\nname = \"orders\"\nversion = \"2.0.0\"\nedition = \"2024\"\n\n[workspace]\n",
    )
    .unwrap();
    fs::write(sources.join("src/main.rs"), "fn main() { let price: u32 = \"much\"; }\n").unwrap();
    let target = world.path("target").display().to_string();
    let said =
        world.built_by("2.0.0", &[env!("CARGO"), "build", "--quiet", "--offline", "--target-dir", &target]);
    for word in ["2.0.0 failed", "a command of the build failed", "code: 101", "E0308", "src/main.rs:1:"] {
        assert!(said.text.contains(word), "{word:?} in {}", said.text);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    world.released("1.0.0");
    let mut all = String::new();
    let mut add = |what: &str, text: &str| all.push_str(&format!("── {what}\n{text}\n"));
    add("the program of the build", &world.built_by("2.0.0", &["cargo-of-nowhere", "build"]).text);
    add("what should have been built", &world.built_by("2.0.1", &["rm", "-f", "orders"]).text);
    let text_file = "printf 'no program\\n' > orders && chmod +x orders";
    add("a program that this machine can run", &world.built_by("2.0.2", &["sh", "-c", text_file]).text);
    let other = World::new();
    let said = other.ended(other.command("1.0.0").env("FAILURE_SUPERVISOR", "/not/there/towpath-local"));
    add("the supervisor", &said.text);
    snapshot::check("failures/not-there.txt", &all);
}

#[test]
fn a_service_that_never_becomes_healthy_gets_no_traffic_and_is_gone_again() {
    let world = World::new();
    world.released("1.0.0");
    let waited = "was undone: step canary failed: orders 2.0.0 did not become healthy within 4s: 0 of 1 instances are; orders-2.0.0-";
    for (version, script, words) in [
        (
            "2.0.0",
            "echo no database at $HOST >&2; exit 3",
            "it ended with code 3; it wrote: no database at 127.0.0.1",
        ),
        ("2.0.1", "exec sleep 600", "nothing listens at 127.0.0.1:"),
    ] {
        fs::write(world.path("script"), format!("#!/bin/sh\n{script}\n")).unwrap();
        let script = world.path("script").display().to_string();
        let said = world.built_by(version, &["install", "-m", "755", &script, "orders"]).text;
        assert!(said.starts_with(&format!("{version} {}", waited.replace("2.0.0", version))), "{said}");
        assert!(said.contains(words), "{said}");
        // It is gone, and what was there before is as it was.
        assert!(said.ends_with("\n  there is 1.0.0: 1 of 1 healthy\n  traffic: 100 % 1.0.0\n"), "{said}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_and_when_it_is_free_the_release_goes_out() {
    let world = World::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = world.ended(world.command("1.0.0").env("FAILURE_PORT", &port));
    snapshot::check("failures/port-taken.txt", &said.text.replace(&port, "PORT"));
    drop(taken);
    let said = world.ended(world.command("1.0.1").env("FAILURE_PORT", &port));
    assert!(said.text.starts_with("1.0.1 succeeded"), "{}", said.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_killed_is_back_and_the_release_goes_on() {
    let world = World::new();
    world.released("1.0.0");
    let local = world.local();
    let mut command = world.command("2.0.0");
    let releasing = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let mut looks = 0;
    while local.routes("orders").await.unwrap().unwrap().weight("2.0.0") != 50 {
        looks += 1;
        assert!(looks < 3_000, "2.0.0 has no traffic within a minute");
        look.tick().await;
    }
    let before = supervisor(&world);
    kill(before);
    let output = tokio::task::spawn_blocking(|| releasing.wait_with_output()).await.unwrap().unwrap();
    let said = world.said(&output);
    assert!(said.text.starts_with("2.0.0 succeeded: 2.0.0 is live\n"), "{}", said.text);
    assert!(said.text.contains("  traffic: 100 % 2.0.0\n"), "{}", said.text);
    assert_ne!(supervisor(&world), before, "another one is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_service_cannot_be_reached_nothing_new_is_released_to_it() {
    let world = World::new();
    world.released("1.0.0");
    let local = world.local();
    let address = local.address("orders").await.unwrap().unwrap();
    let port = address.rsplit(':').next().unwrap().to_owned();
    kill(supervisor(&world));
    let mut look = tokio::time::interval(Duration::from_millis(5));
    let taken = loop {
        if let Ok(taken) = std::net::TcpListener::bind(&address) {
            break taken;
        }
        look.tick().await;
    };
    while local.service("orders").await.unwrap().unwrap().problem.is_none() {
        look.tick().await;
    }
    let said = world.ended(&mut world.command("2.0.0"));
    snapshot::check("failures/port-lost.txt", &said.text.replace(&port, "PORT"));
    drop(taken);
    while local.service("orders").await.unwrap().unwrap().problem.is_some() {
        look.tick().await;
    }
    world.released("2.0.1");
}

/// The number of the process that supervises.
fn supervisor(world: &World) -> i32 {
    let text = fs::read(world.path("releases/supervisor.json")).unwrap();
    let seat: serde_json::Value = serde_json::from_slice(&text).unwrap();
    seat["process"]["pid"].as_i64().unwrap().try_into().unwrap()
}

fn kill(pid: i32) {
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    assert!(killed.success(), "it was there to be killed");
}
