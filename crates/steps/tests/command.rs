//! Real programs: what is made of their ends, their output and their children.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};
use towpath_step::{
    Observed, SecretRef, Step, StepContext, Undo, UndoEnded,
    model::{FailureKind, InDoubt, Json, UndoPolicy},
};
use towpath_steps::{Argv, Command, CommandOutput, ExitCodes};
use towpath_testkit::{ForTest, TestContext};

fn cx() -> TestContext {
    StepContext::for_test()
}

/// Whether a process is there, and has not ended.
fn lives(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with(['Z', 'X']))
}

/// Awaits a condition on the world outside, and fails when it does not come.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let (since, mut look) = (Instant::now(), tokio::time::interval(Duration::from_millis(10)));
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(20), "never: {what}");
        look.tick().await;
    }
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_program_gives_its_output_and_both_streams_are_logged() {
    let cx = cx();
    let done = Command::shell("echo one; echo two >&2; printf 'three\\n\\n'").run(&cx).await.unwrap();
    assert_eq!(done, CommandOutput { code: 0, stdout: "one\nthree".into(), left_out: 0 });
    let mut logs = cx.recorded().logs;
    logs.sort();
    assert_eq!(logs, ["", "one", "three", "two"]);
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let odd = ["a b", "$HOME", "*", "-n", "quote\"'", "line\nend", ""];
    let given = Command::new("printf").arg("[%s]").args(odd).run(&cx()).await.unwrap();
    assert_eq!(given.stdout, odd.map(|text| format!("[{text}]")).concat());
    let script = Command::shell("printf '[%s]' \"$@\"").args(odd).run(&cx()).await.unwrap();
    assert_eq!(script.stdout, given.stdout);
}

#[tokio::test]
async fn a_program_sees_who_it_is_run_for() {
    let cx = cx().with_step("apply").with_attempt(3);
    let script =
        "echo $TOWPATH_KEY $TOWPATH_RUN $TOWPATH_STEP $TOWPATH_ATTEMPT $TOWPATH_PHASE; pwd; echo $MODE";
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let said = Command::shell(script)
        .env("MODE", "fast")
        .folder(folder.to_str().unwrap())
        .run(&cx)
        .await
        .unwrap()
        .stdout;
    let key = cx_key("apply");
    assert_eq!(said, format!("{key} {} apply 3 run\n{}\nfast", cx.run_id(), folder.display()));
}

/// The key that a command of the step `step` passes on.
fn cx_key(step: &str) -> String {
    cx().with_step(step).key("command").unwrap().to_string()
}

#[tokio::test]
async fn an_empty_environment_holds_what_it_is_given() {
    let said = Command::new("/usr/bin/env").clear_env().env("A", "1").run(&cx()).await.unwrap().stdout;
    let names: Vec<_> = said.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert!(names.contains(&"A") && names.contains(&"TOWPATH_KEY"), "{names:?}");
    assert!(!names.contains(&"HOME") && !names.iter().any(|name| name.contains("gate")), "{names:?}");
}

#[tokio::test]
async fn exit_codes_are_classified() {
    let codes = ExitCodes {
        ok: [0, 3].into(),
        transient: [75].into(),
        rejected: [4].into(),
        unknown: [5].into(),
        ..ExitCodes::default()
    };
    for (code, kind) in [
        (3, None),
        (75, Some(FailureKind::Transient)),
        (4, Some(FailureKind::Rejected)),
        (5, Some(FailureKind::Unknown)),
        (1, Some(FailureKind::Permanent)),
    ] {
        let command = Command::shell("echo 'as told' >&2; exit $1").arg(code.to_string());
        let end = command.exit_codes(codes.clone()).run(&cx()).await;
        match kind {
            None => assert_eq!(end.unwrap().code, code),
            Some(kind) => {
                let failure = end.unwrap_err().to_failure();
                assert_eq!(failure.kind, kind, "{code}");
                assert_eq!(
                    failure.to_string(),
                    format!("the command ended with the exit code {code}: as told")
                );
                assert_eq!(
                    failure.details.unwrap(),
                    Json::of(&serde_json::json!({"code": code, "stderr": "as told\n"})).unwrap()
                );
            }
        }
    }
    let by_default = Command::shell("exit 75").run(&cx()).await.unwrap_err();
    assert_eq!(by_default.kind(), FailureKind::Transient, "EX_TEMPFAIL may pass");
}

