//! What plans store of the stock steps, and that it is read back.
#![cfg(all(unix, feature = "http"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

extern crate towpath_step as towpath;

#[path = "../../model/src/snapshot.rs"]
mod snapshot;

use serde_json::json;
use std::{fmt::Write as _, time::Duration};
use towpath_model::{Json, Timestamp};
use towpath_step::{Pipeline, SecretRef, model::PlanRecord, text};
use towpath_steps::{
    Approval, Argv, Calendar, Command, ExitCodes, Expired, HttpCall, HttpCheck, HttpProbe, HttpRequest,
    Notify, Wait, Window,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Each kind as briefly as it can be, and with everything that it takes.
fn plan() -> PlanRecord {
    let p = Pipeline::new("all");
    let name = p.param::<String>("name");
    let secret = || SecretRef::named("token");

    p.step("command", Command::new(["git", "push"]));
    let full = Command::shell("echo \"$1\"")
        .arg(&name)
        .env("NAME", &name)
        .secret_env("TOKEN", secret())
        .clear_env()
        .folder("/srv")
        .timeout(MINUTE)
        .grace(Duration::from_secs(1))
        .output_limit(100)
        .exit_codes(ExitCodes { rejected: [3].into(), unknown: [4].into(), ..ExitCodes::default() })
        .before("look")
        .preview("plan")
        .observe(["look", "again"])
        .undo(Argv::new("undo").arg(&name));
    let command = p.step("command-full", full);

    p.step("approval", Approval::of_value("v2".to_owned()));
    let full = Approval::of(&command.stdout)
        .showing(&command)
        .from(["user:ann"])
        .from_team("sre", ["user:bob"])
        .not_from(&name)
        .quorum(2)
        .expires(MINUTE)
        .expired(Expired::Reject);
    p.step("approval-full", full);

    p.step("wait-time", Wait::time(MINUTE));
    p.step("wait-point", Wait::until(Timestamp::from_micros(1_893_456_000_000_000)));
    p.step("wait-signal", Wait::signal("go"));
    p.step("wait-within", Wait::signal_within(&name, MINUTE).or_go_on());

    p.step("window", Window::of(Calendar::utc()));
    let full = Calendar::in_zone("Europe/Berlin").open("mon-thu 09:00-16:00").closed(
        "2026-12-24",
        "2027-01-03",
        "rest",
    );
    p.step("window-full", Window::of(full).override_from(["user:ann"]));

    p.step("notify", Notify::log("done").required());
    p.step(
        "notify-webhook",
        Notify::webhook(HttpRequest::to_secret("POST", secret()), text!("hello {name}")),
    );

    p.step("check", HttpCheck::get("https://a.example/"));
    let full = HttpCheck::head("https://a.example/")
        .header("Accept", "text/plain")
        .secret_header("X-Key", secret())
        .status([200, 204])
        .contains(&name)
        .equals("/a", &1)
        .equals_output("/b", &name)
        .successes(3)
        .timeout(MINUTE)
        .every(MINUTE)
        .until(10 * MINUTE);
    p.step("check-full", full);

    p.step("call", HttpCall::new(HttpRequest::get("https://a.example/")));
    let body =
        HttpRequest::post("https://a.example/").bearer(secret()).json(&json!({"a": 1})).field("b", &name);
    let full = HttpCall::new(body)
        .also_ok([409])
        .key_header("X-Key")
        .keep_headers(["Location"])
        .timeout(MINUTE)
        .body_limit(100)
        .observe(HttpProbe::new(HttpRequest::get("https://a.example/{key}")).equals("/a", &1))
        .undo(HttpRequest::delete("https://a.example/{key}").text("text/plain", &name));
    p.step("call-full", full);
    PlanRecord::clone(p.build().unwrap().record())
}

#[test]
fn kinds_are_a_stored_format() {
    let mut shown = String::new();
    for step in plan().steps {
        let value: serde_json::Value = step.with.read().unwrap();
        writeln!(shown, "{} {}\n{value:#}", step.id, step.kind).unwrap();
    }
    snapshot::check("kinds.txt", &shown);
}

#[test]
fn the_schemas_of_generic_kinds_name_every_field_and_no_other() {
    let known = towpath_steps::steps();
    let mut seen = std::collections::BTreeSet::new();
    for step in plan().steps {
        let kind = known.get(step.kind.as_str()).unwrap();
        let schema: serde_json::Value = kind.schema().read().unwrap();
        let with = &schema["properties"]["with"];
        let named: Vec<&String> = with["properties"].as_object().unwrap().keys().collect();
        let mut fields = kind.fields().to_vec();
        fields.sort_unstable();
        assert_eq!(named, fields, "{}", step.kind);
        // What has to be there is there in what stores least, and without it nothing is read.
        let stored: serde_json::Value = step.with.read().unwrap();
        for field in with["required"].as_array().unwrap() {
            let mut less = stored.clone();
            assert!(
                less.as_object_mut().unwrap().remove(field.as_str().unwrap()).is_some(),
                "{} {field}",
                step.id
            );
            assert!(
                known.decode(step.kind.as_str(), &Json::of(&less).unwrap()).is_err(),
                "{} {field}",
                step.id
            );
        }
        seen.insert(step.kind.to_string());
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
}

#[test]
fn what_is_stored_is_read_back_and_nothing_else_is() {
    let known = towpath_steps::steps();
    for step in plan().steps {
        let read = known.decode(step.kind.as_str(), &step.with).unwrap();
        let again: serde_json::Value = serde_json::to_value(&*read).unwrap();
        assert_eq!(again["with"], step.with.read::<serde_json::Value>().unwrap(), "{}", step.id);
        let mut more = again["with"].clone();
        more["surprise"] = json!(1);
        let refused = known.decode(step.kind.as_str(), &Json::of(&more).unwrap());
        assert!(refused.is_err(), "{}: a field of a later release is not passed over in silence", step.id);
    }
}
