use super::{draw, *};
use crate::screen::{self, Size};
use crate::{
    fixture::{Driven, World, after, effect, step},
    out::Paint,
};
use towpath::{model::FailureKind, store::Progress};

const SIZE: Size = Size { width: 100, height: 24 };

/// A run whose steps stand in every way that is worth a picture.
async fn busy(world: &mut World) -> Driven {
    let steps = vec![
        step("build"),
        after("build", step("eu/scan")),
        after("build", step("eu/migrate")),
        after("build", effect("approve")),
        after("approve", step("smoke")),
    ];
    let mut run = world.start("checkout", "checkout@4f2c", steps).await;
    run.later(12).await;
    run.done("build", "null").await;
    run.failed("eu/scan", FailureKind::Transient, "ask the scanner: connection refused").await;
    run.wait("approve", "decision", Some("approval"), None).await;
    run.later(30).await;
    run.later(4).await;
    run
}

/// What is known of the run, with what is told beside its journal.
async fn shown(world: &World, key: &str) -> Shown {
    let row = find::run(&*world.store, key).await.unwrap();
    let mut watched = Watched::new(&*world.store, row).await.unwrap();
    watched.look(&*world.store, &mut |_, _, _| {}).await.unwrap();
    let mut shown = watched.shown;
    let scan = StepId::new("eu/scan").unwrap();
    shown.tails.insert(scan.clone(), "layer 3 of 7: \u{1b}[31mpulled".into());
    shown.progress.push(Progress { step: scan, percent: 43, message: "3 of 7 layers".into(), at: shown.now });
    shown
}

fn frame(shown: &Shown, size: Size) -> String {
    draw::frame(shown, &crate::cx::Spelling::plain("towpath"), Paint::none(), size).join("\n")
}

