//! Waiting until a calendar is open, called as a function.

use serde_json::json;
use std::time::Duration;
use towpath_model::{FailureKind, InDoubt, Timestamp};
use towpath_step::{Environment, Reads, Step, StepContext, StepError};
use towpath_steps::{Calendar, Window, WindowOpen};
use towpath_testkit::{ForTest, TestContext};

/// Goes into an environment.
#[derive(serde::Serialize, serde::Deserialize)]
struct Promote {
    to: Environment,
}

impl Step for Promote {
    const KIND: &'static str = "shop.promote/v1";
    const IN_DOUBT: InDoubt = InDoubt::Idempotent;
    type Output = ();

    fn reads(&self) -> Reads {
        Reads::none()
    }

    fn environment(&self) -> Option<&Environment> {
        Some(&self.to)
    }

    async fn run(&self, _cx: &StepContext) -> Result<(), StepError> {
        Ok(())
    }
}

// The clock of a test stands at the beginning of 2030, on a Tuesday.
const START: i64 = 1_893_456_000_000_000;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(START + hours * 3_600_000_000)
}

fn cx() -> TestContext {
    StepContext::for_test()
}

fn said(cx: TestContext, by: &str, approve: bool, comment: &str) -> TestContext {
    let at = Timestamp::from_micros(START + 7);
    cx.with_signal("approval", &json!({"approve": approve, "by": by, "comment": comment, "at": at}))
}

fn mornings() -> Window {
    Window::of(Calendar::utc().open("mon-fri 09:00-12:00"))
}

async fn open(window: Window, cx: &TestContext) -> Result<WindowOpen, StepError> {
    window.run(cx).await
}

#[tokio::test]
async fn an_open_window_is_passed_at_once() {
    let cx = cx();
    let open = open(Window::of(Calendar::utc().open("tue")), &cx).await.unwrap();
    assert_eq!((open.at, open.until, open.overridden), (at(0), Some(at(24)), None));
    assert_eq!(cx.recorded().waits, [] as [&str; 0]);
}

#[tokio::test]
async fn a_closed_window_is_waited_for_until_it_opens() {
    let cx = cx();
    let opened = open(mornings(), &cx).await.unwrap();
    assert_eq!((opened.at, opened.until, opened.overridden), (at(9), Some(at(12)), None));
    assert_eq!(cx.recorded().waits, ["open-1"]);
}

#[tokio::test]
async fn a_window_that_is_far_away_is_looked_at_again_on_the_way() {
    let cx = cx();
    let calendar = Calendar::utc().closed("2030-01-01", "2030-01-20", "freeze");
    let opened = open(Window::of(calendar), &cx).await.unwrap();
    assert_eq!(opened.at, at(20 * 24));
    assert_eq!(cx.recorded().waits, ["open-1", "open-2", "open-3"], "seven days, seven days, and six");
}

#[tokio::test]
async fn who_may_opens_it_before_its_time_by_a_reason() {
    let cx =
        said(said(said(cx(), "user:eve", true, "let me"), "user:ann", true, " "), "user:ann", true, "a fix");
    let opened = open(mornings().override_from(["user:ann"]), &cx).await.unwrap();
    assert_eq!((opened.at, opened.until), (Timestamp::from_micros(START + 7), None));
    assert_eq!(opened.overridden.as_deref(), Some("user:ann: a fix"));
    let logs = cx.recorded().logs;
    assert!(logs[0].contains("user:eve is not among those who may open it"), "{logs:?}");
    assert!(logs[1].contains("user:ann gave no reason"), "{logs:?}");
    assert_eq!(logs[2], "opened before its time by user:ann: a fix");
}

#[tokio::test]
async fn a_no_ends_it_and_that_of_a_stranger_does_not() {
    let no = said(cx(), "user:ann", false, "not this week");
    let error = open(mornings(), &no).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (FailureKind::Rejected, "user:ann said no: not this week")
    );
    let stranger = said(cx(), "user:eve", false, "");
    assert_eq!(open(mornings().override_from(["user:ann"]), &stranger).await.unwrap().at, at(9));
}

#[tokio::test]
async fn an_entry_after_another_goes_on_waiting_with_a_wait_of_its_own() {
    let cx = cx().with_checkpoint(&json!({"asked_at": at(0), "waits": 4}));
    open(mornings(), &cx).await.unwrap();
    assert_eq!(cx.recorded().waits, ["open-5"]);
}

#[tokio::test]
async fn a_calendar_that_never_opens_or_has_no_such_zone_fails_for_good() {
    let never = Calendar::utc().closed("2030-01-01", "2040-01-01", "a long sleep");
    let error = open(Window::of(never), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains("a long sleep, and it does not open within two years"), "{error}");
    let error = open(Window::of(Calendar::in_zone("Mars/Olympus")), &cx()).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Permanent);
    assert!(error.to_string().contains("\"Mars/Olympus\" is not known here"), "{error}");
}

#[test]
fn a_rule_that_cannot_be_read_is_a_plan_error() {
    let p = towpath_step::Pipeline::new("checkout");
    p.step("window", Window::of(Calendar::utc().open("workdays")));
    let errors = p.build().unwrap_err().to_string();
    assert!(errors.contains("window") && errors.contains("\"workdays\" is no day"), "{errors}");
}

#[test]
fn an_environment_with_windows_wants_its_own_and_says_when_it_opens() {
    let pipeline = |office: Calendar, wants: &Calendar| {
        let p = towpath_step::Pipeline::new("checkout");
        let production = Environment::named("production").windows(wants);
        let open = p.step("window", Window::of(office));
        p.step("promote", Promote { to: production }).after(&open);
        p.build()
    };
    let office = || Calendar::in_zone("Europe/Berlin").open("mon-thu 09:00-16:00");
    pipeline(office(), &office()).unwrap();
    let told = pipeline(Calendar::utc(), &office()).unwrap_err().to_string();
    let times =
        "only at its times (open mon-thu 09:00-16:00, Europe/Berlin), and no step waits for them first";
    assert!(told.contains(times), "{told}");
    let misread = pipeline(Calendar::utc(), &Calendar::utc().open("workdays")).unwrap_err().to_string();
    assert!(
        misread.contains("step promote: the windows of the environment \"production\" cannot be read: "),
        "{misread}"
    );
    assert!(misread.contains("\"workdays\" is no day"), "{misread}");
}

#[tokio::test]
async fn an_environment_is_waited_for_by_its_own_calendar() {
    let mornings = Calendar::utc().open("mon-fri 09:00-12:00");
    let production = Environment::named("production").windows(&mornings);
    assert_eq!(open(Window::before(&production), &cx()).await.unwrap().at, at(9));
    let staging = Environment::named("staging");
    assert_eq!(open(Window::before(&staging), &cx()).await.unwrap().at, at(0), "it has none");
}

#[tokio::test]
async fn a_clock_that_is_a_moment_behind_waits_that_moment() {
    let cx = cx();
    let until = Calendar::utc().closed("2030-01-01", "2030-01-01T00:00:00.000001", "a blink");
    assert_eq!(open(Window::of(until), &cx).await.unwrap().at.since(at(0)), Duration::from_millis(1));
}
