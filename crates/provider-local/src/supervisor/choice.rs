//! Which instance takes a request.

use super::instance::{Instance, Ticket};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// What requests meet: the instances that there are, and the weights between their releases.
///
/// It is looked at and changed under one lock that is held for no longer than that, so that a request meets the weights from
/// before a move or those from after it.
#[derive(Default)]
pub(super) struct Choice(Mutex<Table>);

#[derive(Default)]
struct Table {
    weights: BTreeMap<String, u8>,
    /// Smooth weighted round robin: what each release has saved up.
    credit: BTreeMap<String, i64>,
    instances: Vec<Arc<Instance>>,
    /// Counts up with each choice, so that instances with as much to do take turns.
    turn: usize,
}

impl Choice {
    fn with<T>(&self, f: impl FnOnce(&mut Table) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends requests by these weights from now on.
    pub(super) fn weigh(&self, weights: &BTreeMap<String, u8>) {
        self.with(|table| {
            table.weights.clone_from(weights);
            table.credit.clear();
        });
    }

    pub(super) fn add(&self, instance: &Arc<Instance>) {
        self.with(|table| table.instances.push(Arc::clone(instance)));
    }

    /// From now on no request is sent to this instance; those that have been are counted by it.
    pub(super) fn leave_out(&self, id: u64) {
        self.with(|table| table.instances.retain(|instance| instance.id != id));
    }

    /// Whether an instance of this release can take traffic.
    pub(super) fn can_take(&self, version: &str) -> bool {
        self.with(|table| table.can_take(version, &[]))
    }

    /// The instance for the next request.
    pub(super) fn next(&self) -> Option<Ticket> {
        self.with(|table| {
            let version = table.turn_of().or_else(|| table.stand_in(&[]))?;
            table.instance(&version, &[])
        })
    }

    /// Another instance for a request that could not be sent to those of `tried`: of the same release, or of another one that
    /// has traffic.
    pub(super) fn instead(&self, version: &str, tried: &[u64]) -> Option<Ticket> {
        self.with(|table| {
            let same = table.instance(version, tried);
            same.or_else(|| table.stand_in(tried).and_then(|other| table.instance(&other, tried)))
        })
    }
}

impl Table {
    fn can_take(&self, version: &str, tried: &[u64]) -> bool {
        let takes = |i: &Arc<Instance>| i.version == version && i.takes_traffic() && !tried.contains(&i.id);
        self.instances.iter().any(takes)
    }

    /// The release whose turn it is, by smooth weighted round robin: each gets its weight, the richest pays for all. Over any
    /// 100 requests from the begin, each release has its percentage.
    fn turn_of(&mut self) -> Option<String> {
        for (version, weight) in &self.weights {
            *self.credit.entry(version.clone()).or_default() += i64::from(*weight);
        }
        let total: i64 = self.weights.values().map(|weight| i64::from(*weight)).sum();
        let richest = self.credit.iter_mut().max_by_key(|(_, credit)| **credit)?;
        *richest.1 -= total;
        let version = richest.0.clone();
        self.can_take(&version, &[]).then_some(version)
    }

    /// The release with the most traffic of those that can take a request.
    fn stand_in(&self, tried: &[u64]) -> Option<String> {
        let able = self.weights.iter().filter(|(version, _)| self.can_take(version, tried));
        able.max_by_key(|(_, weight)| **weight).map(|(version, _)| version.clone())
    }

