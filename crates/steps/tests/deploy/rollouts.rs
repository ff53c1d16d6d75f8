//! What a canary does with good releases, bad ones, and what others do meanwhile.

use crate::scene::*;
use std::time::Duration;
use towpath_engine::Settled;
use towpath_model::Verb;
use towpath_step::Pipeline;
use towpath_steps::deploy::{BlueGreen, Canary, Inconclusive, Latency, Promote};
use towpath_testkit::Script;

fn why<T: std::fmt::Debug>(settled: Settled<T>) -> String {
    match settled {
        Settled::Compensated(why) => why.to_string(),
        Settled::Stuck(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_good_release_goes_all_the_way() {
    let scene = Scene::of(NEW);
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    scene.is_out();
    assert_eq!(
        scene.moves(),
        [
            "1.0.0=90 2.0.0=10 of 1.0.0",
            "1.0.0=50 2.0.0=50 of 1.0.0",
            "2.0.0=100 of 1.0.0",
            "2.0.0=100 of 1.0.0",
            "2.0.0=100 of 2.0.0"
        ]
    );
    assert_eq!((live.version.as_str(), live.weight, live.is_stable), ("2.0.0", 100, true));
    assert_eq!(live.previous.as_deref(), Some("1.0.0"));
    let previous = live.replaced.unwrap();
    assert_eq!((previous.version.as_str(), previous.digest.as_deref()), ("1.0.0", Some("sha256:1.0.0")));
    assert_eq!(previous.release.unwrap().instances, 2, "enough to deploy it again");
    assert_eq!(live.verdicts.len(), 3, "{:?}", live.verdicts);
    assert!(live.verdicts[0].starts_with("10 %: 0 of 600 requests failed"), "{:?}", live.verdicts);
    assert_eq!(
        scene.cluster.versions("orders"),
        ["1.0.0", "2.0.0"],
        "the one before stays until it is retired"
    );
}

#[test]
fn a_worse_release_fails_early_with_the_numbers_in_words() {
    let scene = Scene::of(WORSE);
    let why = why(scene.run(pipeline(canary())));
    assert!(
        why.contains("orders 2.0.0 is not good enough at 10 %: 20 of 200 requests failed (10 %)"),
        "{why}"
    );
    assert!(why.contains("of the baseline: worse by"), "{why}");
    scene.is_as_before();
}

#[test]
fn a_release_that_does_not_come_up_is_rejected_with_its_last_words() {
    let scene = Scene::with(Script::never_healthy("no such table: orders"));
    let why = why(scene.run(pipeline(canary().healthy_within(seconds(30)))));
    assert!(why.contains("did not become healthy within 30s: 0 of 2 instances are"), "{why}");
    assert!(why.contains("no such table: orders"), "{why}");
    assert_eq!(scene.moves(), [""; 0], "no traffic was moved");
    scene.is_as_before();
}

#[test]
fn a_release_that_dies_while_it_bakes_goes_back() {
    let scene = Scene::with(Script::healthy().dies_after(seconds(50), "out of memory"));
    let why = why(scene.run(pipeline(canary())));
    assert!(why.contains("no longer healthy at 10 %") && why.contains("out of memory"), "{why}");
    scene.is_as_before();
}

#[test]
fn the_first_release_of_a_service_gets_all_traffic_at_once() {
    let scene = Scene::empty(Script::healthy());
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    scene.is_out();
    assert_eq!(scene.cluster.moves("orders").len(), 1, "promoting it is nothing to do");
    assert_eq!((live.previous, live.weight), (None, 100));
    assert_eq!(live.verdicts, ["there was nothing to compare it with"]);
}

#[test]
fn a_release_that_is_live_already_is_left_where_it_is() {
    let scene = Scene::empty(Script::healthy());
    scene.cluster.have_live("orders", "2.0.0", 2);
    let live = scene.run(pipeline(canary())).succeeded().unwrap();
    assert_eq!(scene.moves(), [""; 0]);
    assert_eq!((live.weight, live.is_stable, live.previous), (100, true, None));
}

#[test]
fn without_enough_requests_it_is_prolonged_and_then_as_its_author_says() {
    for (to, is_out) in [(Inconclusive::Pass, true), (Inconclusive::Fail, false)] {
        let scene = Scene::of(NEW);
        scene.cluster.traffic("orders", 0.01);
        let settled = scene.run(pipeline(canary().inconclusive(to).prolong(1)));
        if is_out {
            let live = settled.succeeded().unwrap();
            assert!(live.verdicts[0].contains("the canary had 0 requests, and 50 are needed"), "{live:?}");
            scene.is_out();
            continue;
        }
        assert!(why(settled).contains("it cannot be told whether orders 2.0.0 is good at 10 %"));
        scene.is_as_before();
    }
}

#[test]
fn an_operator_who_is_asked_can_have_it_bake_on() {
    let scene = Scene::of(NEW);
    scene.cluster.traffic("orders", 0.0);
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        let asked = why(run.settled().await.unwrap());
        assert!(asked.contains("it cannot be told"), "{asked}");
        scene.cluster.traffic("orders", 100.0);
        run.verb(again(), "there is traffic now").await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    });
    scene.is_out();
}

#[test]
fn metrics_that_cannot_be_read_are_no_fault_of_the_release() {
    let scene = Scene::of(WORSE);
    scene.cluster.fail_all(Some("counts"));
    let why = why(scene.run(pipeline(canary().prolong(0))));
    assert!(why.contains("how it answers cannot be told"), "{why}");
    assert!(why.contains("retry bakes on"), "{why}");
}

#[test]
fn what_somebody_else_has_moved_is_never_put_back() {
    let scene = Scene::of(NEW);
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(30)).await;
        assert_eq!(scene.weights(), [("1.0.0".to_owned(), 90), ("2.0.0".to_owned(), 10)]);
        scene.cluster.move_by_hand("orders", &[("1.0.0", 97), ("2.0.0", 3)]);
        let stuck = why(run.settled().await.unwrap());
        assert!(stuck.contains("by hand (ann)"), "{stuck}");
        gives_up(&run).await;
    });
    assert_eq!(scene.weights(), [("1.0.0".to_owned(), 97), ("2.0.0".to_owned(), 3)]);
    assert_eq!(scene.cluster.versions("orders"), ["1.0.0", "2.0.0"], "what has traffic is not removed");
}

