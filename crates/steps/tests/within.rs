//! Stock steps of a pipeline that is placed within another: parameters are replaced wherever they stand, and are edges.
#![cfg(all(unix, feature = "http"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so")]

extern crate towpath_step as towpath;

use std::time::Duration;
use towpath_step::{Pipeline, text};
use towpath_steps::{Approval, Argv, Command, HttpCall, HttpCheck, HttpProbe, HttpRequest, Notify, Wait};

fn inner() -> Pipeline<()> {
    let p = Pipeline::new("inner");
    let (name, time) = (p.param::<String>("name"), p.param::<Duration>("time"));
    let request = || {
        HttpRequest::post(text!("https://a.example/{name}/{{key}}"))
            .header("x-name", &name)
            .field("name", &name)
    };
    p.step("env", Command::new("true").env("NAME", &name));
    p.step("folder", Command::new("true").folder(&name));
    p.step("argv", Command::shell(&name).arg(&name));
    p.step("observe", Command::new("true").observe(Argv::new("look").arg(&name)));
    p.step("undo", Command::new("true").undo(Argv::new("undo").arg(&name)));
    p.step("before", Command::new("true").before(Argv::new("look").arg(&name)));
    p.step("preview", Command::new("true").preview(Argv::new("look").arg(&name)));
    p.step("call", HttpCall::new(request()));
    p.step("call-body", HttpCall::new(HttpRequest::post("https://a.example/").text("text/plain", &name)));
    let plain = || HttpCall::new(HttpRequest::post("https://a.example/"));
    p.step("call-observe", plain().observe(HttpProbe::new(request())));
    p.step("call-undo", plain().undo(request()));
    p.step("check", HttpCheck::get(&name).header("x-name", &name));
    p.step("check-body", HttpCheck::get("https://a.example/").contains(&name).equals_output("/a", &name));
    p.step("notify", Notify::webhook(request(), &name));
    p.step("wait-signal", Wait::signal_within(&name, &time));
    p.step("approval", Approval::of(&name).showing(&name).not_from(&name).expires(&time));
    p.step("approval-shown", Approval::of_value("v2".to_owned()).showing(&name));
    p.build().unwrap()
}

#[test]
fn parameters_are_replaced_in_every_field_and_are_edges() {
    let p = Pipeline::new("outer");
    let made = p.step("make", Command::new("make").no_effect());
    p.sub("in", &inner(), towpath::params! { name: &made.stdout, time: Duration::from_secs(60) });
    let built = p.build().unwrap();
    let placed: Vec<_> = built.record().steps.iter().filter(|step| step.id.as_str() != "make").collect();
    assert_eq!(placed.len(), inner().record().steps.len());
    for step in placed {
        let with = step.with.as_str();
        assert!(!with.contains("\"param\""), "{}: {with}", step.id);
        assert!(
            with.contains(r#"{"from":{"path":"/stdout","step":"make"}}"#)
                || with.contains(r#"{"from":{"step":"make","path":"/stdout"}}"#),
            "{}: {with}",
            step.id
        );
        assert!(step.reads.iter().any(|read| read.step.as_str() == "make"), "{}: no edge", step.id);
    }
}