    /// The instance of a release that has the least to do.
    fn instance(&mut self, version: &str, tried: &[u64]) -> Option<Ticket> {
        self.turn = self.turn.wrapping_add(1);
        let takes = |i: &&Arc<Instance>| i.version == version && i.takes_traffic() && !tried.contains(&i.id);
        // Looked at once: what an instance has to do changes while others are compared with it.
        let able: Vec<_> = self.instances.iter().filter(takes).map(|i| (i.under_way(), i)).collect();
        let least = able.iter().map(|(under_way, _)| *under_way).min()?;
        let free: Vec<_> = able.into_iter().filter(|(under_way, _)| *under_way == least).collect();
        Some(Ticket::new(Arc::clone(free[self.turn % free.len()].1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use towpath_provider::Health;

    fn choice(healthy: &[(&str, u64)]) -> Choice {
        let choice = Choice::default();
        for (version, id) in healthy {
            let instance = Instance::new("orders", version, *id, 0);
            instance.set_health(Health::Healthy);
            choice.add(&Arc::new(instance));
        }
        choice
    }

    fn counts(choice: &Choice, requests: u32) -> BTreeMap<String, u32> {
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            let ticket = choice.next().unwrap();
            *counts.entry(ticket.instance().version.clone()).or_insert(0) += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn a_percentage_of_a_hundred_requests_is_that_many(
            first in 1u8..=98, second in 0u8..=98, rounds in 1u32..4
        ) {
            let second = second.min(99 - first);
            let weights = [("a", first), ("b", second), ("c", 100 - first - second)];
            let weights = weights.into_iter().filter(|(_, w)| *w > 0).map(|(v, w)| (v.to_owned(), w));
            let weights: BTreeMap<String, u8> = weights.collect();
            let choice = choice(&[("a", 1), ("a", 2), ("b", 3), ("c", 4)]);
            choice.weigh(&weights);
            for _ in 0..rounds {
                let counts = counts(&choice, 100);
                let wanted = weights.iter().map(|(v, w)| (v.clone(), u32::from(*w)));
                prop_assert_eq!(counts, wanted.collect::<BTreeMap<_, _>>());
            }
        }
    }

    #[test]
    fn a_small_weight_is_spread_and_not_sent_in_a_row() {
        let choice = choice(&[("a", 1), ("b", 2)]);
        choice.weigh(&BTreeMap::from([("a".into(), 90), ("b".into(), 10)]));
        for _ in 0..10 {
            assert_eq!(counts(&choice, 10)["b"], 1);
        }
    }

    #[test]
    fn requests_that_end_while_another_is_sent_confuse_nobody() {
        let choice = choice(&[("a", 1)]);
        choice.weigh(&BTreeMap::from([("a".into(), 100)]));
        let (send, sent) = std::sync::mpsc::sync_channel(64);
        std::thread::scope(|scope| {
            scope.spawn(move || sent.iter().for_each(drop::<Ticket>));
            for _ in 0..200_000 {
                send.send(choice.next().unwrap()).unwrap();
            }
            drop(send);
        });
    }

    #[test]
    fn who_cannot_take_a_request_is_stood_in_for() {
        let choice = choice(&[("a", 1), ("a", 2), ("c", 4)]);
        choice.weigh(&BTreeMap::from([("a".into(), 50), ("b".into(), 50)]));
        assert_eq!(counts(&choice, 10), BTreeMap::from([("a".into(), 10)]), "and not by one without traffic");
        let version =
            |ticket: Option<Ticket>| ticket.map(|t| (t.instance().version.clone(), t.instance().id));
        assert_eq!(version(choice.instead("a", &[1])), Some(("a".into(), 2)));
        assert_eq!(version(choice.instead("a", &[1, 2])), None);
        assert_eq!(version(choice.instead("b", &[2])), Some(("a".into(), 1)));
        choice.leave_out(1);
        choice.leave_out(2);
        assert!(choice.next().is_none());
    }

    #[test]
    fn instances_with_as_much_to_do_take_turns_and_the_idle_one_is_preferred() {
        let choice = choice(&[("a", 1), ("a", 2), ("a", 3)]);
        choice.weigh(&BTreeMap::from([("a".into(), 100)]));
        let held: Vec<_> = (0..3).map(|_| choice.next().unwrap()).collect();
        let mut ids: Vec<_> = held.iter().map(|ticket| ticket.instance().id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3]);
        let free = held[1].instance().id;
        drop(held.into_iter().nth(1));
        let _ = free;
        assert!(choice.next().is_some());
    }
}
