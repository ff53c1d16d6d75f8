//! Every example is run, as a newcomer would run it: with cargo, in a folder of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn command(example: &str, folder: &Path) -> Command {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--quiet", "--manifest-path", manifest, "--example", example]).current_dir(folder);
    // As a newcomer's shell is: cargo says these to a test about its package, and would build anew whatever looks at them.
    let is_ours = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Runs an example and gives what it says.
fn run(example: &str, folder: &Path, args: &[&str]) -> (Output, String) {
    let output = command(example, folder).arg("--").args(args).output().expect("cargo can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{example}: {text}{}", String::from_utf8_lossy(&output.stderr));
    (output, text)
}

/// Runs an example twice: the second time, the run is there and over.
fn twice(example: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, told) = run(example, folder.path(), &[]);
    assert!(first.status.success(), "{told}");
    let (second, again) = run(example, folder.path(), &[]);
    assert!(second.status.success(), "{again}");
    (told, again)
}

#[test]
fn hello_deploys_once_however_often_it_is_started() {
    let (first, second) = twice("hello");
    assert!(first.contains("deploy registry.example/shop:4f2c with the key "), "{first}");
    assert!(first.ends_with("Succeeded(\"registry.example/shop:4f2c\")\n"), "{first}");
    assert_eq!(second, "Succeeded(\"registry.example/shop:4f2c\")\n");
}

#[test]
fn commands_run_programs_and_leave_what_they_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let (output, text) = run("commands", folder.path(), &[]);
    assert!(output.status.success() && text == "Succeeded(\"shop-4f2c.tar\")\n", "{text}");
    assert!(folder.path().join("live").exists(), "the program ran in this folder");
}

#[test]
fn regions_run_side_by_side_and_are_joined() {
    let want = "Succeeded(\"live at https://eu-west-1.shop.example and https://us-east-1.shop.example, \
                https://ap-south-1.shop.example\")\n";
    assert_eq!(twice("regions"), (want.to_owned(), want.to_owned()));
}

#[test]
fn runs_that_want_one_lock_come_one_after_the_other() {
    let want = "Succeeded(1)\nSucceeded(2)\n";
    assert_eq!(twice("locks"), (want.to_owned(), want.to_owned()));
}

#[test]
fn an_approval_waits_without_a_process_and_is_given_by_another() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let (output, text) = run("approval", folder.path(), &[]);
        assert!(output.status.success() && text.contains("approve"), "it says what it waits for: {text}");
        assert!(!text.contains("Succeeded"), "{text}");
    }
    let (_, text) = run("approval", folder.path(), &["yes"]);
    assert_eq!(text, "Succeeded(\"shop:4f2c is live in production (it looks good)\")\n");
}

#[test]
fn undo_puts_back_what_was_there_before() {
    let (first, second) = twice("undo");
    let lines: Vec<_> = first.lines().collect();
    assert_eq!(lines[..3], ["weight 50, after 3 attempts", "weight 10 again", "tell sre"], "{first}");
    assert!(lines[3].starts_with("Compensated(") && lines[3].contains("too many errors at 50 %"), "{first}");
    assert_eq!(second.lines().count(), 1, "nothing is done or undone again: {second}");
}

#[test]
fn checkpoints_are_entered_again_and_repeat_nothing() {
    let (first, second) = twice("checkpoints");
    let batches: Vec<_> = first.lines().filter(|line| line.starts_with("batch ")).collect();
    assert_eq!(batches.len(), 4, "{first}");
    assert!(first.ends_with("Succeeded(4)\n"), "{first}");
    assert_eq!(second, "Succeeded(4)\n");
}

#[test]
fn a_sub_pipeline_is_placed_twice_in_one_run() {
    let (first, _) = twice("sub_pipeline");
    let want = "eu/deploy\neu/smoke\nus/deploy\nus/smoke\n\
                Succeeded(\"https://us-east-1.shop.example/shop-4f2c answers\")\n";
    assert_eq!(first, want);
}

#[test]
fn cron_goes_on_where_the_last_line_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let (first, text) = run("cron", folder.path(), &[]);
    assert_eq!((first.status.code(), text.as_str()), (Some(3), "0 settled, more is due later\n"));
    let mut ends = Vec::new();
    while ends.last().is_none_or(|(code, _)| *code == Some(3)) && ends.len() < 100 {
        let (output, text) = run("cron", folder.path(), &[]);
        ends.push((output.status.code(), text));
    }
    assert_eq!(ends.last(), Some(&(Some(0), "1 settled, nothing is left\n".to_owned())), "{ends:?}");
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // One that has ended by itself is no fault here.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One request of HTTP/1.1 (RFC 9112), and the body of what comes back.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the service listens");
    write!(stream, "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head.lines().next().expect("a status line").to_owned(), body.to_owned())
}

