//! Environments and gates: what a plan has to respect.

extern crate towpath_step as towpath;

mod common;

use common::{TestHost, block_on, entry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use towpath::{
    Approved, Body, Claim, Claims, Environment, Input, Output, Pipeline, PlanProblem, Provider, Providers,
    Step, StepContext, StepError, Verified, Voice, step, steps,
};
use towpath_step::model::{Actor, Digest, Json, StepId, Timestamp};

#[derive(Serialize, Deserialize, Output, Clone, Debug, PartialEq)]
struct Release {
    digest: String,
}

#[step("shop.make/v1", idempotent)]
async fn make(_cx: &StepContext, digest: String) -> Result<Release, StepError> {
    Ok(Release { digest })
}

#[step("shop.ask/v1", no_effect)]
async fn ask(cx: &StepContext, release: Release) -> Result<Approved<Release>, StepError> {
    Ok(Approved::new(release, Vec::new(), cx.now()))
}

#[step("shop.check/v1", no_effect)]
async fn check(cx: &StepContext, release: Release) -> Result<Verified<Release>, StepError> {
    Ok(Verified::new(release, "signed by the build", cx.now()))
}

#[step("shop.sign/v1", no_effect)]
async fn both(
    cx: &StepContext,
    release: Verified<Release>,
) -> Result<Approved<Verified<Release>>, StepError> {
    Ok(Approved::new(release, Vec::new(), cx.now()))
}

trait Router: Send + Sync {
    fn name(&self) -> String;
}

#[derive(Provider)]
#[offers(Router)]
struct Named(&'static str);

impl Router for Named {
    fn name(&self) -> String {
        self.0.to_owned()
    }
}

/// Sends all traffic to a release.
#[derive(Serialize, Deserialize, Step)]
#[kind("shop.route/v1", idempotent, claims, needs(router: dyn Router))]
struct Route {
    to: Environment,
    release: Input<Release>,
    controller: Option<String>,
}

impl Body for Route {
    type Output = Release;
    async fn run(&self, cx: &StepContext) -> Result<Release, StepError> {
        cx.log(self.to.provider::<dyn Router>(cx, "router")?.name());
        cx.get(&self.release)
    }
}

impl Claims for Route {
    fn claims(&self) -> Vec<Claim> {
        let weight = format!("the weight of {}", self.to.name());
        vec![match &self.controller {
            Some(controller) => Claim::follow(weight, controller),
            None => Claim::own(weight),
        }]
    }
}

#[step("shop.smoke/v1", no_effect)]
async fn smoke(_cx: &StepContext, at: Environment, release: Release) -> Result<(), StepError> {
    let _ = (at, release);
    Ok(())
}

fn production() -> Environment {
    Environment::named("production").router("edge").accepts::<Approved<Release>>()
}

#[test]
fn a_forgotten_gate_is_a_problem_of_the_plan() {
    let p = Pipeline::new("checkout");
    let release = p.step("make", make::of("sha256:4f2c"));
    let ok = p.step("ask", ask::of(&release));
    p.step("route", Route::new(&production(), &release)).after(&ok);
    let errors = p.build().unwrap_err();
    let [PlanProblem::Gate { step, environment, missing }] = &errors.problems[..] else { panic!("{errors}") };
    assert_eq!(
        (step.as_str(), environment.as_str(), &missing[..]),
        ("route", "production", &["approved".to_owned()][..])
    );
    assert!(errors.to_string().contains("accepts only what is approved"), "{errors}");
}

#[test]
fn a_value_that_was_made_of_what_passed_a_gate_has_passed_it() {
    let p = Pipeline::new("checkout");
    let ok = p.step("ask", ask::of(&p.step("make", make::of("sha256:4f2c"))));
    let live = p.step("route", Route::new(&production(), &ok.value));
    p.step("smoke", smoke::of(production(), &live));
    let pipeline = p.build().unwrap();
    assert_eq!(pipeline.record().steps[2].environment.as_ref().map(|name| name.as_str()), Some("production"));
}

#[test]
fn a_branch_that_may_be_the_one_without_the_gate_does_not_count() {
    let p = Pipeline::new("checkout");
    let urgent = p.param::<bool>("urgent");
    let release = p.step("make", make::of("sha256:4f2c"));
    let ok = p.step("ask", ask::of(&release)).when(urgent.is(false));
    let other = p.step("other", make::of("sha256:4f2c")).when(urgent.is(true));
    p.step("route", Route::new(&production(), &p.first_of([&ok.value, &other])));
    assert!(matches!(p.build().unwrap_err().problems[..], [PlanProblem::Gate { .. }]));
}

#[test]
fn gates_within_gates_all_count() {
    let wants = Environment::named("production").accepts::<Approved<Verified<Release>>>();
    let p = Pipeline::new("checkout");
    let release = p.step("make", make::of("sha256:4f2c"));
    let verified = p.step("check", check::of(&release));
    let ok = p.step("both", both::of(&verified));
    p.step("route", Route::new(&wants, &ok.value.value));
    p.build().unwrap();

    let p = Pipeline::new("checkout");
    let verified = p.step("check", check::of(&p.step("make", make::of("sha256:4f2c"))));
    p.step("route", Route::new(&wants, &verified.value));
    let errors = p.build().unwrap_err();
    assert!(
        matches!(&errors.problems[..], [PlanProblem::Gate { missing, .. }] if *missing == ["approved"]),
        "{errors}"
    );
}

#[test]
fn two_masters_and_two_descriptions_are_found_together() {
    let p = Pipeline::new("checkout");
    let release = p.step("make", make::of("sha256:4f2c"));
    let staging = Environment::named("staging");
    p.step("route", Route::new(&staging, &release));
    p.step("again", Route::new(&staging, &release));
    p.step("follow", Route::new(&staging, &release).controller("argo-rollouts".to_owned()));
    p.step("smoke", smoke::of(staging.router("other"), &release));
    p.step("odd", smoke::of(Environment::named("No Slug"), &release));
    let errors = p.build().unwrap_err();
    let told = errors.to_string();
    assert_eq!(errors.problems.len(), 3, "{errors}");
    for part in [
        "step odd: its environment has no usable name",
        "step smoke: the environment \"staging\" is another one than in step route",
        "the weight of staging has more than one master: argo-rollouts (step follow) and towpath (step route)",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_step_needs_what_its_environment_binds() {
    let p = Pipeline::new("checkout");
    let release = p.step("make", make::of("sha256:4f2c"));
    p.step("route", Route::new(&Environment::named("staging").router("edge"), &release));
    p.step("plain", Route::new(&Environment::named("staging2"), &release));
    let pipeline = p.build().unwrap();
    let known = steps![Route];
    let decode = |i: usize| {
        let step = &pipeline.record().steps[i];
        known.decode(step.kind.as_str(), &step.with).unwrap()
    };
    let names =
        |i: usize| decode(i).needs_erased().iter().map(|need| need.name().to_owned()).collect::<Vec<_>>();
    assert_eq!((names(1), names(2)), (vec!["edge".to_owned()], vec!["staging2".to_owned()]));

    let mut entry = entry();
    entry.providers = Providers::new().provide("edge", Named("the edge"));
    entry.outputs = vec![(StepId::new("make").unwrap(), Json::of(&Release { digest: "d".into() }).unwrap())];
    let test = Arc::new(TestHost::default());
    let cx = StepContext::new(entry, test.clone());
    block_on(decode(1).run_erased(&cx)).unwrap();
    assert_eq!(*test.lines.lock().unwrap(), ["the edge"]);
    assert!(block_on(decode(2).run_erased(&cx)).is_err());
}

#[test]
fn environments_and_gates_are_stored_formats() {
    let stored = serde_json::to_string(&production().database("orders", "pg")).unwrap();
    assert_eq!(
        stored,
        r#"{"name":"production","roles":{"database.orders":"pg","router":"edge"},"accepts":["approved"]}"#
    );
    let at = Timestamp::from_micros(1_000_000);
    let voice = Voice { who: Actor::new("ada").unwrap(), comment: "go".into(), at };
    let approved = Approved::new(1, vec![voice], at).shown(Some(Digest::of(b"shown")));
    let json = serde_json::to_value(&approved).unwrap();
    assert_eq!(json["by"], serde_json::json!([{"who": "ada", "comment": "go", "at": json["at"]}]));
    assert_eq!(serde_json::from_value::<Approved<i32>>(json).unwrap(), approved);
    let verified = Verified::new(1, "signed", at);
    let json = serde_json::to_value(&verified).unwrap();
    assert_eq!(serde_json::from_value::<Verified<i32>>(json).unwrap(), verified);
}