#[tokio::test]
async fn what_cannot_begin_says_why() {
    for (command, words) in [
        (Command::new("no-such-program"), "exit code 127: sh: 1: exec: no-such-program: not found"),
        (
            Command::new("true").folder("/no/such/folder"),
            "the folder \"/no/such/folder\" of the command is not there",
        ),
        (Command::new(""), "the command has no program"),
        (Command::new(["printf", "a\0b"]), "argument 1 of the command holds a zero byte"),
        (Command::new("true").env("A=B", "x"), "\"A=B\" cannot be the name of a variable"),
    ] {
        let failure = command.run(&cx()).await.unwrap_err().to_failure();
        assert_eq!(failure.kind, FailureKind::Permanent, "{failure}");
        let (said, wanted) = (failure.to_string(), words.rsplit(": exec: ").next().unwrap());
        assert!(said.contains(wanted), "{said:?} does not say {wanted:?}");
    }
}

#[tokio::test]
async fn a_program_that_a_signal_ended_is_in_doubt_unless_its_code_is_named() {
    let killed = || Command::shell("kill -9 $$");
    let failure = killed().run(&cx()).await.unwrap_err().to_failure();
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::Unknown, "the command was ended by the signal 9")
    );
    let by_itself = Command::shell("exit 143").run(&cx()).await.unwrap_err();
    assert_eq!(by_itself.kind(), FailureKind::Unknown, "a shell tells so of what it ran");
    let named = [
        (ExitCodes { permanent: [137].into(), ..ExitCodes::default() }, FailureKind::Permanent),
        (ExitCodes { transient: [137].into(), ..ExitCodes::default() }, FailureKind::Transient),
        (ExitCodes { rejected: [137].into(), ..ExitCodes::default() }, FailureKind::Rejected),
    ];
    for (codes, kind) in named {
        assert_eq!(killed().exit_codes(codes).run(&cx()).await.unwrap_err().kind(), kind);
    }
    let outside = Command::shell("exit 193").run(&cx()).await.unwrap_err();
    assert_eq!(outside.kind(), FailureKind::Permanent, "there is no signal 65");
}

#[tokio::test]
async fn secrets_are_given_by_name_and_are_in_nothing_that_it_says() {
    let (token, key) = ("hunter2-hunter2", "-----BEGIN-----\nbm90LWEtc2VjcmV0\n-----END-----");
    let cx = cx().with_secret("token", token).with_secret("key", key);
    let script = "[ \"$TOKEN\" = hunter2-hunter2 ] || exit 9; echo \"out $TOKEN\"; echo \"$KEY\"; echo \"err $TOKEN\" >&2; exit $1";
    let command = |code: &str| {
        Command::shell(script)
            .arg(code)
            .secret_env("TOKEN", SecretRef::named("token"))
            .secret_env("KEY", SecretRef::named("key"))
    };
    let said = command("0").run(&cx).await.unwrap().stdout;
    assert_eq!(said, "out [secret token]\n[secret key]\n[secret key]\n[secret key]");
    let fresh = StepContext::for_test().with_secret("token", token).with_secret("key", key);
    let failure = command("1").run(&fresh).await.unwrap_err().to_failure();
    assert_eq!(failure.to_string(), "the command ended with the exit code 1: err [secret token]");
    let all = format!("{failure:?} {:?} {:?}", cx.recorded(), fresh.recorded());
    assert!(!all.contains(token) && !all.contains("bm90LW"), "{all}");
    let stored = serde_json::to_string(&command("0")).unwrap();
    assert!(stored.contains(r#""TOKEN":{"secret":"token"}"#), "{stored}");
}

#[tokio::test]
async fn secrets_of_the_worker_are_not_inherited() {
    const SECRET: &str = "TOWPATH_SECRET_TOKEN";
    if std::env::var_os(SECRET).is_some() {
        let said = Command::shell("env | grep -e ^SEEN= -e ^TOWPATH_SECRET").run(&cx()).await.unwrap();
        assert_eq!(said.stdout, "SEEN=seen");
        return;
    }
    // The environment of a process is set when it begins: so this test is run again, in one that has the secret.
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "secrets_of_the_worker_are_not_inherited"])
        .envs([(SECRET, "hunter2-hunter2"), ("SEEN", "seen")])
        .output()
        .unwrap();
    assert!(
        again.status.success() && String::from_utf8_lossy(&again.stdout).contains("1 passed"),
        "{again:?}"
    );
}

