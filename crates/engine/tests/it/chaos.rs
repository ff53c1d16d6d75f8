//! Processes killed at moments that a seed draws: nothing is lost, doubled or leaked.

use crate::common::*;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use towpath_engine::Settled;
use towpath_model::{EventKind, RetryPolicy, Verb};
use towpath_step::{Observed, Pipeline, Plan, StepContext, StepError};

/// A source of numbers: splitmix64.
#[derive(Clone)]
struct Draw(Arc<Mutex<u64>>);

impl Draw {
    fn below(&self, most: u64) -> u64 {
        let mut seed = self.0.lock().unwrap();
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }

    async fn pause(&self) {
        let wait = Duration::from_millis(self.below(400));
        tokio::time::sleep_until(Instant::now() + wait).await;
    }
}

/// Effects by name: how often each was made and undone.
type Effects = Arc<Mutex<BTreeMap<String, (u32, u32)>>>;

const STEPS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn plan() -> Plan<String> {
    let p = Pipeline::new("chaos");
    let a = p.step("a", Seen::new("a"));
    let b = p.step("b", Seen::new("b").reading(&a));
    let c = p.step("c", Image::new("c").reading(&a));
    let d = p.step("d", Seen::new("d").reading(&b).reading(&c)).timeout(Duration::from_millis(900));
    let e = p.step("e", Seen::new("e").reading(&d)).retry(RetryPolicy::fixed(1_000, secs(1)));
    plan_of(p.output(&e).build())
}

async fn work(cx: &StepContext, name: &str, draw: Draw, effects: Effects) -> Result<String, StepError> {
    draw.pause().await;
    if name == "c" {
        cx.sleep("bake", Duration::from_millis(draw.below(3_000))).await?;
    }
    // No key protects it: whoever enters the body twice without asking the world makes it twice.
    effects.lock().unwrap().entry(name.into()).or_default().0 += 1;
    draw.pause().await;
    match draw.below(10) {
        0 => Err(StepError::unknown("the answer was lost")),
        1 => panic!("a defect"),
        2 if name == "e" => Err(StepError::permanent("no")),
        _ => Ok(format!("{name} done")),
    }
}

fn script(scene: &Scene, draw: &Draw, effects: &Effects) {
    for name in STEPS {
        let (d, e) = (draw.clone(), effects.clone());
        scene.world.run(name, move |cx, _| Box::pin(work(cx, name, d.clone(), e.clone())));
        let (d, e) = (draw.clone(), effects.clone());
        scene.world.observe(name, move |_, _| {
            let (d, e) = (d.clone(), e.clone());
            Box::pin(async move {
                d.pause().await;
                let made = e.lock().unwrap().get(name).is_some_and(|(made, undone)| made > undone);
                Ok(if made { Observed::Done(format!("{name} seen")) } else { Observed::NotDone })
            })
        });
        let (d, e) = (draw.clone(), effects.clone());
        scene.world.undo(name, move |_, _| {
            let (d, e) = (d.clone(), e.clone());
            Box::pin(async move {
                d.pause().await;
                if let Some((made, undone)) = e.lock().unwrap().get_mut(name) {
                    *undone = *made;
                }
                d.pause().await;
                if d.below(4) == 0 { Err(StepError::transient("again")) } else { Ok(()) }
            })
        });
    }
}

fn one_life(seed: u64) -> (u32, bool) {
    let scene = Scene::between_runtimes();
    let (draw, effects) = (Draw(Arc::new(Mutex::new(seed))), Effects::default());
    script(&scene, &draw, &effects);
    let mut kills = 0;
    let run = scene.process(async |b| {
        let engine = b.start().await.unwrap();
        let run = engine.run(plan(), "k").await.unwrap();
        draw.pause().await;
        run.id()
    });
    for life in 0.. {
        assert!(life < 400, "seed {seed}: it never ends: {:#?}", scene.world.said());
        let settled = scene.process(async |b| {
            let engine = b.start().await.unwrap();
            let run = engine.attach::<String>(run).await.unwrap();
            let lives = Duration::from_millis(100 + draw.below(2_000));
            tokio::time::timeout(lives, async {
                loop {
                    match run.settled().await.unwrap() {
                        // Killed thrice in a row before it came to write anything, or out of tries at something.
                        Settled::Stuck(_) => {
                            let retry = Verb::Retry { step: None, new_key: false, from_scratch: false };
                            let _ = run.verb(retry, "").await;
                        }
                        settled => break settled,
                    }
                }
            })
            .await
            .ok()
        });
        kills += 1;
        let Some(settled) = settled else { continue };
        let effects = effects.lock().unwrap().clone();
        let events = scene.process(async |_| scene.events_of(run).await);
        assert_eq!(count(&events, EventKind::RunSettled), 1, "seed {seed}");
        let succeeded = matches!(settled, Settled::Succeeded(_));
        for (name, (made, undone)) in &effects {
            assert!(*made <= undone + 1, "seed {seed}: {name} was done twice");
            assert!(succeeded || made == undone, "seed {seed}: {name} leaked");
        }
        if succeeded {
            let there = |name: &&&str| effects.get(**name).is_some_and(|(made, undone)| made > undone);
            assert_eq!(STEPS.iter().filter(there).count(), 5, "seed {seed}: something was lost");
        }
        return (kills, succeeded);
    }
    unreachable!("the loop ends by an assertion")
}

#[test]
fn chaos_loses_doubles_and_leaks_nothing() {
    let seeds = std::env::var("TOWPATH_CHAOS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    let (mut kills, mut succeeded) = (0, 0);
    for seed in 0..seeds {
        let (killed, well) = one_life(seed);
        kills += killed;
        succeeded += u64::from(well);
    }
    assert!(kills as u64 > 3 * seeds, "{kills} kills in {seeds} runs");
    assert!(succeeded > seeds / 10 && succeeded < seeds, "{succeeded} of {seeds} succeeded");
}
