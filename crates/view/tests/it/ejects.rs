//! The script of a plan is one that bash reads, does what the plan says, and undoes it when a step fails.

use crate::common::{checkout, id, json, plan, record, snapshot, step, text};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Output, Stdio},
};
use towpath_model::{Condition, Json, Operand, PlanRecord, Read, ReadMode, Section, StepRecord};
use towpath_view::{PlanView, eject, quote};

/// Gives a shell a script on a command line, and an answer on its standard input.
fn shell(name: &str, args: &[&str], answers: &str) -> Option<Output> {
    let child = Command::new(name)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    match child {
        Ok(mut child) => {
            // A script that asks nothing has closed its input already.
            let _ = child.stdin.take().unwrap().write_all(answers.as_bytes());
            Some(child.wait_with_output().unwrap())
        }
        Err(error) => {
            skipped(&format!("{name}: {error}"));
            None
        }
    }
}

fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    if let Some(path) = std::env::var_os("TOWPATH_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "SKIPPED: {test}: {why}").unwrap();
    }
}

fn command(name: &str, argv: &str, undo: Option<&str>) -> StepRecord {
    let undo = undo.map(|undo| format!(r#","undo":{undo}"#)).unwrap_or_default();
    let with = format!(r#"{{"argv":{argv},"grace_ms":1,"output_bytes":1,"in_doubt":"idempotent"{undo}}}"#);
    StepRecord { with: json(&with), ..step(name, "towpath.command/v1") }
}

fn sh(name: &str, script: &str, undo: Option<&str>) -> StepRecord {
    let argv = |script: &str| {
        format!(r#"[{{"value":"sh"}},{{"value":"-c"}},{{"value":{}}}]"#, Json::of(script).unwrap().as_str())
    };
    command(name, &argv(script), undo.map(argv).as_deref())
}

fn after(step: StepRecord, before: &str) -> StepRecord {
    StepRecord { after: vec![id(before)], ..step }
}

/// Runs the script of a plan in an empty folder. Gives its exit code, what it wrote into the file `did`, and its errors.
fn run(record: &PlanRecord, values: &BTreeMap<String, Json>, answers: &str) -> Option<(i32, String, String)> {
    let script = eject(&PlanView::of(record).with_values(values));
    let folder = std::env::temp_dir().join(format!("towpath-eject-{}-{:p}", std::process::id(), record));
    std::fs::create_dir_all(&folder).unwrap();
    let whole = format!("cd '{}'\n{script}", folder.display());
    let output = shell("bash", &["-c", &whole], answers)?;
    let did = std::fs::read_to_string(folder.join("did")).unwrap_or_default();
    std::fs::remove_dir_all(&folder).unwrap();
    Some((output.status.code().unwrap_or(-1), did, String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[test]
fn commands_run_in_order_and_read_what_others_wrote() {
    let build = sh("build", "echo build >> did; printf '%s' \"it's $HOME \\\"q\\\" \"", None);
    let mut tell = command(
        "tell",
        r#"[{"value":"sh"},{"value":"-c"},{"value":"echo \"$1|$2\" >> did"},{"value":"sh"},
            {"text":["<",{"from":{"step":"build","path":"/stdout"}},">"]},{"param":{"name":"commit"}}]"#,
        None,
    );
    tell.reads = vec![Read { step: id("build"), mode: ReadMode::Required }];
    let mut last = sh("last", "echo finally >> did", None);
    last.section = Section::Finally;
    let mut record = record(vec![tell, build, last]);
    record.params.insert("commit".into(), json("{}"));
    let values = BTreeMap::from([("commit".to_owned(), json(r#""4f2c'$(touch x)""#))]);
    let Some((code, did, err)) = run(&record, &values, "") else { return };
    let home = std::env::var("HOME").unwrap_or_default();
    assert_eq!((code, did), (0, format!("build\n<it's {home} \"q\" >|4f2c'$(touch x)\nfinally\n")), "{err}");
}

/// A server that is well from the third time on that it is asked, and its port.
fn server() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for (connection, n) in listener.incoming().zip(0..) {
            let mut connection = connection.unwrap();
            let asked = std::io::BufReader::new(connection.try_clone().unwrap());
            let _ = std::io::BufRead::lines(asked).find(|line| line.as_ref().is_ok_and(String::is_empty));
            let status = if n < 2 { "503 Service Unavailable" } else { "200 OK" };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            connection.write_all(head.as_bytes()).unwrap();
        }
    });
    port
}

#[test]
fn an_address_is_asked_until_it_answers_or_its_time_is_over() {
    if shell("curl", &["--version"], "").is_none() {
        return;
    }
    let check = |until_ms: u64| {
        let url = format!(r#"{{"text":["http://127.0.0.1:",{{"value":"{}"}},"/health"]}}"#, server());
        let with = format!(
            r#"{{"request":{{"method":"GET","url":{{"text":{url}}}}},"successes":2,"timeout_ms":5000,"every_ms":10,"until_ms":{until_ms},"body_bytes":1}}"#
        );
        let step = StepRecord { with: json(&with), ..step("check", "towpath.http-check/v1") };
        let told = sh("tell", "echo \"$1\" >> did", None);
        record(vec![step, after(told, "check")])
    };
    let Some((code, did, err)) = run(&check(60_000), &BTreeMap::new(), "") else { return };
    assert_eq!((code, did.as_str()), (0, "\n"), "{err}");
    let Some((code, did, err)) = run(&check(0), &BTreeMap::new(), "") else { return };
    assert_eq!((code, did.as_str()), (1, ""), "{err}");
    assert!(err.contains("check: it answers 503"), "{err}");
}

#[test]
fn commands_read_nothing_of_what_is_typed() {
    let read = |name: &str| format!("echo \"{name}<$(cat)>\" >> did");
    let steps = vec![
        sh("a", &read("a"), Some(&read("undo a"))),
        after(sh("b", &format!("{}; exit 3", read("b")), None), "a"),
    ];
    let Some((code, did, err)) = run(&record(steps), &BTreeMap::new(), "yes\nyes\n") else { return };
    assert_eq!((code, did.as_str()), (3, "a<>\nb<>\nundo a<>\n"), "{err}");
}

#[test]
fn what_was_done_is_undone_in_reverse_when_a_step_fails() {
    let steps = vec![
        sh("a", "echo a >> did", Some("echo undo a >> did")),
        after(sh("b", "echo b >> did", Some("echo undo b >> did; exit 1")), "a"),
        after(StepRecord { best_effort: true, ..sh("c", "exit 9", None) }, "b"),
        after(sh("d", "echo d >> did; exit 3", Some("echo undo d >> did")), "c"),
        after(sh("e", "echo e >> did", None), "d"),
        StepRecord { section: Section::OnFailure, ..sh("page", "echo page >> did", None) },
        StepRecord { section: Section::Finally, ..sh("tidy", "echo tidy >> did", None) },
    ];
    let Some((code, did, err)) = run(&record(steps), &BTreeMap::new(), "") else { return };
    assert_eq!(did, "a\nb\nd\nundo d\nundo b\nundo a\npage\ntidy\n", "{err}");
    assert_eq!(code, 3);
    assert!(
        err.contains("c: failed, and the rest goes on") && err.contains("undo_b: it could not be undone"),
        "{err}"
    );
}

#[test]
fn conditions_skip_steps_and_their_readers() {
    let count = sh("count", "echo 3", None);
    let of = || Operand::From { step: id("count"), path: "/stdout".into() };
    let when =
        |name: &str, when| StepRecord { when: Some(when), ..sh(name, &format!("echo {name} >> did"), None) };
    let mut reader = sh("reader", "echo reader >> did", None);
    reader.reads = vec![Read { step: id("no"), mode: ReadMode::Required }];
    let few = Condition::AtMost(of(), Operand::Value(json("3")));
    let none = Condition::Is(of(), Operand::Value(json("0")));
    let both = Condition::All(vec![few.clone(), Condition::Not(Box::new(none.clone()))]);
    let record = record(vec![count, when("few", few), when("no", none), when("both", both), reader]);
    let Some((code, did, err)) = run(&record, &BTreeMap::new(), "") else { return };
    assert_eq!((code, did.as_str()), (0, "few\nboth\n"), "{err}");
}

#[test]
fn people_are_asked_and_a_no_unwinds() {
    let mut approve = step("approve", "towpath.approval/v1");
    approve.with = json(r#"{"value":{"param":{"name":"image"}},"quorum":1,"expired":"reject"}"#);
    let mut ship = command(
        "ship",
        r#"[{"value":"sh"},{"value":"-c"},{"value":"echo \"$1\" >> did"},{"value":"sh"},{"from":{"step":"approve","path":"/value"}}]"#,
        None,
    );
    ship.reads = vec![Read { step: id("approve"), mode: ReadMode::Required }];
    let mut record = record(vec![sh("a", "true", Some("echo undone >> did")), after(approve, "a"), ship]);
    record.params.insert("image".into(), json("{}"));
    let values = BTreeMap::from([("image".to_owned(), json("\"shop@sha256:1\""))]);
    let Some((code, did, err)) = run(&record, &values, "yes\n") else { return };
    assert_eq!((code, did.as_str()), (0, "shop@sha256:1\n"), "{err}");
    let (code, did, _) = run(&record, &values, "no\n").unwrap();
    assert_eq!((code, did.as_str()), (1, "undone\n"));
}

#[test]
fn what_has_no_shell_form_stops_and_undoes_nothing() {
    let steps =
        vec![sh("a", "echo a >> did", Some("echo undo a >> did")), after(step("b", "shop.scan/v1"), "a")];
    let mut record = record(steps);
    let Some((code, did, err)) = run(&record, &BTreeMap::new(), "") else { return };
    assert_eq!((code, did.as_str()), (70, "a\n"), "{err}");
    record.steps[1].best_effort = true;
    record.steps.push(after(sh("c", "echo c >> did", None), "b"));
    assert_eq!(
        run(&record, &BTreeMap::new(), "").map(|(code, did, _)| (code, did)),
        Some((70, "a\n".into()))
    );
    assert!(
        err.contains("b: this step has no shell form. Do by hand:") && err.contains("DONE_b=yes"),
        "{err}"
    );
}

#[test]
fn the_script_of_the_plan_of_the_examples() {
    let record = checkout();
    snapshot("checkout.sh", &eject(&PlanView::of(&record)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_text_survives_a_shell(text in text(), more in ".{0,40}") {
        let text = format!("{text}{more}");
        match quote(&text) {
            None => prop_assert!(text.contains('\0')),
            Some(word) => {
                if let Some(output) = shell("sh", &["-c", &format!("printf '%s' {word}")], "") {
                    prop_assert_eq!(output.stdout, text.as_bytes());
                }
            }
        }
    }

    #[test]
    fn the_script_of_any_plan_is_one_that_bash_reads(record in plan(1), fields in text(), value in text()) {
        let mut record = record;
        for step in record.steps.iter_mut().step_by(2) {
            let text = Json::of(&fields).unwrap();
            let argv = format!(r#"[{{"value":{0}}},{{"text":[{0},{{"param":{{"name":"p"}}}}]}}]"#, text.as_str());
            *step = StepRecord { with: command("x", &argv, Some(&argv)).with, kind: "towpath.command/v1".parse().unwrap(), ..step.clone() };
        }
        record.params.insert("p".into(), json("{}"));
        let values = BTreeMap::from([("p".to_owned(), Json::of(&value).unwrap())]);
        for view in [PlanView::of(&record), PlanView::of(&record).with_values(&values)] {
            let script = eject(&view);
            if !script.contains('\0') && let Some(output) = shell("bash", &["-n"], &script) {
                prop_assert!(output.status.success(), "{}\n{script}", String::from_utf8_lossy(&output.stderr));
            }
            prop_assert!(!script.contains('\0'));
        }
    }
}