#[tokio::test]
async fn output_keeps_its_head_and_its_tail() {
    let cx = cx();
    let script = "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i+1)); done";
    let done = Command::shell(script).output_limit(200).run(&cx).await.unwrap();
    assert!(done.stdout.starts_with("line 0\n") && done.stdout.ends_with("line 2999"), "{}", done.stdout);
    assert!(done.stdout.len() < 300 && done.left_out > 20_000, "{done:?}");
    assert_eq!(cx.recorded().logs.len(), 3_000, "the log has all of it");
}

/// A script that starts a child and a grandchild, writes their process ids to the file `$1`, and goes on for ever.
const TREE: &str =
    "sh -c 'sleep 1000 & echo $! >> \"$1\"; wait' sh \"$1\" & echo $! >> \"$1\"; echo $$ >> \"$1\"; wait";

#[tokio::test]
async fn a_tree_is_killed_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let command = Command::shell(TREE).arg(pids.to_str().unwrap()).timeout(Duration::from_millis(700));
    let failure = command.run(&cx()).await.unwrap_err().to_failure();
    assert_eq!(failure.kind, FailureKind::Unknown, "what it did is not known");
    assert!(
        failure.to_string().starts_with("the command was ended after its time limit of 700ms"),
        "{failure}"
    );
    let pids = lines(&pids);
    assert_eq!(pids.len(), 3, "all of them had begun");
    until("the tree is gone", || !pids.iter().any(|pid| lives(pid))).await;
}

#[tokio::test]
async fn who_does_not_listen_is_killed_after_the_grace_period() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let deaf = format!("trap '' TERM; {TREE}");
    let since = Instant::now();
    let command = Command::shell(deaf.as_str())
        .arg(pids.to_str().unwrap())
        .timeout(Duration::from_millis(500))
        .grace(Duration::from_secs(1));
    assert_eq!(command.run(&cx()).await.unwrap_err().kind(), FailureKind::Unknown);
    assert!(since.elapsed() >= Duration::from_millis(1_500), "it was given its grace period");
    let pids = lines(&pids);
    assert_eq!(pids.len(), 3);
    until("the tree is gone", || !pids.iter().any(|pid| lives(pid))).await;
}

#[tokio::test]
async fn a_step_that_is_asked_to_stop_begins_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("began");
    let command = Command::new("touch").arg(file.to_str().unwrap());
    let said = command.run(&cx().asked_to_stop()).await.unwrap_err();
    assert_eq!(said.to_string(), "the step was asked to stop before its command began");
    assert_eq!(said.kind(), FailureKind::Transient, "nothing is in doubt");
    assert!(!file.exists());
}

#[tokio::test]
async fn a_dropped_future_ends_the_tree() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let command = Command::shell(format!("trap '' TERM; {TREE}"))
        .arg(pids.to_str().unwrap())
        .grace(Duration::from_secs(1));
    let cx = cx();
    tokio::select! {
        end = command.run(&cx) => panic!("it ended: {end:?}"),
        () = until("the tree has begun", || lines(&pids).len() == 3) => {}
    }
    let pids = lines(&pids);
    until("the tree is gone", || !pids.iter().any(|pid| lives(pid))).await;
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_it() {
    let cx = cx();
    let since = Instant::now();
    let done = Command::shell("sleep 1000 & echo $!").run(&cx).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(60), "its output was not awaited for ever");
    until("what it left is gone", || !lives(&done.stdout)).await;
}

#[tokio::test]
async fn an_output_that_somebody_else_holds_is_not_awaited_for_ever() {
    let since = Instant::now();
    let done = Command::shell("setsid sleep 1000 & echo $!").run(&cx()).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(60));
    std::process::Command::new("kill").args(["-KILL", &done.stdout]).status().unwrap();
}

