//! Environments and gates: what a plan has to respect.

extern crate towpath_step as towpath;

mod common;

use common::{TestHost, block_on, entry};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use towpath::{
    Approved, Body, Claim, Claims, Environment, Input, Output, Pipeline, PlanProblem, Provider, Providers,
    Step, StepContext, StepError, Verified, Voice, params, step, steps,
};
use towpath_step::model::{Actor, Digest, Json, Role, StepId, Timestamp};

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

#[test]
fn an_approval_of_another_type_is_none() {
    let other = Environment::named("production").accepts::<Approved<String>>();
    let p = Pipeline::new("checkout");
    let ok = p.step("ask", ask::of(&p.step("make", make::of("sha256:4f2c"))));
    p.step("route", Route::new(&other, &ok.value));
    assert!(matches!(p.build().unwrap_err().problems[..], [PlanProblem::Gate { .. }]));
}

/// A region: what is deployed was approved around it.
fn region() -> Pipeline<Release> {
    let p = Pipeline::new("region");
    let ok = p.param::<Approved<Release>>("ok");
    let live = p.step("route", Route::new(&production(), &ok.value));
    p.output(&live).build().expect("it is right")
}

#[test]
fn a_gate_is_passed_on_to_a_placed_pipeline_and_never_given_as_a_value() {
    let p = Pipeline::new("world");
    let ok = p.step("ask", ask::of(&p.step("make", make::of("sha256:4f2c"))));
    p.sub("eu", &region(), params! { ok: &ok });
    p.build().unwrap();

    let forged = Approved::new(Release { digest: "evil".into() }, Vec::new(), Timestamp::from_micros(1));
    let told = region().with(params! { ok: &forged }).unwrap_err().to_string();
    assert!(told.contains("which only a gate gives"), "{told}");
    let p = Pipeline::new("world");
    p.sub("eu", &region(), params! { ok: &forged });
    let told = p.build().unwrap_err().to_string();
    assert!(
        told.contains(
            "in eu: the value of the parameter \"ok\" is of the type Approved<Release>, which only"
        ),
        "{told}"
    );
}

#[test]
fn a_gate_reaches_the_items_of_a_placed_pipeline() {
    let p = Pipeline::new("regions");
    let names = p.param::<Vec<String>>("names");
    let ok = p.step("ask", ask::of(&p.step("make", make::of("sha256:4f2c"))));
    p.for_each(
        "each",
        &names,
        |name| name,
        |p, _| {
            p.step("route", Route::new(&production(), &ok.value));
        },
    );
    let regions = p.build().unwrap();
    let p = Pipeline::new("world");
    p.sub("all", &regions, params! { names: ["a"] });
    p.build().unwrap();

    let p = Pipeline::new("regions");
    let names = p.param::<Vec<String>>("names");
    let release = p.step("make", make::of("sha256:4f2c"));
    let ok = p.step("ask", ask::of(&release));
    p.for_each(
        "each",
        &names,
        |name| name,
        |p, _| {
            p.step("route", Route::new(&production(), &release));
        },
    )
    .after(&ok);
    let told = p.build().unwrap_err().to_string();
    assert!(told.contains("in each: step route: the environment \"production\" accepts only"), "{told}");

    let p = Pipeline::new("world");
    let names = p.param::<Vec<String>>("names");
    let ok = p.step("ask", ask::of(&p.step("make", make::of("sha256:4f2c"))));
    let region = region();
    p.for_each(
        "each",
        &names,
        |name| name,
        |p, _| {
            p.sub("region", &region, params! { ok: &ok });
        },
    );
    p.build().unwrap();
}

#[test]
fn a_preview_shows_what_items_do_and_stands_among_them() {
    let shown = |record: &towpath_step::model::PlanRecord, id: &str| {
        let step = record.steps.iter().find(|step| step.id.as_str() == id).unwrap();
        let with: serde_json::Value = step.with.read().unwrap();
        (
            with["steps"].clone(),
            step.reads.iter().map(|read| read.step.as_str().to_owned()).collect::<Vec<_>>(),
        )
    };
    let p = Pipeline::new("regions");
    let names = p.param::<Vec<String>>("names");
    let release = p.step("make", make::of("sha256:4f2c"));
    let seen = p.preview_of("shown", &production());
    let ok = p.step("ask", ask::of(&release)).after(&seen);
    p.for_each(
        "each",
        &names,
        |name| name,
        |p, _| {
            let seen = p.preview_of("shown", &production());
            p.step("route", Route::new(&production(), &ok.value)).after(&seen);
        },
    );
    let regions = p.build().unwrap();
    let record = regions.record();
    assert_eq!(shown(record, "shown"), (serde_json::json!(["each"]), vec!["make".to_owned()]));
    let Role::ForEach { each, .. } = &record.steps[3].role else { panic!("the items") };
    assert_eq!(shown(each, "shown"), (serde_json::json!(["route"]), vec![]));

    let p = Pipeline::new("world");
    p.sub("all", &regions, params! { names: ["a"] });
    let world = p.build().unwrap();
    assert_eq!(
        shown(world.record(), "all/shown"),
        (serde_json::json!(["all/each"]), vec!["all/make".to_owned()])
    );
}
