use crate::fixture::{World, step};
use std::time::Duration;
use towpath::model::FailureKind;

const DAY: Duration = Duration::from_secs(86_400);

/// Three runs a day apart, of which the second failed, and one that goes on; a day after the last.
async fn world() -> World {
    let mut world = World::new().await;
    for key in ["a", "b", "c"] {
        let mut run = world.start("checkout", key, vec![step("build")]).await;
        match key {
            "b" => run.failed("build", FailureKind::Permanent, "no").await,
            _ => run.done("build", "null").await,
        }
        world.clock.advance(DAY);
    }
    world.start("checkout", "open", vec![step("build")]).await;
    world
}

fn keys(said: &str) -> Vec<&str> {
    let words = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| words.get(1) == Some(&"checkout")).map(|words| words[2]).collect()
}

#[tokio::test]
async fn runs_are_removed_by_age_and_outcome_and_the_newest_are_kept() {
    let world = world().await;
    for (args, expected) in [
        ("--older-than 1h", vec!["c", "b", "a"]),
        ("--older-than 1h --keep 2", vec!["a"]),
        ("--older-than 36h", vec!["b", "a"]),
        ("--older-than 30d", vec![]),
        ("--older-than 1h --outcome failed", vec!["b"]),
        ("--older-than 1h --outcome failed --outcome succeeded --keep 1", vec!["b", "a"]),
        ("--older-than 1h --pipeline other", vec![]),
        ("--older-than 1h --label owner=shop", vec!["c", "b", "a"]),
        ("--older-than 1h --label owner=other", vec![]),
    ] {
        let said = world.ok(&format!("retain --dry-run {args}")).await;
        assert_eq!(keys(&said), expected, "{args}");
        assert!(said.ends_with("would be removed\n"), "{said}");
    }
    assert_eq!(keys(&world.ok("runs").await), ["open", "c", "b", "a"], "a dry run removes nothing");
    let said = world.ok("retain --older-than 36h").await;
    assert!(said.ends_with("2 runs removed\n"), "{said}");
    assert_eq!(keys(&world.ok("runs").await), ["open", "c"]);
}

#[tokio::test]
async fn a_run_is_archived_before_it_is_removed_and_its_key_is_free_then() {
    let mut world = world().await;
    let before = world.ok("journal a").await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    let said = world.ok(&format!("retain --older-than 60h --archive {} --json", archive.display())).await;
    let line: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&line["key"], &line["removed"]), (&"a".into(), &true.into()), "{line}");
    let file = line["archive"].as_str().unwrap();
    assert_eq!(world.ok(&format!("journal {file}")).await, before);
    let (code, _, error) = world.run("journal a").await;
    assert!(code == 1 && error.contains("there is no run"), "{error}");
    // The key is free.
    world.start("checkout", "a", vec![step("build")]).await;
}

#[tokio::test]
async fn a_run_whose_archive_cannot_be_written_stays() {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    std::fs::create_dir(&archive).unwrap();
    let said =
        world.ok(&format!("retain --older-than 60h --archive {} --dry-run --json", archive.display())).await;
    let line: serde_json::Value = serde_json::from_str(&said).unwrap();
    // A folder stands where the archive is to be.
    std::fs::create_dir(line["archive"].as_str().unwrap()).unwrap();
    let said = world.ok(&format!("retain --older-than 60h --archive {}", archive.display())).await;
    assert!(said.contains("a  stays: write an archive: "), "{said}");
    assert_eq!(keys(&world.ok("runs").await), ["open", "c", "b", "a"]);
    assert_eq!(std::fs::read_dir(&archive).unwrap().count(), 1, "nothing half written stays");
}