#[tokio::test]
async fn a_program_meets_no_child_that_it_did_not_start() {
    // `ps` of the children of the program: only the `ps` itself and what the substitution starts.
    let script = "for stat in /proc/[0-9]*/stat; do read -r _ _ _ parent _ < \"$stat\" 2>/dev/null || continue; \
                  [ \"$parent\" = $$ ] && echo child; done; true";
    assert_eq!(Command::shell(script).run(&cx()).await.unwrap().stdout, "");
}

#[tokio::test]
async fn nothing_acts_before_it_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("acted");
    let cx = cx();
    Command::shell("echo $$ > \"$1\"").arg(file.to_str().unwrap()).run(&cx).await.unwrap();
    let saved = cx.recorded().checkpoints;
    assert_eq!(saved.len(), 1);
    let record: serde_json::Value = saved[0].read().unwrap();
    assert_eq!(record["key"], cx_key("step"));
    assert!(
        record["boot"].is_string() && record["pid"].is_number() && record["start"].is_number(),
        "{record}"
    );
    // What only looks is not recorded.
    let looks = StepContext::for_test();
    let command = Command::new("true").observe("true").before("true");
    Step::observe(&command, &looks).await.unwrap();
    assert!(looks.recorded().checkpoints.is_empty());
}

#[tokio::test]
async fn an_earlier_program_is_ended_before_another_begins() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let first = cx();
    let deaf = format!("trap '' TERM; {TREE}");
    let command = Command::shell(deaf.as_str()).arg(pids.to_str().unwrap()).grace(Duration::from_secs(600));
    // The first entry is dropped; with its long grace period its program goes on.
    tokio::select! {
        end = command.run(&first) => panic!("it ended: {end:?}"),
        () = until("the tree has begun", || lines(&pids).len() == 3) => {}
    }
    let old = lines(&pids);
    assert!(old.iter().all(|pid| lives(pid)));
    let next = StepContext::for_test().with_checkpoint(&first.recorded().checkpoints[0]);
    let script = "for pid in $(cat \"$1\"); do case $(cut -d ' ' -f 3 /proc/$pid/stat 2>/dev/null) in \
                  ''|Z|X) ;; *) echo \"$pid lives\" ;; esac; done";
    let again = Command::shell(script).arg(pids.to_str().unwrap()).grace(Duration::from_millis(100));
    assert_eq!(again.run(&next).await.unwrap().stdout, "", "nothing of it lived when the other began");
    assert!(next.recorded().logs.iter().any(|line| line.contains("ended the program of an earlier entry")));
    assert!(!old.iter().any(|pid| lives(pid)));
}