#[tokio::test]
async fn a_run_is_drawn_from_what_is_known_of_it() {
    let mut world = World::new().await;
    busy(&mut world).await;
    let picture = "\
checkout checkout@4f2c running  46 s
├─ ✓ build       done     12 s
├─ eu/
│  ├─ ▸ scan     running  34 s, attempt 2, ━━━━━━╌╌╌╌╌╌╌╌╌╌ 43 %: 3 of 7 layers
│  │       layer 3 of 7:  [31mpulled
│  │       attempt 1 2026-01-01T00:00:12Z: ask the scanner: connection refused (transient)
│  └─ ▸ migrate  running  34 s
├─ ◦ approve     parked   34 s, at decision for the signal approval
└─ · smoke       pending  after approve

approve waits for the signal approval (34 s)
  towpath approve 01111111-1111-1111-1111-111111111101 approve  to say yes
  towpath reject 01111111-1111-1111-1111-111111111101 approve   to say no";
    assert_eq!(frame(&shown(&world, "checkout@4f2c").await, SIZE), picture);
}

#[tokio::test]
async fn a_small_terminal_gets_what_moves_and_the_whole_command() {
    let mut world = World::new().await;
    busy(&mut world).await;
    let picture = "\
checkout checkout@4f2c running  46 s
  … 1 more above
├─ eu/
│  ├─ ▸ scan     running  34 s, attempt 2, ━━━━━…
│  │       layer 3 of 7:  [31mpulled
│  │       attempt 1 2026-01-01T00:00:12Z: ask t…
  … 3 more below

approve waits for the signal approval (34 s)
  towpath approve 01111111-1111-1111-1111-1111111
11101 approve  to say yes
  towpath reject 01111111-1111-1111-1111-11111111
1101 approve   to say no";
    assert_eq!(frame(&shown(&world, "checkout@4f2c").await, Size { width: 50, height: 14 }), picture);
}

#[tokio::test]
async fn every_size_of_terminal_is_kept_to() {
    let mut world = World::new().await;
    busy(&mut world).await.release().await;
    let shown = shown(&world, "checkout@4f2c").await;
    for (width, height) in [(1, 1), (20, 5), (80, 24), (300, 100)] {
        let lines = draw::frame(
            &shown,
            &crate::cx::Spelling::plain("towpath"),
            Paint::none(),
            Size { width, height },
        );
        assert!(lines.len() < height.max(2), "{height}: {lines:#?}");
        assert!(lines.iter().all(|line| screen::cells(line) <= width.max(2)), "{width}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_run_is_followed_line_by_line_to_its_end() {
    let mut world = World::new().await;
    let mut run = busy(&mut world).await;
    let drive = async {
        run.done("eu/scan", "null").await;
        run.done("eu/migrate", "null").await;
        run.failed("approve", FailureKind::Rejected, "not today").await;
        run.undone("approve").await;
    };
    let (said, ()) = tokio::join!(world.run("watch checkout@4f2c"), drive);
    let lines = "\
2026-01-01T00:00:00.000Z 1 run-started - checkout checkout@4f2c plan 8a61268793c6: nightly
2026-01-01T00:00:00.000Z 2 step-started build attempt 1
2026-01-01T00:00:12.000Z 3 step-done build null
2026-01-01T00:00:12.000Z 4 step-started eu/scan attempt 1
2026-01-01T00:00:12.000Z 5 step-started eu/migrate attempt 1
2026-01-01T00:00:12.000Z 6 step-started approve attempt 1
2026-01-01T00:00:12.000Z 7 step-failed eu/scan attempt 1: ask the scanner: connection refused; again at 2026-01-01T00:00:42.000Z
2026-01-01T00:00:12.000Z 8 wait-started approve decision for the signal approval
2026-01-01T00:00:42.000Z 9 step-started eu/scan attempt 2
2026-01-01T00:00:46.000Z - needs approve waits for the signal approval: `towpath approve 01111111-1111-1111-1111-111111111101 approve` or `towpath reject 01111111-1111-1111-1111-111111111101 approve`
2026-01-01T00:00:46.000Z 10 step-done eu/scan null
2026-01-01T00:00:46.000Z 11 step-done eu/migrate null
2026-01-01T00:00:46.000Z 12 step-failed approve attempt 1: not today; not again
2026-01-01T00:00:46.000Z 13 unwind-started - step approve failed: not today
2026-01-01T00:00:46.000Z 14 compensation-started approve attempt 1
2026-01-01T00:00:46.000Z 15 compensation-done approve
2026-01-01T00:00:46.000Z 16 unwound -
2026-01-01T00:00:46.000Z 17 run-settled - compensated: step approve failed: not today
2026-01-01T00:00:46.000Z - compensated - step approve failed: not today
";
    assert_eq!(said, (1, lines.to_owned(), String::new()));
}

#[tokio::test]
async fn a_run_is_followed_as_json_to_where_somebody_is_needed() {
    let mut world = World::new().await;
    let mut run = world.start("checkout", "k", vec![effect("order")]).await;
    run.failed("order", FailureKind::NeedsOperator, "the quota is used up").await;
    let (code, out, _) = world.run("watch k --json").await;
    assert_eq!(code, exit::STUCK);
    let lines: Vec<serde_json::Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let last = &lines[lines.len() - 2..];
    assert_eq!(lines[0]["event"]["kind"], "run-started");
    assert_eq!(last[0]["waits"][0]["step"], "order");
    assert_eq!((&last[1]["end"]["exit"], &last[1]["end"]["status"]), (&20.into(), &"stuck".into()));
}

#[tokio::test]
async fn who_stops_watching_is_told_that_the_run_goes_on() {
    let mut world = World::new().await;
    busy(&mut world).await;
    let (code, out) = follow_until_stopped(&world).await;
    assert_eq!(code, None);
    assert!(out.contains("step-started build"), "{out}");
}

async fn follow_until_stopped(world: &World) -> (Option<u8>, String) {
    let (to, errors) = (crate::out::Kept::default(), crate::out::Kept::default());
    let mut out = crate::out::Out::to(Box::new(to.clone()), Box::new(errors));
    let spelling = crate::cx::Spelling::plain("towpath");
    let mut cx = Cx { store: world.store.clone(), out: &mut out, spelling };
    let row = find::run(&*world.store, "checkout@4f2c").await.unwrap();
    let code = follow(&mut cx, row, async {}).await.unwrap();
    (code, to.text())
}

#[tokio::test]
async fn a_program_draws_a_run_beside_something_of_its_own() {
    let mut world = World::new().await;
    let mut run = busy(&mut world).await;
    let id = find::run(&*world.store, "checkout@4f2c").await.unwrap().run;
    let mut picture = crate::Picture::of(world.store.clone(), id, "deploy").await.unwrap();
    assert_eq!(picture.lines(100, 9, false).len(), 2, "nothing was looked at yet");
    picture.look().await.unwrap();
    let lines = picture.lines(100, 9, false);
    assert!(lines.len() == 9 && lines.iter().all(|line| screen::cells(line) < 100), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains(&format!("deploy approve {id} approve"))), "{lines:#?}");
    assert!(!picture.is_over());
    run.verb(towpath::model::Verb::Cancel { unwind: false }).await;
    run.later(60).await;
    picture.look().await.unwrap();
    assert_eq!((picture.status(), picture.is_over()), (Status::Unwinding, false));
}
