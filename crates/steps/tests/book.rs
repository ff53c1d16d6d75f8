//! The pipelines that the book shows build.

#[cfg(feature = "http")]
extern crate towpath_step as towpath;

use std::time::Duration;
use towpath_step::Pipeline;
use towpath_steps::Approval;

#[cfg(unix)]
#[test]
fn commands_of_the_book_build() {
    use towpath_steps::{Argv, Command};
    let p = Pipeline::new("migration");
    let database = p.param::<String>("database");
    let migrate = Command::new("sqitch")
        .args(["deploy", "--target"])
        .arg(&database)
        .observe(Argv::shell("sqitch status \"$1\" | grep -q 'Nothing to deploy'").arg(&database))
        .before(Argv::shell("sqitch status \"$1\" | sed -n 's/^# Change: *//p'").arg(&database))
        .undo(Argv::shell("sqitch revert -y --to \"$TOWPATH_BEFORE\" \"$1\"").arg(&database));
    p.step("migrate", migrate);
    let built = p.build().unwrap();
    assert_eq!(built.record().steps.len(), 1);
}

#[test]
fn approvals_of_the_book_build() {
    let p = Pipeline::new("release");
    let (version, author) = (p.param::<String>("version"), p.param::<String>("author"));
    let ok = p.step(
        "approve",
        Approval::of(&version)
            .from_team("sre", ["user:ann", "user:bob", "user:eve"])
            .quorum(2)
            .not_from(&author)
            .expires(Duration::from_secs(8 * 3_600)),
    );
    p.output(&ok).build().unwrap();
}

#[test]
fn windows_of_the_book_build() {
    use towpath_steps::{Calendar, Window};
    let p = Pipeline::new("release");
    let office = Calendar::in_zone("Europe/Berlin")
        .open("mon-thu 09:00-16:00")
        .open("fri 09:00-12:00")
        .closed("2026-12-19", "2027-01-03", "nobody is there");
    let open = p.step("window", Window::of(office).override_from(["user:ann", "user:bob"]));
    p.output(&open).build().unwrap();
}

#[cfg(feature = "deploy")]
#[test]
fn environments_of_the_book_open_and_close() {
    use towpath_step::{Approved, Environment};
    use towpath_steps::deploy::{BlueGreen, Release};
    use towpath_steps::{Calendar, Window};
    let p = Pipeline::new("release");
    let release = p.param::<Release>("release");
    let office = Calendar::in_zone("Europe/Berlin").open("mon-thu 09:00-16:00");
    let production = Environment::named("production").accepts::<Approved<Release>>().windows(&office);
    let ok = p.step("approve", Approval::of(&release));
    let open = p.step("window", Window::before(&production)).after(&ok);
    p.step("live", BlueGreen::of(&ok).to(&production)).after(&open);
    p.build().unwrap();
}

#[cfg(feature = "http")]
#[test]
fn requests_of_the_book_build() {
    use towpath_step::{SecretRef, text};
    use towpath_steps::{HttpCall, HttpCheck, HttpProbe, HttpRequest};
    let p = Pipeline::new("order");
    let (version, host) = (p.param::<String>("version"), p.param::<String>("host"));
    let token = || SecretRef::named("orders-token");
    let by_key = HttpRequest::get("https://orders.example/by-key/{key}").bearer(token());
    let order = p.step(
        "order",
        HttpCall::new(
            HttpRequest::post("https://orders.example/").bearer(token()).field("version", &version),
        )
        .observe(HttpProbe::new(by_key).equals("/status", "placed"))
        .undo(HttpRequest::delete("https://orders.example/{output/body/id}").bearer(token())),
    );
    p.step(
        "healthy",
        HttpCheck::get(text!("https://{host}/health"))
            .equals("/status", "ok")
            .successes(3)
            .every(Duration::from_secs(10))
            .until(Duration::from_secs(600)),
    )
    .after(&order);
    p.build().unwrap();
}
