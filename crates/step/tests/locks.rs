//! Scopes of steps under a lock: what a plan holds of them, and what is wrong with one.

extern crate towpath_step as towpath;

use towpath_model::{InDoubt, PlanRecord, Role};
use towpath_step::{Draft, Handle, Pipeline, PlanErrors, Reads, Step, StepContext, StepError, params, step};

#[step("demo.do/v1", idempotent)]
async fn act(_cx: &StepContext, what: String) -> Result<String, StepError> {
    Ok(what)
}

/// Asks somebody.
#[derive(serde::Serialize, serde::Deserialize)]
struct Ask {}

impl Step for Ask {
    const KIND: &'static str = "demo.ask/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = String;

    fn reads(&self) -> Reads {
        Reads::none()
    }

    fn waits_for_people(&self) -> bool {
        true
    }

    async fn run(&self, cx: &StepContext) -> Result<String, StepError> {
        cx.signal("answer").await
    }
}

/// The locks of each step, in the order of the plan.
fn locks(record: &PlanRecord) -> Vec<String> {
    let of = |step: &towpath_model::StepRecord| {
        let names: Vec<&str> = step.locks.iter().map(|lock| lock.as_str()).collect();
        format!("{}: {}", step.id, names.join("+"))
    };
    record.steps.iter().map(of).collect()
}

fn problems<T: std::fmt::Debug>(built: Result<T, PlanErrors>) -> Vec<String> {
    built.expect_err("there is something wrong").problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_scope_holds_what_is_placed_within_it() -> Result<(), PlanErrors> {
    let p = Pipeline::new("shop");
    p.step("build", act::of("x"));
    let inner = p.holding("production", |p| {
        p.step("migrate", act::of("x"));
        p.holding("database", |p| p.step("backfill", act::of("x")))
    });
    p.step("tell", act::of(&inner));
    p.finally("tidy", act::of("x"));
    let pipeline = p.build()?;
    assert_eq!(
        locks(pipeline.record()),
        ["build: ", "migrate: production", "backfill: database+production", "tell: ", "tidy: "]
    );
    Ok(())
}

#[test]
fn a_lock_can_be_held_throughout() -> Result<(), PlanErrors> {
    let p = Pipeline::new("shop");
    p.step("build", act::of("x"));
    p.holding("production", |p| p.step("deploy", act::of("x")));
    p.finally("tidy", act::of("x"));
    let pipeline = p.holding_throughout("shop").build()?;
    assert_eq!(locks(pipeline.record()), ["build: shop", "deploy: production+shop", "tidy: shop"]);
    Ok(())
}

#[test]
fn a_pipeline_brings_its_locks_along_and_takes_those_of_where_it_is_placed() -> Result<(), PlanErrors> {
    let inner = Pipeline::new("region");
    inner.holding("database", |p| p.step("migrate", act::of("x")));
    inner.step("deploy", act::of("x"));
    let inner = inner.build()?;
    let p = Pipeline::new("shop");
    p.sub("free", &inner, params! {});
    p.holding("production", |p| p.sub("held", &inner, params! {}));
    let pipeline = p.build()?;
    assert_eq!(
        locks(pipeline.record()),
        [
            "free/migrate: database",
            "free/deploy: ",
            "held/migrate: database+production",
            "held/deploy: production"
        ]
    );
    Ok(())
}

#[test]
fn items_act_under_locks_that_their_node_holds() -> Result<(), PlanErrors> {
    let p = Pipeline::new("shop");
    let list = p.param::<Vec<String>>("regions");
    let each = |p: &Draft, region: &Handle<String>| {
        p.holding("database", |p| p.step("migrate", act::of(region)));
        p.step("deploy", act::of(region));
    };
    p.holding("production", |p| p.for_each("regions", &list, |region| region, each));
    let pipeline = p.build()?;
    assert_eq!(locks(pipeline.record()), ["regions: database+production"]);
    let Role::ForEach { each, .. } = &pipeline.record().steps[0].role else { panic!("it is a for_each") };
    assert_eq!(locks(each), ["migrate: database+production", "deploy: production"]);
    Ok(())
}

const HELD: &str = "it waits for people while the lock production is held, and everybody else waits for their answer: \
     ask before the lock is taken, or say `while_holding` if that is meant";

#[test]
fn nobody_is_asked_while_a_lock_is_held() {
    let p = Pipeline::new("shop");
    p.holding("production", |p| p.step("ask", Ask {}));
    assert_eq!(problems(p.build()), [format!("step ask: {HELD}")]);
    let p = Pipeline::new("shop");
    p.step("ask", Ask {});
    assert_eq!(problems(p.holding_throughout("production").build()), [format!("step ask: {HELD}")]);

    // Before it, and after it, is as it should be; between two steps under it is not.
    let p = Pipeline::new("shop");
    let ok = p.step("ask", Ask {});
    let live = p.holding("production", |p| p.step("deploy", act::of(&ok)));
    p.step("again", Ask {}).after(&live);
    assert!(p.build().is_ok());
    let p = Pipeline::new("shop");
    let live = p.holding("production", |p| p.step("canary", act::of("x")));
    let ok = p.step("ask", Ask {}).after(&live);
    p.holding("production", |p| p.step("promote", act::of(&ok)));
    assert_eq!(problems(p.build()), [format!("step ask: {HELD}")]);

    let p = Pipeline::new("shop");
    let list = p.param::<Vec<String>>("regions");
    let each = |p: &Draft, _: &Handle<String>| drop(p.step("ask", Ask {}));
    p.holding("production", |p| p.for_each("regions", &list, |region| region, each));
    assert_eq!(problems(p.build()), [format!("in regions: step ask: {HELD}")]);
}

#[test]
fn an_author_may_say_that_people_are_asked_while_a_lock_is_held() {
    let p = Pipeline::new("shop");
    p.holding("production", |p| p.step("ask", Ask {}).while_holding());
    assert!(p.build().is_ok());
    let p = Pipeline::new("shop");
    let name = p.param::<String>("name").while_holding();
    p.step("x", act::of(&name));
    assert!(problems(p.build())[0].starts_with("`while_holding` means nothing for "));
}

#[test]
fn a_lock_has_a_name() {
    let p = Pipeline::new("shop");
    p.holding("two\nlines", |p| p.step("x", act::of("x")));
    assert!(problems(p.build())[0].starts_with("\"two\\nlines\" is not the name of a lock: "));
}
