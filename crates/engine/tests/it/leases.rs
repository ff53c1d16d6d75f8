//! Leases: what a worker does not know to be its own is driven by nobody, and what is its own is not forgotten.

use crate::common::*;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use tokio::time::Instant;
use towpath_engine::Settled;
use towpath_step::{Pipeline, Plan};
use towpath_store::StoreErrorKind;

const LEASE_SECS: u64 = 10;

fn one() -> Plan<String> {
    let p = Pipeline::new("one");
    let a = p.step("a", Idem::new("a"));
    plan_of(p.output(&a).build())
}

/// A claim is answered after nine of the ten seconds of the lease, which could not be renewed meanwhile and was let go
/// after eight: the run belongs to a name that nobody renews, and is free after ten.
#[tokio::test(start_paused = true)]
async fn a_claim_that_is_answered_after_the_lease_was_lost_is_driven_by_nobody() {
    for registers_again in [false, true] {
        let scene = Scene::new();
        let began = Instant::now();
        let store = FaultStore::new(scene.other_process());
        let engine = scene.builder_on(store.clone()).lease(secs(LEASE_SECS)).start().await.unwrap();
        let first = engine.worker();
        let claimed = Arc::new(AtomicBool::new(false));
        let was_claimed = claimed.clone();
        store.hook(move |side, call| match (side, call) {
            (Side::After, Call::Claim) if !was_claimed.swap(true, Ordering::SeqCst) => {
                Some(Fault::Late(secs(9)))
            }
            (Side::Before, Call::Heartbeat) => Some(Fault::AWAY),
            (Side::Before, Call::Register) if !registers_again => Some(Fault::AWAY),
            _ => None,
        });
        let starter = scene.builder().background(false).start().await.unwrap();
        let run = starter.run(one(), "k").await.unwrap();
        until("it is claimed", async || claimed.load(Ordering::SeqCst)).await;
        assert!(began.elapsed() < secs(1) / 2, "{:?}", began.elapsed());
        let other = scene.builder_on(scene.other_process()).start().await.unwrap();

        tokio::time::sleep_until(began + secs(9) + secs(1) / 2).await;
        assert!(scene.world.said().is_empty(), "{:?}", scene.world.said());
        assert_ne!(engine.worker(), first);
        assert_eq!(engine.health().await.lease_left.is_zero(), !registers_again);
        assert_eq!(scene.row(&run).await.owner, Some(first), "the claim was written");
        assert_eq!(engine.health().await.runs_in_memory, 0);

        assert_eq!(run.settled().await.unwrap(), Settled::Succeeded("a done".into()));
        assert!(began.elapsed() >= secs(LEASE_SECS) && began.elapsed() < secs(12), "{:?}", began.elapsed());
        assert_eq!(scene.world.said(), ["run a"]);
        drop((engine, other));
    }
}

/// The store refuses a transition for good, and cannot set the run aside either. The driver gives up; the lease holds,
/// so that nobody else would ever look at the run.
#[tokio::test(start_paused = true)]
async fn a_run_that_can_neither_be_written_nor_set_aside_is_taken_up_again() {
    let scene = Scene::new();
    let store = FaultStore::new(scene.memory.clone());
    let (refused, given_up) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let (refusals, gives_up) = (refused.clone(), given_up.clone());
    store.hook(move |side, call| match (side, call) {
        (Side::Before, Call::Commit(_)) if !gives_up.load(Ordering::SeqCst) => {
            refusals.fetch_add(1, Ordering::SeqCst);
            Some(Fault::Error(StoreErrorKind::Invalid))
        }
        (Side::Before, Call::Quarantine(_)) if !gives_up.swap(true, Ordering::SeqCst) => Some(Fault::AWAY),
        _ => None,
    });
    let engine = scene.builder_on(store.clone()).start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    until("the driver gives up", async || given_up.load(Ordering::SeqCst)).await;
    let settled = tokio::time::timeout(secs(10), run.settled()).await.expect("somebody drives it");
    assert_eq!(settled.unwrap(), Settled::Succeeded("a done".into()));
    assert!(refused.load(Ordering::SeqCst) > 1);
    assert_eq!(store.fired(), refused.load(Ordering::SeqCst) + 1);
    // Its body was dropped with it, or had ended without being journaled: it is entered again.
    assert_eq!(scene.world.said(), ["run a", "run a"]);
}

/// The journal cannot be written, so that the run does not leave memory within the grace and a lease: given back then,
/// it would be driven elsewhere while what is left of it here may still act.
#[tokio::test(start_paused = true)]
async fn a_shutdown_with_a_run_that_does_not_end_keeps_the_lease_until_it_expires() {
    let scene = Scene::new();
    scene.world.run("a", |_, n| {
        Box::pin(async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            Ok("x".into())
        })
    });
    let store = FaultStore::new(scene.other_process());
    let builder = scene.builder_on(store.clone()).lease(secs(LEASE_SECS)).grace(secs(5));
    let engine = builder.start().await.unwrap();
    let run = engine.run(one(), "k").await.unwrap();
    until("its body runs", async || scene.world.times("run a") == 1).await;
    let other = scene.engine().await;
    let renewed = Arc::new(Mutex::new(None));
    let renews = renewed.clone();
    store.hook(move |side, call| {
        if let (Side::After, Call::Heartbeat) = (side, call) {
            *renews.lock().unwrap() = Some(Instant::now());
        }
        (side == Side::Before && is_commit(call)).then_some(Fault::AWAY)
    });

    let began = Instant::now();
    engine.shutdown().await.unwrap();
    let took = began.elapsed();
    assert!(took >= secs(5 + LEASE_SECS) && took < secs(6 + LEASE_SECS), "{took:?}");
    assert!(store.fired() > 0);
    let expires = renewed.lock().unwrap().unwrap() + secs(LEASE_SECS);
    assert!(expires > Instant::now() + secs(3), "long enough that another would take it up before");

    let seen = other.attach::<String>(run.id()).await.unwrap();
    assert_eq!(seen.settled().await.unwrap(), Settled::Succeeded("x".into()));
    let settled = Instant::now();
    assert!(settled >= expires && settled < expires + secs(2), "{:?} after {expires:?}", settled);
    assert_eq!(scene.world.said(), ["run a", "run a"]);
    drop(engine);
}
