//! A worker is killed with SIGKILL in the middle of a command: the command does not outlive it, and none is run beside
//! another.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};
use towpath_engine::{Engine, Settled};
use towpath_step::Pipeline;
use towpath_steps::{Command, CommandOutput};

/// What every life of the command does: says what of an earlier life it finds, and that it has begun; ends by itself only
/// in its second life. It listens to nobody.
const SCRIPT: &str = r#"
cd "$1"
for pid in $(cat pids 2>/dev/null); do
    case $(cut -d ' ' -f 3 /proc/$pid/stat 2>/dev/null) in ''|Z|X) ;; *) echo "beside $pid" >> said ;; esac
done
trap '' TERM
echo begun >> said
[ -e second ] && exit 0
sleep 1000 &
echo "$! $$" > pids
wait
"#;

/// A folder in which a worker drives one run, and what its command leaves there.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn said(&self) -> Vec<String> {
        fs::read_to_string(self.path("said")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// The processes of the command's first life.
    fn pids(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.path("pids")).unwrap_or_default();
        text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    }

    /// Starts a worker that drives the run to its end.
    fn worker(&self, doubt: &str) -> Worker {
        let worker = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_worker_drives_its_run_to_the_end"])
            .env("TOWPATH_TEST_FOLDER", self.0.path())
            .env("TOWPATH_TEST_DOUBT", doubt)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Worker(worker)
    }

    /// Starts a worker, and kills it when its command is under way.
    fn kill_in_the_middle(&self, doubt: &str) -> Vec<u32> {
        let mut worker = self.worker(doubt);
        until("the command has begun", || self.pids().len() == 2);
        worker.0.kill().unwrap();
        worker.0.wait().unwrap();
        fs::write(self.path("second"), "").unwrap();
        self.pids()
    }
}

/// A worker that does not outlive its test.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The fields of `/proc/PID/stat` behind the name; none of a process that has ended.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect();
    (!["Z", "X"].contains(&fields[0].as_str())).then_some(fields)
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

fn kill(pid: u32) {
    let killed = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    assert!(killed.success(), "{pid} was there to be killed");
}

/// Kills everything of the command's group but the command: its gate and its watch.
fn kill_the_gate_of(command: &[u32]) {
    let group = stat(command[1]).unwrap()[2].clone();
    let all = fs::read_dir("/proc").unwrap();
    let others: Vec<u32> = all
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| !command.contains(pid) && stat(*pid).is_some_and(|fields| fields[2] == group))
        .collect();
    assert!(others.len() >= 2, "a gate and a watch: {others:?}");
    others.into_iter().for_each(kill);
}

fn pipeline(folder: &Path, doubt: &str) -> Pipeline<CommandOutput> {
    let p = Pipeline::new("killed");
    let command = Command::shell(SCRIPT).arg(folder.to_str().unwrap()).grace(Duration::from_secs(1));
    let command = if doubt == "idempotent" { command.idempotent() } else { command };
    let done = p.step("command", command);
    p.output(&done).build().unwrap()
}

/// The worker of the other tests; by itself, a run that nobody kills.
#[tokio::test]
async fn a_worker_drives_its_run_to_the_end() {
    let own = Place::new();
    let (folder, doubt) = match std::env::var("TOWPATH_TEST_FOLDER") {
        Ok(folder) => (PathBuf::from(folder), std::env::var("TOWPATH_TEST_DOUBT").unwrap()),
        Err(_) => {
            fs::write(own.path("second"), "").unwrap();
            (own.0.path().to_owned(), "ask".to_owned())
        }
    };
    let plan = pipeline(&folder, &doubt).plan().unwrap();
    let address = format!("sqlite:{}", folder.join("runs.db").display());
    let engine = Engine::open(&address).steps(towpath_steps::steps()).start().await.unwrap();
    let end = match engine.run(plan, "once").await.unwrap().settled().await.unwrap() {
        Settled::Succeeded(_) => "succeeded",
        Settled::Stuck(_) => "stuck",
        _ => "failed",
    };
    engine.shutdown().await.unwrap();
    fs::write(folder.join("end"), end).unwrap();
    if folder == own.0.path() {
        assert_eq!((end, own.said()), ("succeeded", vec!["begun".to_owned()]));
    }
}

fn end_of(place: &Place, doubt: &str) -> String {
    assert!(place.worker(doubt).0.wait().unwrap().success());
    fs::read_to_string(place.path("end")).unwrap()
}

#[test]
fn a_command_does_not_outlive_its_worker() {
    let place = Place::new();
    let pids = place.kill_in_the_middle("idempotent");
    until("the command is gone with its worker", || !pids.iter().any(|pid| stat(*pid).is_some()));
    assert_eq!(end_of(&place, "idempotent"), "succeeded");
    assert_eq!(place.said(), ["begun", "begun"], "one life after the other");
}

#[test]
fn a_command_that_lost_its_gate_is_ended_before_another_begins() {
    let place = Place::new();
    let mut worker = place.worker("idempotent");
    until("the command has begun", || place.pids().len() == 2);
    let pids = place.pids();
    // All who could end it are killed at once: it goes on, and only its record leads to it.
    worker.0.kill().unwrap();
    kill_the_gate_of(&pids);
    worker.0.wait().unwrap();
    assert!(pids.iter().all(|pid| stat(*pid).is_some()), "the command goes on");
    fs::write(place.path("second"), "").unwrap();
    assert_eq!(end_of(&place, "idempotent"), "succeeded");
    assert_eq!(place.said(), ["begun", "begun"], "none beside the other");
    assert!(!pids.iter().any(|pid| stat(*pid).is_some()));
}

#[test]
fn a_command_of_which_nothing_is_said_is_not_run_again() {
    let place = Place::new();
    let pids = place.kill_in_the_middle("ask");
    assert_eq!(end_of(&place, "ask"), "stuck");
    assert_eq!(place.said(), ["begun"]);
    until("the command is gone all the same", || !pids.iter().any(|pid| stat(*pid).is_some()));
}
