use crate::{
    App,
    app::run_on,
    fixture::{World, step},
};
use std::sync::Arc;
use towpath::{
    engine::{Engine, LocalKey},
    prelude::*,
    store::{Clock, MemoryStore, SystemClock},
};

#[step("demo.build/v1", idempotent)]
async fn build(_cx: &StepContext) -> Result<String, StepError> {
    Ok("4f2c".into())
}

/// A store in which two runs have settled under a signer; and files of its secret and public key.
async fn signed() -> (Arc<MemoryStore>, tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret").display().to_string();
    let (code, line, _) = run_on(App::stock(), &format!("key {secret}")).await;
    assert_eq!(code, 0);
    let public = folder.path().join("public").display().to_string();
    std::fs::write(&public, format!("# in use since 2026\n{line}")).unwrap();
    let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    let key = LocalKey::open(&secret).unwrap();
    let engine = Engine::builder(store.clone()).steps(steps![build]).signer(key).start().await.unwrap();
    for key in ["a", "b"] {
        let p = Pipeline::new("release");
        p.step("build", build::of());
        engine.run(p.build().unwrap().plan().unwrap(), key).await.unwrap().settled().await.unwrap();
    }
    engine.shutdown().await.unwrap();
    (store, folder, public)
}

#[tokio::test]
async fn what_was_signed_and_anchored_is_verified_and_exported() {
    let (store, folder, public) = signed().await;
    let run = async |args: String| run_on(App::stock().on(store.clone()), &args).await;
    let (code, said, error) = run(format!("verify --anchors --keys {public}")).await;
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    assert!(said.starts_with("1 anchors of 2 runs, the last of "), "{said}");
    assert!(said.contains("2 heads are signed, 0 settled runs are not"), "{said}");
    let file = folder.path().join("evidence").display().to_string();
    let (_, said, _) = run(format!("export {file}")).await;
    assert_eq!(said, format!("wrote {file}: 1 anchors, 2 signed heads\n"));
    let (code, ..) = run(format!("verify --anchors --keys {public} --kept {file}")).await;
    assert_eq!(code, 0);

    // A store whose anchors are gone, though some were kept.
    let other: Arc<dyn towpath::store::Store> = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    let (code, said, _) =
        run_on(App::stock().on(other), &format!("verify --anchors --keys {public} --kept {file}")).await;
    assert_eq!(code, 1);
    assert!(said.contains("not intact: anchor 1: it is missing, and 1 were kept"), "{said}");
    let (code, _, error) = run("verify --anchors".into()).await;
    assert!(code == 2 && error.contains("--keys"), "{error}");
}

#[tokio::test]
async fn an_archive_carries_its_signature() {
    let (store, folder, public) = signed().await;
    let file = folder.path().join("a.towpath").display().to_string();
    let (code, ..) = run_on(App::stock().on(store.clone()), &format!("archive a --to {file}")).await;
    assert_eq!(code, 0);
    let (code, said, _) = run_on(App::stock(), &format!("verify {file} --keys {public}")).await;
    assert_eq!(code, 0);
    assert!(said.contains("its head is signed by key "), "{said}");
    let text = std::fs::read_to_string(&file).unwrap();
    let none: Vec<&str> = text.lines().filter(|line| !line.starts_with("{\"signed\"")).collect();
    std::fs::write(&file, none.join("\n") + "\n").unwrap();
    let (code, said, _) = run_on(App::stock(), &format!("verify {file} --keys {public}")).await;
    assert!(code == 1 && said.contains("nobody has signed its head"), "{said}");
    let stranger = folder.path().join("stranger").display().to_string();
    let (_, line, _) = run_on(App::stock(), &format!("key {stranger}")).await;
    let others = folder.path().join("others").display().to_string();
    std::fs::write(&others, line).unwrap();
    std::fs::write(&file, text).unwrap();
    let (code, said, _) = run_on(App::stock(), &format!("verify {file} --keys {others}")).await;
    assert!(code == 1 && said.contains("which is not among the keys"), "{said}");
}

#[tokio::test]
async fn a_key_is_made_once_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key").display().to_string();
    let (_, first, _) = run_on(App::stock(), &format!("key {file}")).await;
    let (_, again, _) = run_on(App::stock(), &format!("key {file}")).await;
    assert_eq!(first, again);
    let secret = std::fs::read_to_string(&file).unwrap();
    let digits = secret.trim().rsplit(' ').next().unwrap();
    assert!(digits.len() == 64 && !first.contains(digits));
    assert!(!format!("{:?}", LocalKey::open(&file).unwrap()).contains(digits));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (code, _, error) = run_on(App::stock(), &format!("key {file}")).await;
        assert!(code == 1 && error.contains("others may read it, its mode is 644: make it 600"), "{error}");
    }
}

#[tokio::test]
async fn a_store_without_a_signer_has_nothing_to_hold_it_to() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![step("build")]).await;
    run.done("build", "null").await;
    assert!(world.clock.now() > towpath::model::Timestamp::MIN);
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys").display().to_string();
    std::fs::write(&keys, "").unwrap();
    let said = world.ok(&format!("verify --anchors --keys {keys}")).await;
    assert_eq!(said, "0 anchors of 0 runs\n0 heads are signed, 1 settled runs are not\n");
}
