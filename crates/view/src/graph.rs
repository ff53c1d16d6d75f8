//! The graph of a plan: who waits for whom, why, and in which rank each step stands.

use std::collections::HashMap;
use towpath_model::{Operand, PlanRecord, ReadMode, Section, StepId};

/// Why a step waits for another. When there are several reasons, the first of this list is meant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Because {
    /// It reads its output, and is skipped without it.
    Reads,
    /// It reads its output, or nothing in its place.
    OrNone,
    /// It reads its output, or that of another branch.
    FirstOf,
    /// Its condition reads its output.
    When,
    /// Only the order matters.
    After,
}

/// An edge: `to` waits for `from`. Both are places in the list of steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) because: Because,
}

/// The graph of one plan, without the plans below it.
pub(crate) struct Graph {
    /// Each pair of steps at most once, by `to`, and then in the order in which the plan names them.
    pub(crate) edges: Vec<Edge>,
    /// How long the longest way to a step is, within its section.
    pub(crate) ranks: Vec<usize>,
    /// The edges that lead to each step, as places in `edges`.
    into: Vec<std::ops::Range<usize>>,
}

impl Graph {
    /// The graph of any record, also of one with mistakes: what names no step has no edge.
    pub(crate) fn of(record: &PlanRecord) -> Self {
        let mut index: HashMap<&StepId, usize> = HashMap::new();
        for (i, step) in record.steps.iter().enumerate() {
            index.entry(&step.id).or_insert(i);
        }
        let (mut edges, mut into) = (Vec::new(), Vec::new());
        for (to, step) in record.steps.iter().enumerate() {
            let start = edges.len();
            let mut seen: HashMap<usize, usize> = HashMap::new();
            let mut add = |id: &StepId, because| {
                let Some(&from) = index.get(id) else { return };
                match seen.get(&from) {
                    Some(&at) => {
                        let edge: &mut Edge = &mut edges[at];
                        edge.because = edge.because.min(because);
                    }
                    None => {
                        seen.insert(from, edges.len());
                        edges.push(Edge { from, to, because });
                    }
                }
            };
            for read in &step.reads {
                add(&read.step, because(read.mode));
            }
            for operand in step.when.iter().flat_map(|when| when.operands()) {
                if let Operand::From { step, .. } = operand {
                    add(step, Because::When);
                }
            }
            for id in &step.after {
                add(id, Because::After);
            }
            into.push(start..edges.len());
        }
        let sections: Vec<Section> = record.steps.iter().map(|s| s.section).collect();
        let ranks = ranks(&sections, &edges);
        Graph { edges, ranks, into }
    }

    /// The edges that lead to a step.
    pub(crate) fn into(&self, step: usize) -> &[Edge] {
        &self.edges[self.into[step].clone()]
    }

    /// The steps of a section, by rank.
    pub(crate) fn by_rank(&self, record: &PlanRecord, section: Section) -> Vec<Vec<usize>> {
        let mut ranks: Vec<Vec<usize>> = Vec::new();
        for (i, _) in record.steps.iter().enumerate().filter(|(_, s)| s.section == section) {
            let rank = self.ranks[i];
            if ranks.len() <= rank {
                ranks.resize_with(rank + 1, Vec::new);
            }
            ranks[rank].push(i);
        }
        ranks
    }

    /// The steps that a step waits for, over others or directly.
    pub(crate) fn ancestors(&self, step: usize) -> Vec<usize> {
        self.reach(step, |at| self.into(at).iter().map(|e| e.from).collect())
    }

    /// The steps that wait for a step, over others or directly.
    pub(crate) fn descendants(&self, step: usize) -> Vec<usize> {
        let mut out = vec![Vec::new(); self.ranks.len()];
        for edge in &self.edges {
            out[edge.from].push(edge.to);
        }
        self.reach(step, |at| out[at].clone())
    }

    fn reach(&self, step: usize, next: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
        let mut seen = vec![false; self.ranks.len()];
        seen[step] = true;
        let (mut open, mut found) = (vec![step], Vec::new());
        while let Some(at) = open.pop() {
            for to in next(at) {
                if !std::mem::replace(&mut seen[to], true) {
                    found.push(to);
                    open.push(to);
                }
            }
        }
        found.sort_unstable();
        found
    }
}

fn because(mode: ReadMode) -> Because {
    match mode {
        ReadMode::Required => Because::Reads,
        ReadMode::OrNone => Because::OrNone,
        ReadMode::FirstOf(_) => Because::FirstOf,
    }
}

/// The longest way to each step, by Kahn's order. What is on a circle keeps the rank that it had when nothing else could
/// be placed: a plan with a circle is refused elsewhere, and can be drawn all the same.
fn ranks(sections: &[Section], edges: &[Edge]) -> Vec<usize> {
    let n = sections.len();
    let inner: Vec<&Edge> = edges.iter().filter(|e| sections[e.from] == sections[e.to]).collect();
    let (mut missing, mut out) = (vec![0_usize; n], vec![Vec::new(); n]);
    for edge in &inner {
        missing[edge.to] += 1;
        out[edge.from].push(edge.to);
    }
    let mut ranks = vec![0; n];
    let mut free: Vec<usize> = (0..n).filter(|i| missing[*i] == 0).collect();
    while let Some(i) = free.pop() {
        for &to in &out[i] {
            ranks[to] = ranks[to].max(ranks[i] + 1);
            missing[to] -= 1;
            if missing[to] == 0 {
                free.push(to);
            }
        }
    }
    ranks
}
