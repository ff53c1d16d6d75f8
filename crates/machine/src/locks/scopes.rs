//! Which locks are taken together: those whose scopes overlap.

use crate::Ix;
use std::collections::BTreeSet;
use towpath_model::{Name, PlanRecord};

/// Place of a scope in its plan. Never stored: locks have names.
pub(crate) type ScopeNo = usize;

/// Locks that are taken and given back together, and the steps that act under them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Scope {
    /// In the order of their names.
    pub(crate) locks: Vec<Name>,
    pub(crate) members: Vec<Ix>,
    /// How many steps there are of each section.
    pub(crate) sizes: [u32; 3],
}

/// The scopes of a plan, and for each step the one that it belongs to.
///
/// Two locks belong to one scope when a step has both, and when their steps neither all come before each other nor all
/// run beside each other: then holding one while waiting for the other could be waiting in a circle, on the way forward
/// or while unwinding.
pub(crate) fn scopes(record: &PlanRecord, dependents: &[Vec<Ix>]) -> (Vec<Scope>, Vec<Option<ScopeNo>>) {
    let mut groups: Vec<(BTreeSet<&Name>, BTreeSet<Ix>)> = Vec::new();
    for (step, ix) in record.steps.iter().zip(0..) {
        if step.locks.is_empty() {
            continue;
        }
        let mut whole: (BTreeSet<&Name>, BTreeSet<Ix>) = (step.locks.iter().collect(), BTreeSet::from([ix]));
        let shares = |group: &(BTreeSet<&Name>, BTreeSet<Ix>)| !group.0.is_disjoint(&whole.0);
        let (mine, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(shares);
        for (locks, steps) in mine {
            whole.0.extend(locks);
            whole.1.extend(steps);
        }
        groups = others;
        groups.push(whole);
    }
    if groups.len() > 1 {
        let after = Later::of(record, dependents);
        while let Some((a, b)) = overlapping(&groups, &after) {
            let (locks, steps) = groups.remove(b);
            groups[a].0.extend(locks);
            groups[a].1.extend(steps);
        }
    }
    groups.sort();
    let mut of = vec![None; record.steps.len()];
    let scopes = groups.into_iter().enumerate().map(|(no, (locks, steps))| {
        let mut sizes = [0; 3];
        for ix in &steps {
            of[*ix as usize] = Some(no);
            sizes[record.steps[*ix as usize].section as usize] += 1;
        }
        Scope { locks: locks.into_iter().cloned().collect(), members: steps.into_iter().collect(), sizes }
    });
    (scopes.collect(), of)
}

fn overlapping(groups: &[(BTreeSet<&Name>, BTreeSet<Ix>)], after: &Later) -> Option<(usize, usize)> {
    let pairs = (0..groups.len()).flat_map(|a| (a + 1..groups.len()).map(move |b| (a, b)));
    pairs.into_iter().find(|(a, b)| {
        let (a, b) = (&groups[*a].1, &groups[*b].1);
        let pairs = || a.iter().flat_map(|x| b.iter().map(move |y| (*x, *y)));
        let one_after_the_other =
            pairs().all(|(x, y)| after.is(y, x)) || pairs().all(|(x, y)| after.is(x, y));
        let side_by_side = pairs().all(|(x, y)| !after.is(x, y) && !after.is(y, x));
        !one_after_the_other && !side_by_side
    })
}

/// Which steps come after which, whatever lies between.
struct Later {
    words: usize,
    bits: Vec<u64>,
}

impl Later {
    fn of(record: &PlanRecord, dependents: &[Vec<Ix>]) -> Self {
        let n = record.steps.len();
        let words = n.div_ceil(64);
        let mut later = Later { words, bits: vec![0; words * n] };
        let mut missing = vec![0_usize; n];
        dependents.iter().flatten().for_each(|d| missing[*d as usize] += 1);
        let mut free: Vec<usize> = (0..n).filter(|i| missing[*i] == 0).collect();
        let mut order = Vec::with_capacity(n);
        while let Some(i) = free.pop() {
            order.push(i);
            for d in &dependents[i] {
                missing[*d as usize] -= 1;
                if missing[*d as usize] == 0 {
                    free.push(*d as usize);
                }
            }
        }
        for i in order.into_iter().rev() {
            for d in dependents[i].iter().map(|d| *d as usize) {
                later.bits[i * words + d / 64] |= 1 << (d % 64);
                for w in 0..words {
                    later.bits[i * words + w] |= later.bits[d * words + w];
                }
            }
        }
        // What has its turn later comes after, whether or not it reads anything.
        for (i, step) in record.steps.iter().enumerate() {
            for (j, other) in record.steps.iter().enumerate() {
                if other.section > step.section {
                    later.bits[i * words + j / 64] |= 1 << (j % 64);
                }
            }
        }
        later
    }

    /// Whether `a` comes after `b`.
    fn is(&self, a: Ix, b: Ix) -> bool {
        let (a, b) = (a as usize, b as usize);
        self.bits[b * self.words + a / 64] & (1 << (a % 64)) != 0
    }
}
