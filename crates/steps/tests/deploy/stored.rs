//! What plans store of these steps, and what they give back.

use crate::scene::*;
use serde_json::json;
use std::fmt::Write as _;
use towpath_model::{Json, Timestamp};
use towpath_step::{Environment, Pipeline, model::PlanRecord};
use towpath_steps::deploy::{
    BlueGreen, Canary, ErrorRate, Image, Inconclusive, Latency, Live, MakeRelease, Previous, Promote, Retire,
    Rollback, Rolling,
};

#[path = "../../../model/src/snapshot.rs"]
mod snapshot;

/// Each kind as briefly as it can be, and with everything that it takes.
fn plan() -> PlanRecord {
    let p = Pipeline::new("all");
    let (name, image) = (p.param::<String>("name"), p.param::<Image>("image"));
    let made = p.step("release", MakeRelease::new("orders", &name, &image));
    let full = MakeRelease::new("orders", &name, &image).instances(2).env("LOG", &name).health("/ready");
    p.step("release-full", full.probe(seconds(1), seconds(3)));
    let canary = p.step("canary", Canary::of(&made).to(&production()));
    let full = Canary::of(&made)
        .to(&Environment::named("eu").router("edge"))
        .weights([5, 100])
        .bake(seconds(60))
        .judge(
            ErrorRate::not_worse_than_baseline()
                .requests(100)
                .margin(0.25)
                .good_below(0.2)
                .at_most(5.0)
                .false_alarms(1.0),
        )
        .judge(Latency::not_worse_than_baseline(99.0).factor(1.25).slack(seconds(1)).answers(200))
        .inconclusive(Inconclusive::Fail)
        .prolong(1)
        .every(seconds(5))
        .hold(seconds(30))
        .healthy_within(seconds(90))
        .drain(seconds(5));
    p.step("canary-full", full);
    p.step("green", BlueGreen::of(&made).to(&production()).by_health_alone());
    p.step("rolling", Rolling::of(&made).to(&production()).batch(2));
    let live = p.step("promote", Promote::of(&canary).to(&production()));
    p.step("promote-full", Promote::of(&canary).to(&production()).undoable());
    p.step("retire", Retire::before(&live).from(&production()));
    p.step("retire-full", Retire::before(&live).from(&production()).keep(3).drain(seconds(5)));
    p.step("back", Rollback::of("orders").to(&production()));
    let full = Rollback::of(&name).to(&production()).version(&name).release(&made).healthy_within(seconds(9));
    p.step("back-full", full);
    PlanRecord::clone(p.build().unwrap().record())
}

#[test]
fn kinds_of_rollouts_are_a_stored_format() {
    let mut shown = String::new();
    for step in plan().steps {
        let value: serde_json::Value = step.with.read().unwrap();
        writeln!(shown, "{} {}\n{value:#}", step.id, step.kind).unwrap();
    }
    let live = Live {
        service: "orders".into(),
        environment: "production".into(),
        version: "2.0.0".into(),
        digest: "sha256:2.0.0".into(),
        release: release(),
        previous: Some("1.0.0".into()),
        replaced: Some(Previous { version: "1.0.0".into(), digest: None, release: None }),
        weight: 100,
        is_stable: true,
        revision: "r7".into(),
        verdicts: vec!["10 %: good".into()],
        since: Timestamp::MIN,
    };
    writeln!(shown, "live\n{:#}", serde_json::to_value(live).unwrap()).unwrap();
    snapshot::check("deploy.txt", &shown);
}

#[test]
fn what_is_stored_of_rollouts_is_read_back_and_nothing_else_is() {
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