#[test]
fn what_was_handed_back_goes_on_from_where_it_is() {
    let scene = Scene::of(NEW);
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(30)).await;
        scene.cluster.move_by_hand("orders", &[("1.0.0", 97), ("2.0.0", 3)]);
        why(run.settled().await.unwrap());
        run.verb(Verb::Handback { step: None }, "go on").await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    });
    scene.is_out();
    assert_eq!(scene.moves()[1..3], ["1.0.0=97 2.0.0=3 of 1.0.0", "1.0.0=90 2.0.0=10 of 1.0.0"]);
}

#[test]
fn when_nobody_drives_the_switch_acts_and_the_weight_bakes_anew() {
    let scene = Scene::of(NEW);
    let run = scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(90)).await;
        assert_eq!(scene.weights(), [("1.0.0".to_owned(), 50), ("2.0.0".to_owned(), 50)]);
        run.id()
    });
    scene.away(Duration::from_secs(3_600));
    assert_eq!(scene.weights(), [("1.0.0".to_owned(), 100)], "the router went back by itself");
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.attach::<towpath_steps::deploy::Live>(run).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
        let no = run.row().await.unwrap().no;
        let step = towpath_model::StepId::new("canary").unwrap();
        let log = engine.store().logs(no, &step, 0, 100).await.unwrap();
        assert!(log.iter().any(|line| line.text.contains("the dead man's switch has acted")), "{log:?}");
    });
    scene.is_out();
    assert_eq!(
        scene.moves()[1..4],
        ["1.0.0=50 2.0.0=50 of 1.0.0", "1.0.0=100 of 1.0.0", "1.0.0=50 2.0.0=50 of 1.0.0"]
    );
}

#[test]
fn a_weight_that_bakes_for_longer_than_it_is_held_is_kept_by_heartbeats() {
    let scene = Scene::of(NEW);
    let held = canary().bake(seconds(300)).every(seconds(20)).hold(seconds(45));
    scene.run(pipeline(held)).succeeded().unwrap();
    scene.is_out();
    assert_eq!(scene.moves().len(), 5, "the switch had no reason to act: {:?}", scene.moves());
}

#[test]
fn slower_answers_are_found_as_failed_ones_are() {
    let scene = Scene::with(Script::healthy().slow(0.2));
    let judged = canary().judge(Latency::not_worse_than_baseline(95.0).slack(Duration::from_millis(1)));
    let why = why(scene.run(pipeline(judged)));
    assert!(
        why.contains("40 of 200 answers took more than 50 ms") || why.contains("answers took more than"),
        "{why}"
    );
    scene.is_as_before();
}

#[test]
fn a_router_without_a_switch_keeps_the_weight_while_nobody_drives() {
    let scene = Scene::of(NEW);
    scene.cluster.without_switch();
    let run = scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(90)).await;
        run.id()
    });
    scene.away(Duration::from_secs(3_600));
    assert_eq!(scene.weights(), [("1.0.0".to_owned(), 50), ("2.0.0".to_owned(), 50)]);
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.attach::<towpath_steps::deploy::Live>(run).await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Succeeded(_)));
    });
    scene.is_out();
    assert_eq!(scene.moves().len(), 4, "there is no hold to end: {:?}", scene.moves());
}

