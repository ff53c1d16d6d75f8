//! Heads that are signed and anchored, and what they find.

use crate::common::*;
use std::{
    error::Error,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};
use towpath_engine::{
    Builder, Engine, Keys, LocalKey, Run, Signer, archive,
    verify::{Evidence, evidence, export, read_exported},
};
use towpath_model::{Anchor, KeyId, Leaf, RunId, Signature};
use towpath_step::{Pipeline, Plan};
use towpath_store::{MemoryStore, Remove, Store, SystemClock};

fn plan() -> Plan {
    let p = Pipeline::new("checkout");
    p.step("a", Idem::new("a"));
    p.build().unwrap().plan().unwrap()
}

/// A key in a folder of its own.
fn key() -> LocalKey {
    let folder = tempfile::tempdir().unwrap();
    LocalKey::create(folder.path().join("key")).unwrap()
}

fn signing(scene: &Scene, signer: impl Signer) -> Builder {
    scene.builder().signer(signer)
}

async fn settled(engine: &Engine, key: &str) -> Run<()> {
    let run = engine.run(plan(), key).await.unwrap();
    run.settled().await.unwrap();
    run
}

async fn check(scene: &Scene, keys: &Keys) -> Evidence {
    evidence(&*scene.memory, keys, &[]).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_settled_run_has_a_signed_head_and_what_moved_is_anchored_every_minute() {
    let scene = Scene::new();
    let key = key();
    let (keys, id) = (Keys::of(&key), key.key());
    let engine = signing(&scene, key).start().await.unwrap();
    let run = settled(&engine, "one").await;
    let row = scene.row(&run).await;
    let (head, signed) =
        (scene.memory.head(row.no).await.unwrap(), scene.memory.signed_head(row.no).await.unwrap().unwrap());
    assert_eq!((signed.run, signed.seq, signed.hash, signed.key), (run.id(), head.seq, head.hash, id));
    assert_eq!(scene.memory.anchors(0, 9).await.unwrap(), []);
    until("an anchor is written", async || !scene.memory.anchors(0, 9).await.unwrap().is_empty()).await;
    settled(&engine, "two").await;
    settled(&engine, "three").await;
    until("another is written", async || scene.memory.anchors(1, 9).await.unwrap().len() == 1).await;
    let anchors = scene.memory.anchors(0, 9).await.unwrap();
    let counts: Vec<u64> = anchors.iter().map(|a| Anchor::decode(&a.anchor).unwrap().count).collect();
    assert_eq!(counts, [1, 2], "only what moved");
    // Where nothing moves, nothing is anchored.
    tokio::time::sleep_until(tokio::time::Instant::now() + secs(600)).await;
    assert_eq!(scene.memory.anchors(0, 9).await.unwrap().len(), 2);
    let found = check(&scene, &keys).await;
    assert!(found.is_intact(), "{:?}", found.faults);
    assert_eq!((found.anchors, found.anchored, found.signed, found.unsigned), (2, 3, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn signatures_of_a_key_that_was_replaced_verify_with_the_old_public_key() {
    let scene = Scene::new();
    let (old, new) = (key(), key());
    let (old_keys, new_keys) = (Keys::of(&old), Keys::of(&new));
    for (signer, name) in [(old, "one"), (new, "two")] {
        let engine = signing(&scene, signer).start().await.unwrap();
        settled(&engine, name).await;
        engine.shutdown().await.unwrap();
    }
    let found = check(&scene, &old_keys.clone().and(new_keys.clone())).await;
    assert!(found.is_intact(), "{:?}", found.faults);
    assert_eq!((found.anchors, found.signed), (2, 2));
    let found = check(&scene, &new_keys).await;
    assert!(found.faults[0].starts_with("anchor 1: it is signed by key "), "{:?}", found.faults);
    assert!(found.faults.iter().any(|f| f.contains("its head is signed by key")), "{:?}", found.faults);
}

/// A signer that fails when it is told to.
#[derive(Debug)]
struct Moody(LocalKey, Arc<AtomicBool>);

impl Signer for Moody {
    fn key(&self) -> KeyId {
        self.0.key()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, Box<dyn Error + Send + Sync>> {
        if self.1.load(Ordering::SeqCst) {
            Err("the token was pulled out".into())
        } else {
            self.0.sign(message)
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_cannot_holds_up_no_run_and_anchors_are_tried_again() {
    let scene = Scene::new();
    let (key, is_away) = (key(), Arc::new(AtomicBool::new(true)));
    let keys = Keys::of(&key);
    let engine = signing(&scene, Moody(key, is_away.clone())).start().await.unwrap();
    let run = settled(&engine, "one").await;
    assert_eq!(scene.memory.signed_head(scene.row(&run).await.no).await.unwrap(), None);
    assert!(engine.anchor().await.is_err());
    is_away.store(false, Ordering::SeqCst);
    engine.anchor().await.unwrap();
    let found = check(&scene, &keys).await;
    assert!(found.is_intact());
    assert_eq!((found.anchored, found.signed, found.unsigned), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn two_engines_that_anchor_at_once_write_one_chain() {
    let scene = Scene::new();
    let (one, two) = (key(), key());
    let keys = Keys::of(&one).and(Keys::of(&two));
    let engine = signing(&scene, one).start().await.unwrap();
    let other = scene.builder_on(scene.other_process()).signer(two).start().await.unwrap();
    for n in 0..10 {
        settled(if n % 2 == 0 { &engine } else { &other }, &format!("run-{n}")).await;
        let (a, b) = tokio::join!(engine.anchor(), other.anchor());
        a.unwrap();
        b.unwrap();
    }
    let found = check(&scene, &keys).await;
    assert!(found.is_intact(), "{:?}", found.faults);
    assert_eq!(found.anchored, 10);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_leaves_one_anchor() {
    let scene = Scene::new();
    let key = key();
    let keys = Keys::of(&key);
    let store = FaultStore::new(scene.memory.clone());
    let engine = scene.builder_on(store.clone()).signer(key).start().await.unwrap();
    settled(&engine, "one").await;
    for side in [Side::Before, Side::After] {
        store.strike(side, 1, |call| matches!(call, Call::Anchor), Fault::AWAY);
        assert!(engine.anchor().await.is_err());
        assert_eq!(store.fired(), 1);
    }
    engine.anchor().await.unwrap();
    let found = check(&scene, &keys).await;
    assert!(found.is_intact(), "{:?}", found.faults);
    assert_eq!(found.anchors, 1);
}

/// A store in which three runs are anchored, and the key.
async fn anchored() -> (Scene, Keys, Vec<RunId>, Engine) {
    let scene = Scene::new();
    let key = key();
    let keys = Keys::of(&key);
    let engine = signing(&scene, key).start().await.unwrap();
    let mut runs = Vec::new();
    for name in ["one", "two", "three"] {
        runs.push(settled(&engine, name).await.id());
    }
    engine.anchor().await.unwrap();
    (scene, keys, runs, engine)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_removed_by_the_rules_is_not_missing_and_one_that_vanished_is() {
    let (scene, keys, runs, engine) = anchored().await;
    let row = scene.memory.find(runs[1]).await.unwrap().unwrap();
    let head = scene.memory.head(row.no).await.unwrap();
    let by = towpath_model::Actor::engine();
    let remove = Remove { run: runs[1], seq: head.seq, hash: head.hash, by, note: String::new() };
    scene.memory.remove(vec![remove]).await.unwrap();
    let found = check(&scene, &keys).await;
    assert!(found.is_intact(), "{:?}", found.faults);
    assert_eq!(found.removed_since, 1);
    engine.anchor().await.unwrap();
    let found = check(&scene, &keys).await;
    assert!(found.is_intact(), "{:?}", found.faults);
    assert_eq!((found.anchors, found.removed_since), (2, 0));

    // The same anchors over a store in which the runs are not.
    let kept = scene.memory.anchors(0, 9).await.unwrap();
    let other = MemoryStore::new(Arc::new(SystemClock));
    for (stored, no) in kept.iter().zip(1..) {
        let leaves = Leaf::decode_all(&stored.leaves).unwrap();
        let new = towpath_store::NewAnchor { no, anchor: stored.clone(), leaves, mark: [0; 2] };
        assert!(other.anchor(new).await.unwrap());
    }
    let found = evidence(&other, &keys, &[]).await.unwrap();
    assert_eq!(found.faults.len(), 2, "{:?}", found.faults);
    for run in [runs[0], runs[2]] {
        let missing = format!("run {run}: it is missing, and no record says that it was removed");
        assert!(found.faults.iter().any(|f| f.starts_with(&missing)), "{:?}", found.faults);
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_of_an_anchor_is_found() {
    let (scene, keys, _, engine) = anchored().await;
    settled(&engine, "four").await;
    engine.anchor().await.unwrap();
    let anchors = scene.memory.anchors(0, 9).await.unwrap();
    assert_eq!(anchors.len(), 2);
    let fault = async |changed: Vec<towpath_model::StoredAnchor>, kept: &[towpath_model::StoredAnchor]| {
        let other = MemoryStore::new(Arc::new(SystemClock));
        for (anchor, no) in changed.into_iter().zip(1..) {
            let new = towpath_store::NewAnchor { no, anchor, leaves: Vec::new(), mark: [0; 2] };
            assert!(other.anchor(new).await.unwrap());
        }
        evidence(&other, &keys, kept).await.unwrap().faults.into_iter().find(|f| f.starts_with("anchor "))
    };
    assert_eq!(fault(anchors.clone(), &anchors).await, None);
    let mut tried = 0;
    for (n, anchor) in anchors.iter().enumerate() {
        for at in 0..anchor.anchor.len() + anchor.leaves.len() + 8 + 64 {
            let mut changed = anchors.clone();
            let stored = &mut changed[n];
            let (a, l) = (stored.anchor.len(), stored.leaves.len());
            match at {
                at if at < a => stored.anchor[at] ^= 1,
                at if at < a + l => stored.leaves[at - a] ^= 1,
                at if at < a + l + 8 => stored.key.0[at - a - l] ^= 1,
                at => stored.signature.0[at - a - l - 8] ^= 1,
            }
            assert!(fault(changed, &[]).await.is_some(), "byte {at} of anchor {}", n + 1);
            tried += 1;
        }
    }
    assert!(tried > 500, "only {tried} bytes");
    assert!(fault(vec![anchors[1].clone()], &[]).await.is_some(), "the first was deleted");
    assert!(fault(vec![anchors[1].clone(), anchors[0].clone()], &[]).await.is_some(), "they were reordered");
    // Only what was kept elsewhere shows that the last one is gone.
    assert_eq!(fault(vec![anchors[0].clone()], &[]).await, None);
    let found = fault(vec![anchors[0].clone()], &anchors).await.unwrap();
    assert_eq!(found, "anchor 2: it is missing, and 2 were kept");
}

#[tokio::test(start_paused = true)]
async fn what_is_exported_is_read_again_and_archives_carry_signed_heads() {
    let (scene, keys, runs, _engine) = anchored().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evidence");
    assert_eq!(export(&*scene.memory, &file).await.unwrap(), (1, 3));
    let read = read_exported(&file).unwrap();
    assert_eq!(read.anchors, scene.memory.anchors(0, 9).await.unwrap());
    assert!(evidence(&*scene.memory, &keys, &read.anchors).await.unwrap().is_intact());
    let text = std::fs::read_to_string(&file).unwrap();
    for cut in [text.len() / 2, text.trim_end().rfind('\n').unwrap()] {
        std::fs::write(&file, &text[..cut]).unwrap();
        assert!(read_exported(&file).is_err(), "it was cut at {cut}");
    }
    let row = scene.memory.find(runs[0]).await.unwrap().unwrap();
    let file = folder.path().join("one.towpath");
    archive::write(&*scene.memory, &row, &file).await.unwrap();
    let verdict = archive::verify(&file).unwrap();
    assert!(verdict.is_intact());
    assert_eq!(Some(&verdict.signed[0]), scene.memory.signed_head(row.no).await.unwrap().as_ref());
    let opened = archive::open(&file).await.unwrap();
    let copy = opened.store.find(runs[0]).await.unwrap().unwrap();
    assert_eq!(opened.store.signed_head(copy.no).await.unwrap().as_ref(), verdict.signed.first());
}

/// What signs is asked only for what settles.
#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_asks_no_signer() {
    #[derive(Debug)]
    struct Counting(LocalKey, Arc<Mutex<u32>>);
    impl Signer for Counting {
        fn key(&self) -> KeyId {
            self.0.key()
        }
        fn sign(&self, message: &[u8]) -> Result<Signature, Box<dyn Error + Send + Sync>> {
            *self.1.lock().unwrap() += 1;
            self.0.sign(message)
        }
    }
    let scene = Scene::new();
    let asked = Arc::new(Mutex::new(0));
    let engine = signing(&scene, Counting(key(), asked.clone())).start().await.unwrap();
    settled(&engine, "one").await;
    assert_eq!(*asked.lock().unwrap(), 1);
}
