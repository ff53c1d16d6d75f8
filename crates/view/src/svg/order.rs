//! Ranks filled with steps and with the places where an edge passes, in an order with few crossings.

use crate::graph::Edge;

/// Something that stands in a rank: a step, or a place where a long edge passes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Thing {
    Step(usize),
    Passes(usize),
}

/// Most places where edges pass. A plan that would need more has its long edges drawn straight.
const PASSES: usize = 20_000;
const SWEEPS: usize = 8;

/// The ranks of a section, ordered.
pub(crate) struct Ordered {
    /// What there is; ranks and neighbours are places in it.
    pub(crate) things: Vec<Thing>,
    pub(crate) ranks: Vec<Vec<usize>>,
    /// Neighbours in the rank above, and in the one below.
    pub(crate) above: Vec<Vec<usize>>,
    pub(crate) below: Vec<Vec<usize>>,
    /// For each edge, what it goes through from its first step to its last.
    pub(crate) ways: Vec<(usize, Vec<usize>)>,
}

/// Orders the steps of a section. `edges` are those within it, each with its number; `rank` is that of each step.
pub(crate) fn order(by_rank: &[Vec<usize>], edges: &[(usize, Edge)], rank: &[usize]) -> Ordered {
    let mut of = Ordered {
        things: Vec::new(),
        ranks: vec![Vec::new(); by_rank.len()],
        above: Vec::new(),
        below: Vec::new(),
        ways: Vec::new(),
    };
    let mut place = vec![usize::MAX; rank.len()];
    for (r, steps) in by_rank.iter().enumerate() {
        for &step in steps {
            place[step] = of.put(Thing::Step(step), r);
        }
    }
    let passes: usize = edges.iter().map(|(_, e)| rank[e.to].saturating_sub(rank[e.from] + 1)).sum();
    for (number, edge) in edges {
        let mut way = vec![place[edge.from]];
        // An edge of a circle leads up or stays in its rank: it is drawn, and counts for no order.
        let is_down = rank[edge.from] < rank[edge.to];
        if is_down && passes <= PASSES {
            for r in rank[edge.from] + 1..rank[edge.to] {
                let at = of.put(Thing::Passes(*number), r);
                way.push(at);
            }
        }
        way.push(place[edge.to]);
        if is_down {
            for pair in way.windows(2) {
                of.below[pair[0]].push(pair[1]);
                of.above[pair[1]].push(pair[0]);
            }
        }
        of.ways.push((*number, way));
    }
    of.sweep();
    of
}

impl Ordered {
    fn put(&mut self, thing: Thing, rank: usize) -> usize {
        let at = self.things.len();
        self.things.push(thing);
        self.above.push(Vec::new());
        self.below.push(Vec::new());
        self.ranks[rank].push(at);
        at
    }

    /// Sorts each rank by the mean place of its neighbours, downward and upward by turns, and keeps the best order seen.
    fn sweep(&mut self) {
        let mut best = (self.crossings(), self.ranks.clone());
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            let is_down = sweep % 2 == 0;
            let n = self.ranks.len();
            for i in 1..n {
                let rank = if is_down { i } else { n - 1 - i };
                self.sort(rank, is_down);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.ranks.clone());
            }
        }
        self.ranks = best.1;
    }

    fn sort(&mut self, rank: usize, by_above: bool) {
        let place = self.places();
        let neighbours = if by_above { &self.above } else { &self.below };
        let mean = |at: usize| {
            let all = &neighbours[at];
            // What has no neighbour stays where it is.
            if all.is_empty() {
                place[at] as f64
            } else {
                all.iter().map(|n| place[*n] as f64).sum::<f64>() / all.len() as f64
            }
        };
        let mut keyed: Vec<(f64, usize)> = self.ranks[rank].iter().map(|at| (mean(*at), *at)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.ranks[rank] = keyed.into_iter().map(|(_, at)| at).collect();
    }

    fn places(&self) -> Vec<usize> {
        let mut place = vec![0; self.things.len()];
        for rank in &self.ranks {
            rank.iter().enumerate().for_each(|(i, at)| place[*at] = i);
        }
        place
    }

    /// How many pairs of edges cross between neighbouring ranks: inversions, counted in a Fenwick tree ("A new data
    /// structure for cumulative frequency tables", Software: Practice and Experience, 1994).
    fn crossings(&self) -> usize {
        let place = self.places();
        let mut crossings = 0;
        for (rank, next) in self.ranks.iter().zip(self.ranks.iter().skip(1)) {
            let mut counts = vec![0_usize; next.len() + 1];
            let mut seen = 0;
            for at in rank {
                let mut ends: Vec<usize> = self.below[*at].iter().map(|n| place[*n]).collect();
                ends.sort_unstable();
                for end in &ends {
                    let (mut i, mut not_beyond) = (end + 1, 0);
                    while i > 0 {
                        not_beyond += counts[i];
                        i &= i - 1;
                    }
                    crossings += seen - not_beyond;
                }
                for end in ends {
                    seen += 1;
                    let mut i = end + 1;
                    while i < counts.len() {
                        counts[i] += 1;
                        i += i & i.wrapping_neg();
                    }
                }
            }
        }
        crossings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Because;

    fn edge(from: usize, to: usize) -> Edge {
        Edge { from, to, because: Because::Reads }
    }

    #[test]
    fn an_order_without_crossings_is_found() {
        // 0 1 above 2 3, each joined to the far one.
        let edges = [(0, edge(0, 3)), (1, edge(1, 2))];
        let of = order(&[vec![0, 1], vec![2, 3]], &edges, &[0, 0, 1, 1]);
        assert_eq!(of.crossings(), 0);
        assert_eq!(of.ranks, [vec![0, 1], vec![3, 2]]);
    }

    #[test]
    fn crossings_are_counted() {
        let edges = [(0, edge(0, 4)), (1, edge(0, 3)), (2, edge(1, 2)), (3, edge(1, 3))];
        let mut of = order(&[vec![0, 1], vec![2, 3, 4]], &edges, &[0, 0, 1, 1, 1]);
        of.ranks = vec![vec![0, 1], vec![2, 3, 4]];
        assert_eq!(of.crossings(), 3);
    }

    #[test]
    fn a_long_edge_passes_every_rank_between() {
        let edges = [(0, edge(0, 1)), (1, edge(1, 2)), (2, edge(0, 2))];
        let of = order(&[vec![0], vec![1], vec![2]], &edges, &[0, 1, 2]);
        assert_eq!(of.ways[2].1.len(), 3);
        assert_eq!(of.things[of.ways[2].1[1]], Thing::Passes(2));
    }
}
