//! What runs when: list scheduling (Graham, "Bounds for certain multiprocessing anomalies", 1966) with as many places as
//! the plan has, steps in the order in which they were written. That is how the machine starts them.

use crate::graph::Graph;
use std::{cmp::Reverse, collections::BTreeSet};
use towpath_model::{PlanRecord, Section};

/// How long one step takes: at work, and then waiting for people, when it holds no place.
#[derive(Clone, Copy, Default)]
pub(super) struct Length {
    pub(super) work: u64,
    pub(super) people: u64,
}

/// When everything is over, and the steps that made it so, first to last.
pub(super) struct Scheduled {
    pub(super) end: u64,
    pub(super) critical: Vec<usize>,
}

/// Schedules the way forward, and what comes finally behind it.
pub(super) fn schedule(record: &PlanRecord, graph: &Graph, lengths: &[Length]) -> Scheduled {
    let mut run = Run { graph, lengths, ends: vec![0; lengths.len()], because: vec![None; lengths.len()] };
    let (mut end, mut critical) = (0, Vec::new());
    for section in [Section::Main, Section::Finally] {
        let steps: Vec<usize> = (0..lengths.len()).filter(|i| record.steps[*i].section == section).collect();
        run.section(&steps, end, record.parallel.max(1) as usize);
        let Some(&last) = steps.iter().max_by_key(|i| (run.ends[**i], Reverse(**i))) else { continue };
        end = end.max(run.ends[last]);
        let mut chain = vec![last];
        while let Some(before) = run.because[chain[chain.len() - 1]] {
            chain.push(before);
        }
        critical.extend(chain.into_iter().rev());
    }
    Scheduled { end, critical }
}

struct Run<'a> {
    graph: &'a Graph,
    lengths: &'a [Length],
    ends: Vec<u64>,
    /// The step that a step began right after.
    because: Vec<Option<usize>>,
}

impl Run<'_> {
    fn section(&mut self, steps: &[usize], from: u64, places: usize) {
        let inside: BTreeSet<usize> = steps.iter().copied().collect();
        let befores = |i: usize| -> Vec<usize> {
            self.graph.into(i).iter().map(|e| e.from).filter(|p| inside.contains(p)).collect()
        };
        let befores: Vec<(usize, Vec<usize>)> = steps.iter().map(|i| (*i, befores(*i))).collect();
        let mut waiting = befores;
        let (mut done, mut now, mut freed) = (BTreeSet::new(), from, None);
        // Places that are taken, and steps that wait for people, by when that is over.
        let (mut working, mut resting) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let mut at = 0;
            while at < waiting.len() && working.len() < places {
                if !waiting[at].1.iter().all(|p| done.contains(p)) {
                    at += 1;
                    continue;
                }
                let (step, before) = waiting.remove(at);
                let last = before.iter().copied().max_by_key(|p| (self.ends[*p], Reverse(*p)));
                self.because[step] = match last {
                    Some(p) if self.ends[p] == now => Some(p),
                    // It could have begun before, had there been a place.
                    last => freed.filter(|_| now > from).or(last),
                };
                working.insert((now + self.lengths[step].work, step));
            }
            let next = [working.first(), resting.first()].into_iter().flatten().map(|(t, _)| *t).min();
            // What is left over waits in a circle: such a plan is refused elsewhere.
            let Some(next) = next else { return };
            now = next;
            while let Some(&(t, step)) = working.first().filter(|(t, _)| *t == now) {
                working.remove(&(t, step));
                freed = Some(step);
                resting.insert((t + self.lengths[step].people, step));
            }
            while let Some(&(t, step)) = resting.first().filter(|(t, _)| *t == now) {
                resting.remove(&(t, step));
                self.ends[step] = t;
                done.insert(step);
            }
        }
    }
}
