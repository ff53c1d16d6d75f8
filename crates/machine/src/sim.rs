//! A seeded simulator: random plans, and a driver that does whatever a driver may do.
//!
//! Everything is drawn from one seed, which a failing test prints. `TOWPATH_SEED=n` runs that one alone, and
//! `TOWPATH_SEEDS=n` that many.

pub(crate) mod checks;
pub(crate) mod contest;
pub(crate) mod driver;
pub(crate) mod family;
pub(crate) mod ledger;
pub(crate) mod plans;
pub(crate) mod rng;
pub(crate) mod script;

use driver::Sim;

/// Calls `test` for each seed, and says which one failed.
pub(crate) fn for_seeds(count: u64, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let read = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match read("TOWPATH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..read("TOWPATH_SEEDS").unwrap_or(count),
    };
    for seed in seeds {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("the failing seed is TOWPATH_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// A run of which everything happened that chance had in it, and that has settled.
pub(crate) fn whole_run(seed: u64) -> Sim {
    let mut sim = Sim::random(seed);
    let turns = sim.rng.below(120);
    for _ in 0..turns {
        sim.turn();
    }
    let most = 200 + 100 * sim.state.plan().len();
    sim.settle(most);
    sim
}
