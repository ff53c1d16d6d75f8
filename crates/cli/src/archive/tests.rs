use crate::fixture::{World, after, step};

/// A run that is over, in a file.
async fn archived() -> (World, tempfile::TempDir, String) {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build"), after("build", step("scan"))]).await;
    run.done("build", "\"4f2c\"").await;
    run.done("scan", "null").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("k.towpath").display().to_string();
    let said = world.ok(&format!("archive k --to {file}")).await;
    let head = world.store_head(run.no).await;
    assert_eq!(said, format!("wrote {file}: 1 run, 6 events\nverified, head {head}\n"));
    (world, folder, file)
}

#[tokio::test]
async fn an_archive_is_shown_and_verified_as_the_run_was() {
    let (world, _folder, file) = archived().await;
    for command in ["show", "journal", "explain"] {
        let (of_file, of_run) =
            (world.ok(&format!("{command} {file}")).await, world.ok(&format!("{command} k")).await);
        assert_eq!(of_file, of_run, "{command}");
    }
    assert_eq!(world.ok(&format!("verify {file}")).await, world.ok("verify k").await);
    // Without any store.
    let (code, said, _) = crate::app::run_on(crate::App::stock(), &format!("verify {file} --json")).await;
    assert_eq!(code, 0);
    assert!(said.contains("\"intact\":true"), "{said}");
    let (code, said, _) = crate::app::run_on(crate::App::stock(), &format!("journal {file}")).await;
    assert!(code == 0 && said.contains("run-settled"), "{said}");
}

#[tokio::test]
async fn an_archive_that_was_changed_names_the_event() {
    let (world, _folder, file) = archived().await;
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("4f2c", "9a1b")).unwrap();
    let (code, said, _) = world.run(&format!("verify {file}")).await;
    assert_eq!(code, 1);
    assert!(
        said.starts_with("not intact: event 3: its payload was edited; the 2 events before are"),
        "{said}"
    );
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    let (code, said, _) = world.run(&format!("verify {file}")).await;
    assert_eq!(code, 1);
    assert!(said.contains("is cut off"), "{said}");
}

#[tokio::test]
async fn a_file_that_is_no_archive_is_refused() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.towpath").display().to_string();
    std::fs::write(&file, "{}\n").unwrap();
    for command in ["verify", "show"] {
        let (code, _, error) = world.run(&format!("{command} {file}")).await;
        assert_eq!(code, 1);
        assert!(error.contains("it is no archive that this release can read"), "{error}");
    }
}
