//! The store in memory keeps the contract, and the contract is what the suite tests.
#![cfg(feature = "conformance")]

use std::sync::Arc;
use towpath_store::{
    ManualClock, MemoryStore, Store,
    conformance::{Fixture, rules},
};

struct Memory {
    clock: Arc<ManualClock>,
    store: MemoryStore,
}

impl Fixture for Memory {
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }
}

fn memory() -> Memory {
    let clock = Arc::new(ManualClock::default());
    Memory { store: MemoryStore::new(clock.clone()), clock }
}

towpath_store::store_conformance!(memory());

/// The bullets under `# Contract` in the documentation of the trait, with a bullet's further lines joined.
fn bullets(source: &str) -> Vec<String> {
    let (mut bullets, mut in_contract) = (Vec::<String>::new(), false);
    for line in source.lines().map(str::trim_start) {
        let Some(text) = line.strip_prefix("///").map(str::trim) else {
            in_contract = false;
            continue;
        };
        match text.strip_prefix("# ") {
            Some(title) => in_contract = title == "Contract",
            None if !in_contract || text.is_empty() => {}
            None => match (text.strip_prefix("- "), bullets.last_mut()) {
                (Some(bullet), _) => bullets.push(bullet.to_owned()),
                (None, Some(last)) => *last = format!("{last} {text}"),
                (None, None) => panic!("{text:?} is no bullet"),
            },
        }
    }
    bullets
}

/// A bullet as the name of its test: words joined by `_`, apostrophes left out.
fn rule(bullet: &str) -> String {
    let kept: String = bullet.to_lowercase().replace('\'', "");
    kept.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join("_")
}

#[test]
fn every_bullet_of_the_contract_is_a_rule_of_the_suite_and_every_rule_a_bullet() {
    let mut promised: Vec<String> =
        bullets(include_str!("../src/store.rs")).iter().map(|b| rule(b)).collect();
    let mut tested: Vec<String> = rules().map(str::to_owned).collect();
    promised.sort();
    tested.sort();
    assert!(promised.len() > 40, "the contract was not read");
    assert_eq!(tested, promised);
}