#[tokio::test]
async fn observe_tells_by_its_exit_code() {
    for (script, seen) in [
        ("echo there", Some(Observed::Done(CommandOutput { code: 0, stdout: "there".into(), left_out: 0 }))),
        ("exit 1", Some(Observed::NotDone)),
        (
            "echo '{\"by\":\"ann\"}'; exit 2",
            Some(Observed::TakenOver(Json::parse(r#"{"by":"ann"}"#).unwrap())),
        ),
        ("echo ann; exit 2", Some(Observed::TakenOver(Json::of("ann").unwrap()))),
        ("echo 'no route' >&2; exit 3", None),
    ] {
        let command = Command::new("true").observe(Argv::shell(script));
        let said = Step::observe(&command, &cx()).await;
        match seen {
            Some(seen) => assert_eq!(said.unwrap(), seen, "{script}"),
            None => assert_eq!(said.unwrap_err().kind(), FailureKind::Unknown, "{script}"),
        }
        let looking = Step::observe(&command, &cx()).await;
        assert_eq!(looking.is_ok(), script != "echo 'no route' >&2; exit 3", "a look can be repeated");
    }
}

fn undo_of(before: Option<Json>, output: Option<CommandOutput>) -> Undo<CommandOutput> {
    let ended = if output.is_some() { UndoEnded::Done } else { UndoEnded::Failed };
    Undo { before, output, checkpoint: None, ended }
}

#[tokio::test]
async fn undo_gets_what_was_before_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weight");
    fs::write(&file, "5\n").unwrap();
    let path = file.to_str().unwrap();
    let command = Command::shell("echo \"$2\" > \"$1\"; echo set")
        .args([path, "50"])
        .before(Argv::shell("cat \"$1\"").arg(path))
        .undo(Argv::shell("echo \"$TOWPATH_BEFORE\" > \"$1\"; echo \"$TOWPATH_PHASE $TOWPATH_OUTPUT $TOWPATH_RUN_KEY\" >&2").arg(path));
    let before = Step::before(&command, &cx()).await.unwrap();
    assert_eq!(before.read::<String>().unwrap(), "5");
    let run = cx().with_before("5");
    let output = command.run(&run).await.unwrap();
    assert_eq!(lines(&file), ["50"]);
    let undo = || StepContext::for_test().undoing().with_checkpoint(&run.recorded().checkpoints[0]);
    for round in 1..=2 {
        let cx = undo();
        command.compensate(&cx, undo_of(Some(before.clone()), Some(output.clone()))).await.unwrap();
        assert_eq!(lines(&file), ["5"], "round {round}");
        assert_eq!(cx.recorded().logs, [format!("undo set {}", cx_key("step"))]);
        let saved: serde_json::Value = cx.recorded().checkpoints[0].read().unwrap();
        assert_ne!(saved["key"], cx_key("step"), "undoing has a key of its own");
    }
}

#[tokio::test]
async fn work_can_be_repeated_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let orders = folder.path().join("orders");
    let order =
        Command::shell("mkdir -p \"$1\"; [ -e \"$1/$TOWPATH_KEY\" ] || echo new > \"$1/$TOWPATH_KEY\"")
            .arg(orders.to_str().unwrap())
            .idempotent();
    for attempt in 1..=3 {
        order.run(&cx().with_attempt(attempt)).await.unwrap();
    }
    assert_eq!(fs::read_dir(&orders).unwrap().count(), 1);
}

#[tokio::test]
async fn a_before_image_that_is_too_large_is_refused() {
    let command = Command::new("true")
        .before(Argv::shell("head -c 70000 /dev/zero | tr '\\0' x"))
        .output_limit(1 << 20);
    let failure = Step::before(&command, &cx()).await.unwrap_err();
    assert!(failure.to_string().contains("wrote more than 65536 bytes"), "{failure}");
}

#[tokio::test]
async fn a_preview_is_what_a_program_says_line_by_line() {
    let script = "echo 'Plan: $1'; echo '+ table orders'; echo '~ weight 5 of 10'; echo '- index old'; echo '= table items'; echo '? rest'";
    let command = Command::new("true").preview(Argv::shell(script));
    let told = Step::preview(&command, &cx()).await.unwrap();
    let lines: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["+ table orders", "~ weight 5 of 10", "- index old", "= table items", "? rest"]);
    let failing = Command::new("true").preview(Argv::shell("echo 'no plan' >&2; exit 1"));
    assert!(Step::preview(&failing, &cx()).await.is_err());
    let p = towpath_step::Pipeline::new("p");
    let file = p.param::<String>("file");
    let unknown = Command::new("true").preview(Argv::new("plan").arg(&file));
    assert!(
        Step::preview(&unknown, &cx()).await.unwrap()[0]
            .to_string()
            .starts_with("? what the command step does")
    );
}

#[test]
fn a_plan_holds_what_its_author_said() {
    let asked = Command::new("make").declared();
    assert_eq!((asked.in_doubt, asked.undo), (InDoubt::AskOperator, UndoPolicy::Undo));
    assert!(!asked.methods.observe && !asked.methods.compensate && !asked.methods.before);
    assert_eq!(Command::new("make").idempotent().declared().in_doubt, InDoubt::Idempotent);
    assert_eq!(Command::new("make").no_effect().declared().in_doubt, InDoubt::NoEffect);
    let seen = Command::new("make").observe("look").undo("unmake").before("look").declared();
    assert_eq!(seen.in_doubt, InDoubt::Observe);
    assert!(seen.methods.observe && seen.methods.compensate && seen.methods.before);
}

#[test]
fn what_is_stored_is_short_when_nothing_is_said() {
    let stored = serde_json::to_string(&Command::new(["git", "push"])).unwrap();
    assert_eq!(
        stored,
        r#"{"argv":[{"value":"git"},{"value":"push"}],"grace_ms":10000,"output_bytes":49152,"in_doubt":"ask-operator"}"#
    );
}