#[test]
fn service_starts_a_run_once_and_tells_where_it_stands() {
    let folder = tempfile::tempdir().expect("a folder");
    let started = command("service", folder.path()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut service = Killed(started);
    let mut line = String::new();
    let mut lines = BufReader::new(service.0.stdout.take().expect("it is piped"));
    lines.read_line(&mut line).expect("it says where it listens");
    let address = line.trim().strip_prefix("http://").expect("an address").to_owned();

    let (status, missing) = ask(&address, "GET /deploys/4f2c");
    assert_eq!((status.as_str(), missing.as_str()), ("HTTP/1.1 404 Not Found", "nobody deployed 4f2c"));
    let (status, first) = ask(&address, "POST /deploys/4f2c");
    assert_eq!(status, "HTTP/1.1 200 OK", "{first}");
    assert_eq!(ask(&address, "POST /deploys/4f2c").1, first, "it is the same run");
    let said = (0..1_000).map(|_| ask(&address, "GET /deploys/4f2c").1).find(|body| body == "\"settled\"");
    assert!(said.is_some(), "it is driven in the background");
}

#[test]
fn for_each_runs_every_item_and_gives_their_outputs_in_order() {
    let (first, second) = twice("for_each");
    assert_eq!(first, "Succeeded([\"3 in eu-west-1\", \"5 in us-east-1\", \"2 in ap-south-1\"])\n");
    assert_eq!(second, first);
}

#[cfg(unix)]
#[test]
fn stock_steps_deploy_what_people_approve_and_put_back_what_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let live = || std::fs::read_to_string(folder.path().join("live")).expect("something is live");
    let (first, told) = run("stock", folder.path(), &[]);
    assert!(first.status.success(), "{told}");
    assert_eq!((told.as_str(), live().as_str()), ("live: shop:v2\n", "shop:v2\n"));

    let (second, told) = run("stock", folder.path(), &["v3"]);
    assert!(!second.status.success() && told.starts_with("Compensated("), "{told}");
    assert!(told.contains("not v2"), "{told}");
    assert_eq!(live(), "shop:v2\n", "what was live before is live again");
}

/// What a minute on a quiet machine may become on a busy one.
const QUICK_WITHIN: Duration = Duration::from_secs(180);

/// The whole of it, by itself, as one line of JSON tells it.
#[test]
fn the_quickstart_releases_for_real_and_no_request_fails_because_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    // It is built before its time begins: as a usage error, it ends at once.
    let built = command("quickstart", folder.path()).args(["--", "--build"]).output();
    assert_eq!(built.expect("cargo can be run").status.code(), Some(2));
    let began = Instant::now();
    let output =
        command("quickstart", folder.path()).args(["--", "--json"]).output().expect("cargo can be run");
    let took = began.elapsed();
    eprintln!("the quickstart took {took:.1?}; on a quiet machine it has 60 s");
    assert!(took < QUICK_WITHIN, "{took:?}");
    let story = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{story}");
    let told: serde_json::Value = serde_json::from_str(told.trim()).expect("one line of JSON");
    let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("{name}: {told}"));
    assert_eq!((&told["ok"], number("failed")), (&true.into(), 0), "{told}\n{story}");
    assert_eq!(
        (&told["resumed_after_kill"], &told["yielded_to_human"]),
        (&true.into(), &true.into()),
        "{told}"
    );
    assert!(number("requests") > 1_000 && number("canary_errors") > 0, "{told}");
    assert!(number("canary_errors") < number("requests") / 20, "{told}");
    assert!(number("rollback_ms") < 20_000, "{told}");
    let journal = told["journal"].as_str().expect("a path");
    assert!(Path::new(journal).exists(), "it stays: {journal}");
    let left = Path::new(journal).parent().expect("it is in a folder");
    assert!(!left.join("releases").exists(), "what ran is gone");
    std::fs::remove_dir_all(left).expect("the folder is ours");
}

#[test]
fn the_quickstart_says_how_it_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let output =
        command("quickstart", folder.path()).args(["--", "--fast"]).output().expect("cargo can be run");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: cargo run --example quickstart"));
}

/// The quickstart as it was built, where something is missing. Gives what it says of that.
fn quickstart_fails(change: impl FnOnce(&mut Command)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let built = command("quickstart", folder.path()).args(["--", "--build"]).output();
    assert_eq!(built.expect("cargo can be run").status.code(), Some(2));
    let tests = std::env::current_exe().expect("a test is a program");
    let built = tests.parent().and_then(Path::parent).expect("cargo puts tests into a folder of its own");
    // Who hangs is ended, with a code of its own.
    let mut quickstart = Command::new("/usr/bin/timeout");
    quickstart.args(["--kill-after=1", "120"]).arg(built.join("examples/quickstart")).arg("--json");
    change(&mut quickstart);
    let output = quickstart.output().expect("coreutils are there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_str(said.trim()).expect("one line of JSON");
    assert_eq!(told["ok"], false, "{said}");
    told["error"].as_str().expect("it says why").to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn the_quickstart_without_cargo_says_that_and_ends() {
    let only = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::symlink("/usr/bin/env", only.path().join("env")).expect("it is named");
    let error = quickstart_fails(|quickstart| {
        quickstart.env("PATH", only.path());
    });
    let words =
        ["nothing had to be undone", "a command of the build cannot be run", "cargo", "; its journal is /"];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    let journal = error.rsplit_once("; its journal is ").expect("it is named").1;
    std::fs::remove_dir_all(Path::new(journal).parent().expect("a folder")).expect("it is ours");
}

#[cfg(target_os = "linux")]
#[test]
fn the_quickstart_without_a_folder_to_write_in_says_which() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let error = quickstart_fails(|quickstart| {
        quickstart.env("TMPDIR", file.path());
    });
    let begins = format!("make the folder {}/towpath-quickstart-", file.path().display());
    assert!(error.starts_with(&begins) && error.contains("Not a directory"), "{error}");
}
