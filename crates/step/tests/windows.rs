//! Environments that take something in only at their times: what a plan has to respect.

extern crate towpath_step as towpath;

use serde::{Deserialize, Serialize};
use towpath_model::{InDoubt, Json};
use towpath_step::{
    Draft, Environment, Handle, Pipeline, PlanErrors, PlanProblem, Reads, Step, StepContext, StepError,
    Times, params, step,
};

/// A calendar of one word; an empty one cannot be read.
struct Hours(&'static str);

impl Times for Hours {
    fn stored(&self) -> Result<Json, String> {
        let hours = (!self.0.is_empty()).then_some(self.0).ok_or("it says no hours")?;
        Json::of(hours).map_err(|e| e.to_string())
    }

    fn words(&self) -> String {
        format!("open in the {}", self.0)
    }
}

/// Waits for hours.
#[derive(Serialize, Deserialize)]
struct WaitFor(String);

impl Step for WaitFor {
    const KIND: &'static str = "shop.window/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = bool;

    fn reads(&self) -> Reads {
        Reads::none()
    }

    fn opens(&self) -> Option<Json> {
        Json::of(&self.0).ok()
    }

    fn waits_for_people(&self) -> bool {
        true
    }

    async fn run(&self, _cx: &StepContext) -> Result<bool, StepError> {
        Ok(true)
    }
}

/// Asks somebody.
#[derive(Serialize, Deserialize)]
struct Ask {}

impl Step for Ask {
    const KIND: &'static str = "shop.ask/v1";
    const IN_DOUBT: InDoubt = InDoubt::NoEffect;
    type Output = bool;

    fn reads(&self) -> Reads {
        Reads::none()
    }

    fn waits_for_people(&self) -> bool {
        true
    }

    async fn run(&self, cx: &StepContext) -> Result<bool, StepError> {
        cx.signal("answer").await
    }
}

#[step("shop.make/v1", idempotent)]
async fn make(_cx: &StepContext, open: bool) -> Result<String, StepError> {
    Ok(format!("made while open: {open}"))
}

#[step("shop.route/v1", idempotent)]
async fn route(_cx: &StepContext, to: Environment, release: String) -> Result<String, StepError> {
    Ok(format!("{release} in {}", to.name()))
}

#[step("shop.look/v1", no_effect)]
async fn look(_cx: &StepContext, at: Environment) -> Result<(), StepError> {
    let _ = at;
    Ok(())
}

fn production() -> Environment {
    Environment::named("production").windows(&Hours("morning"))
}

fn window(p: &Draft, id: &str) -> Handle<bool> {
    p.step(id, WaitFor("morning".into()))
}

fn to(p: &Draft, id: &str) -> Handle<String> {
    p.step(id, route::of(production(), "v1"))
}

/// What is wrong with a pipeline in which `place` places the steps.
fn wrong(place: impl FnOnce(&Draft)) -> Vec<String> {
    let p = Pipeline::new("checkout");
    place(&p);
    let problems = |errors: PlanErrors| errors.problems.iter().map(ToString::to_string).collect();
    p.build().map_or_else(problems, |_| Vec::new())
}

const NOBODY: &str = "step route: the environment \"production\" takes something in only at its times (open in the morning), and no \
     step waits for them first: place a `Window::before(&…)` of it, and this step `after` that; what must not wait says \
     `at_any_time`";
const ASKED: &str = "step route: the environment \"production\" takes something in only at its times (open in the morning), and step \
     ask waits for people after they were looked at: place the `Window::before(&…)` after it; what must not wait says \
     `at_any_time`";

#[test]
fn what_goes_in_stands_behind_a_window() {
    let none: [&str; 0] = [];
    assert_eq!(wrong(|p| drop(to(p, "route"))), [NOBODY]);
    assert_eq!(wrong(|p| drop(to(p, "route").after(&window(p, "window")))), none);
    // Near or far, read or only waited for.
    let far = wrong(|p| {
        let made = p.step("make", make::of(&window(p, "window")));
        let between = p.step("between", make::of(true)).after(&made);
        to(p, "route").after(&between);
    });
    assert_eq!(far, none);
    // Beside it is not before it.
    let beside = wrong(|p| {
        window(p, "window");
        to(p, "route");
    });
    assert_eq!(beside, [NOBODY]);
    // Another environment's does not count.
    let other = wrong(|p| drop(to(p, "route").after(&p.step("window", WaitFor("evening".into())))));
    assert_eq!(other, [NOBODY]);
}

#[test]
fn a_window_that_may_be_left_out_does_not_count() {
    let none: [&str; 0] = [];
    let conditional = wrong(|p| {
        let urgent = p.param::<bool>("urgent");
        to(p, "route").after(&window(p, "window").when(urgent.is(false)));
    });
    assert_eq!(conditional, [NOBODY]);
    assert_eq!(wrong(|p| drop(to(p, "route").after(&window(p, "window").best_effort()))), [NOBODY]);
    // What is skipped does not wait, and so nobody waits for the window through it.
    let through = |skip: bool| {
        wrong(move |p| {
            let urgent = p.param::<bool>("urgent");
            let made = p.step("make", make::of(true)).after(&window(p, "window"));
            let made = if skip { made.when(urgent.is(true)) } else { made };
            let next = p.step("next", look::of(Environment::named("staging"))).after(&made);
            to(p, "route").after(&next);
        })
    };
    assert_eq!(through(true), [NOBODY]);
    assert_eq!(through(false), none);
    // Who reads what is skipped is skipped with it.
    let read = wrong(|p| {
        let urgent = p.param::<bool>("urgent");
        let open = window(p, "window").when(urgent.is(false));
        let made = p.step("make", make::of(&open));
        p.step("route", route::of(production(), &made));
    });
    assert_eq!(read, none);
    let or_none = wrong(|p| {
        let urgent = p.param::<bool>("urgent");
        let made = p.step("make", make::of(&window(p, "window").when(urgent.is(false))));
        to(p, "route").after(&p.step("next", look::of(Environment::named("staging"))).after(&made));
    });
    assert_eq!(or_none, [NOBODY], "a reader of it may be skipped, and who is only after that runs");
}

#[test]
fn nobody_is_asked_between_the_window_and_what_goes_in() {
    let none: [&str; 0] = [];
    let before = wrong(|p| {
        let ask = p.step("ask", Ask {});
        to(p, "route").after(&window(p, "window").after(&ask));
    });
    assert_eq!(before, none);
    let after = wrong(|p| {
        let ask = p.step("ask", Ask {}).after(&window(p, "window"));
        to(p, "route").after(&ask);
    });
    assert_eq!(after, [ASKED]);
    let beside = wrong(|p| drop(to(p, "route").after(&window(p, "window")).after(&p.step("ask", Ask {}))));
    assert_eq!(beside, [ASKED], "the answer may come when it is closed again");
    // A second look is one that counts.
    let again = wrong(|p| {
        let ask = p.step("ask", Ask {}).after(&window(p, "window"));
        let first = to(p, "first").after(&window(p, "window-2").after(&ask));
        to(p, "route").after(&first);
    });
    assert_eq!(again, none);
    // Windows of two environments, one after the other.
    let two = wrong(|p| {
        let staging = Environment::named("staging").windows(&Hours("evening"));
        let early = p.step("early", WaitFor("evening".into()));
        let tried = p.step("try", route::of(&staging, "v1")).after(&early);
        to(p, "route").after(&window(p, "window").after(&tried));
    });
    assert_eq!(two, none);
}

#[test]
fn what_looks_clears_away_or_must_not_wait_needs_no_window() {
    let none: [&str; 0] = [];
    let free = wrong(|p| {
        p.step("look", look::of(production()));
        p.on_failure("restore", route::of(production(), "v0"));
        p.finally("tidy", route::of(production(), "v1"));
        to(p, "back").at_any_time();
    });
    assert_eq!(free, none);
    let option = wrong(|p| drop(p.param::<bool>("urgent").at_any_time()));
    assert!(option[0].starts_with("`at_any_time` means nothing for"), "{option:?}");
}

#[test]
fn items_stand_behind_the_window_of_their_run_or_their_own() {
    let world = |around: bool, asks: bool, within: bool| {
        wrong(move |p| {
            let names = p.param::<Vec<String>>("names");
            let all = p.for_each(
                "all",
                &names,
                |name| name,
                |p, name| {
                    let to = p.step("route", route::of(production(), name));
                    let to = if asks { to.after(&p.step("ask", Ask {})) } else { to };
                    if within {
                        to.after(&p.step("window", WaitFor("morning".into())));
                    }
                },
            );
            if around {
                all.after(&window(p, "window"));
            }
        })
    };
    let none: [&str; 0] = [];
    assert_eq!(world(true, false, false), none);
    assert_eq!(world(false, false, true), none);
    assert_eq!(world(false, false, false), [format!("in all: {NOBODY}")]);
    assert_eq!(world(false, true, false), [format!("in all: {NOBODY}")]);
    assert_eq!(world(true, true, false), [format!("in all: {ASKED}")]);
    assert_eq!(world(true, true, true), [format!("in all: {ASKED}")], "the window is beside the question");
}

#[test]
fn a_placed_pipeline_brings_its_window_with_it() -> Result<(), PlanErrors> {
    let p = Pipeline::new("region");
    let release = p.param::<String>("release");
    let open = p.step("window", WaitFor("morning".into()));
    let live = p.step("route", route::of(production(), &release)).after(&open);
    let region = p.output(&live).build()?;
    let p = Pipeline::new("world");
    let eu = p.sub("eu", &region, params! { release: "v1" });
    let ask = p.step("ask", Ask {}).after(&eu);
    // Its window is behind the question.
    p.sub("us", &region, params! { release: "v1" }).after(&ask);
    p.build().map(drop)
}

#[test]
fn windows_that_cannot_be_read_and_such_that_differ_are_problems() {
    let told = wrong(|p| {
        let odd = Environment::named("odd").windows(&Hours(""));
        p.step("route", route::of(&odd, "v1"));
        p.step("look", look::of(production()));
        p.step("again", look::of(Environment::named("production").windows(&Hours("evening"))));
    });
    assert_eq!(
        told,
        [
            "step again: the environment \"production\" is another one than in step look: describe it once, and use that value",
            "step route: the windows of the environment \"odd\" cannot be read: it says no hours",
        ]
    );
}

#[test]
fn windows_are_a_stored_format() {
    let stored = serde_json::to_string(&production()).unwrap();
    assert_eq!(stored, r#"{"name":"production","windows":"morning"}"#);
    let read: Environment = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.calendar().map(Json::as_str), Some("\"morning\""));
    // What was read from a plan is not held to it again: that plan was built.
    let p = Pipeline::new("back");
    p.step("route", route::of(&read, "v1"));
    assert!(p.build().is_ok());
    let stray = r#"{"name":"production","window":"morning"}"#;
    assert!(serde_json::from_str::<Environment>(stray).unwrap_err().to_string().contains("unknown field"));
    let told = PlanProblem::Windows {
        step: towpath_model::StepId::new("a").unwrap(),
        environment: "e".into(),
        times: "t".into(),
        asks: None,
    };
    assert_eq!(told.step().unwrap().as_str(), "a");
}
