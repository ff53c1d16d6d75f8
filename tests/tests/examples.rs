//! Every example is run, as a newcomer would run it.

use std::{
    path::Path,
    process::{Command, Output},
};

fn run(example: &str, folder: &Path) -> Output {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--manifest-path", manifest, "--example", example])
        .current_dir(folder)
        .output()
        .expect("cargo can be run")
}

#[test]
fn hello_deploys_once_however_often_it_is_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = run("hello", folder.path());
    let text = String::from_utf8_lossy(&first.stdout);
    assert!(first.status.success(), "{text}{}", String::from_utf8_lossy(&first.stderr));
    assert!(text.contains("deploy registry.example/shop:4f2c with the key "), "{text}");
    assert!(text.ends_with("Succeeded(\"registry.example/shop:4f2c\")\n"), "{text}");

    let second = run("hello", folder.path());
    assert!(second.status.success());
    assert_eq!(String::from_utf8_lossy(&second.stdout), "Succeeded(\"registry.example/shop:4f2c\")\n");
}