#[test]
fn a_release_that_somebody_removed_is_not_ordered_again() {
    let scene = Scene::of(NEW);
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline(canary()).plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(30)).await;
        scene.cluster.remove_by_hand("orders", "2.0.0");
        let stuck = why(run.settled().await.unwrap());
        assert!(stuck.contains("\"removed\":true"), "{stuck}");
        gives_up(&run).await;
    });
    scene.is_as_before();
}

#[test]
fn a_promotion_is_refused_when_somebody_moved_the_traffic_before_it() {
    let scene = Scene::of(NEW);
    let p = Pipeline::new("orders");
    let canary = p.step("canary", canary());
    let gate = p.step("gate", towpath_steps::Wait::time(seconds(600))).after(&canary);
    let live = p.step("promote", Promote::of(&canary).to(&production())).after(&gate);
    let pipeline = p.output(&live).build().unwrap();
    scene.process(async |builder| {
        let engine = builder.start().await.unwrap();
        let run = engine.run(pipeline.plan().unwrap(), "once").await.unwrap();
        tokio::time::sleep_until(tokio::time::Instant::now() + seconds(300)).await;
        assert_eq!(scene.weights(), [("2.0.0".to_owned(), 100)]);
        scene.cluster.move_by_hand("orders", &[("1.0.0", 60), ("2.0.0", 40)]);
        let stuck = why(run.settled().await.unwrap());
        assert!(stuck.contains("by hand (ann)"), "{stuck}");
        run.verb(again(), "look again").await.unwrap();
        assert!(matches!(run.settled().await.unwrap(), Settled::Stuck(_)), "trying again is no permission");
        run.verb(Verb::Handback { step: None }, "it is ours again").await.unwrap();
        let settled = run.settled().await.unwrap();
        assert!(matches!(settled, Settled::Succeeded(_)), "{settled:?}");
    });
    scene.is_out();
}

/// What comes after a canary fails: it is undone though others came after it.
#[test]
fn a_canary_and_an_undoable_promotion_are_undone_in_turn() {
    for with_promotion in [false, true] {
        let scene = Scene::of(NEW);
        let p = Pipeline::new("orders");
        let canary = p.step("canary", canary());
        let last = match with_promotion {
            true => p.step("promote", Promote::of(&canary).to(&production()).undoable()),
            false => canary,
        };
        p.step("smoke", towpath_steps::Wait::signal_within("never", seconds(60))).after(&last);
        let why = why(scene.run(p.output(&last).build().unwrap()));
        assert!(why.contains("never"), "{why}");
        scene.is_as_before();
    }
}

#[test]
fn a_promotion_is_a_point_of_no_return() {
    let scene = Scene::of(NEW);
    let p = Pipeline::new("orders");
    let canary = p.step("canary", canary());
    let live = p.step("promote", Promote::of(&canary).to(&production()));
    p.step("smoke", towpath_steps::Wait::signal_within("never", seconds(60))).after(&live);
    let settled = scene.run(p.output(&live).build().unwrap());
    assert!(matches!(settled, Settled::Stuck(_)), "{settled:?}");
    scene.is_out();
}

#[test]
fn a_canary_that_nobody_judges_needs_no_metrics() {
    let scene = Scene::of(WORSE);
    let by_health = Canary::of(release()).to(&production()).bake(seconds(60)).by_health_alone();
    scene.run(pipeline(by_health)).succeeded().unwrap();
    scene.is_out();
    assert!(!scene.cluster.calls().contains(&"counts"));
}

#[test]
fn blue_and_green_change_places_at_once_and_back() {
    let green = || BlueGreen::of(release()).to(&production()).bake(seconds(60)).every(seconds(20));
    let p = Pipeline::new("orders");
    let live = p.step("green", green());
    let scene = Scene::of(NEW);
    let live = scene.run(p.output(&live).build().unwrap()).succeeded().unwrap();
    assert_eq!(scene.weights(), [("2.0.0".to_owned(), 100)]);
    assert!(live.verdicts[0].contains("of 6000 requests failed"), "{:?}", live.verdicts);

    let p = Pipeline::new("orders");
    let live = p.step("green", green());
    let scene = Scene::of(WORSE);
    // Time in which the release before answers: what this one is compared with.
    scene.away(seconds(120));
    let why = why(scene.run(p.output(&live).build().unwrap()));
    assert!(why.contains("not good enough at 100 %") && why.contains("of the baseline"), "{why}");
    scene.is_as_before();
}
