//! A first pipeline is written for a repository, compiled, and run to its end.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests are no tests to the linter")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

fn towpath(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_towpath")).args(args).current_dir(folder).output().unwrap()
}

/// A server that is well, and what it was asked.
fn server() -> (Arc<Mutex<Vec<String>>>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            kept.lock().unwrap().push(first);
            connection
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
        }
    });
    (asked, port)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_first_pipeline_is_written_compiled_and_run() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("Makefile"), "test:\n\t@true\nbuild:\n\t@true\n").unwrap();
    let (asked, port) = server();
    let url = format!("http://127.0.0.1:{port}/health");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().parent().unwrap();
    let crates = workspace.join("crates");
    let init = [
        "init",
        ".",
        "--name",
        "shop",
        "--deploy",
        "echo \"deployed $COMMIT\"",
        "--url",
        &url,
        "--yes",
        "--towpath-path",
        crates.to_str().unwrap(),
    ];
    let said = towpath(folder, &init);
    assert!(said.status.success(), "{}", text(&said.stderr));
    let out = text(&said.stdout);
    assert!(out.starts_with("found a Makefile: Makefile\nnothing for image\nnothing for migrate\n"), "{out}");
    assert!(fs::read_to_string(folder.join("deploy/src/main.rs")).unwrap().lines().count() < 60);

    let main = fs::read_to_string(folder.join("deploy/src/main.rs")).unwrap();
    assert!(main.contains(&format!("HttpCheck::get({url:?})")), "{main}");

    let again = towpath(folder, &init);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("deploy is there already: nothing was written"));

    // The versions that this workspace was built with, so that nothing has to be fetched.
    fs::copy(workspace.join("Cargo.lock"), folder.join("deploy/Cargo.lock")).unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let own = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command
            .args(["run", "--quiet", "--offline", "--manifest-path", "deploy/Cargo.toml", "--"])
            .args(args);
        // Cargo says this to a test about its package, and would build anew whatever looks at it.
        let is_ours = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.current_dir(folder).env("CARGO_TARGET_DIR", target).output().unwrap()
    };
    let started = own(&["start", "shop", "--param", "commit=4f2c", "--key", "first", "--wait"]);
    assert_eq!(started.status.code(), Some(10), "{}{}", text(&started.stdout), text(&started.stderr));
    assert!(text(&started.stdout).contains("waiting: approve"), "{}", text(&started.stdout));
    let approved = own(&["approve", "first", "approve", "--wait", "0"]);
    assert!(approved.status.success(), "{}", text(&approved.stderr));
    let ended = own(&["start", "shop", "--param", "commit=4f2c", "--key", "first", "--wait"]);
    assert_eq!(ended.status.code(), Some(0), "{}{}", text(&ended.stdout), text(&ended.stderr));
    let shown = text(&own(&["show", "first", "--json"]).stdout);
    assert!(shown.contains("deployed 4f2c"), "{shown}");
    assert_eq!(asked.lock().unwrap().as_slice(), ["GET /health HTTP/1.1"]);
    let step: serde_json::Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    let check = step["steps"].as_array().unwrap().iter().find(|step| step["id"] == "check");
    assert_eq!(check.unwrap()["state"], "done", "{shown}");
}
