//! Where everything stands. All measures are in CSS pixels.

use super::order::{Thing, order};
use crate::{
    PlanView,
    graph::{Because, Edge, Graph},
    label::Label,
    paint, words,
};
use towpath_model::{Role, Section, limits};

/// A character of the monospaced face at its size; faces differ by a few percent, so boxes have room to spare.
const CHAR: f64 = 7.4;
pub(crate) const LINE: f64 = 16.0;
pub(crate) const PAD: f64 = 10.0;
const GAP_X: f64 = 28.0;
const GAP_Y: f64 = 46.0;
const PASS: f64 = 12.0;
/// Characters of a line in a box; a longer one is cut, and is there in full as the title of its box.
pub(crate) const CHARS: usize = 44;

/// A plan, laid out from its upper left corner.
pub(crate) struct Sheet {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) titles: Vec<(f64, f64, &'static str)>,
    pub(crate) boxes: Vec<Frame>,
    pub(crate) edges: Vec<Line>,
}

/// The box of a step.
pub(crate) struct Frame {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) label: Label,
    /// The plan below it, and how far down its own corner is.
    pub(crate) below: Option<(f64, Sheet)>,
}

/// An edge as the points that it goes through.
pub(crate) struct Line {
    pub(crate) because: Because,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lays a plan out.
pub(crate) fn layout(view: &PlanView<'_>, depth: usize) -> Sheet {
    let graph = view.graph();
    let mut sheet =
        Sheet { width: 0.0, height: 0.0, titles: Vec::new(), boxes: Vec::new(), edges: Vec::new() };
    sheet.boxes = view.record.steps.iter().map(|step| frame(view, step, depth)).collect();
    let mut ways: Vec<Option<Vec<(f64, f64)>>> = vec![None; graph.edges.len()];
    for section in [Section::Main, Section::OnFailure, Section::Finally] {
        let by_rank = graph.by_rank(view.record, section);
        if by_rank.is_empty() {
            continue;
        }
        if sheet.height > 0.0 {
            sheet.height += GAP_Y;
        }
        if let Some(title) = words::section(section) {
            sheet.titles.push((0.0, sheet.height + LINE, title));
            sheet.height += LINE + PAD;
        }
        let of = |i: usize| view.record.steps[i].section == section;
        let edges: Vec<(usize, Edge)> =
            graph.edges.iter().copied().enumerate().filter(|(_, e)| of(e.from) && of(e.to)).collect();
        place(&mut sheet, &by_rank, &edges, &graph, &mut ways);
    }
    // What leads from one section to another has no ranks in common.
    let lines = graph.edges.iter().zip(ways).map(|(edge, way)| {
        let points = way.unwrap_or_else(|| vec![sheet.boxes[edge.from].foot(), sheet.boxes[edge.to].head()]);
        Line { because: edge.because, from: edge.from, to: edge.to, points }
    });
    sheet.edges = lines.collect();
    sheet
}

impl Frame {
    fn head(&self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y)
    }

    fn foot(&self) -> (f64, f64) {
        (self.x + self.width / 2.0, self.y + self.height)
    }
}

fn frame(view: &PlanView<'_>, step: &towpath_model::StepRecord, depth: usize) -> Frame {
    let label = Label::of(view, step);
    let chars = label.lines().map(|line| paint::width(line).min(CHARS)).max().unwrap_or(0);
    let mut width = chars as f64 * CHAR + 2.0 * PAD;
    let mut height = label.lines().count() as f64 * LINE + PAD;
    // A record deeper than any valid one is not drawn to its end.
    let inner = match &step.role {
        Role::ForEach { each: inner, .. } | Role::SubRun { plan: inner } if depth < limits::NESTING => {
            Some(inner)
        }
        _ => None,
    };
    let below = inner.map(|inner| layout(&view.below(inner), depth + 1)).map(|sheet| {
        let top = height + PAD;
        width = width.max(sheet.width + 2.0 * PAD);
        height = top + sheet.height + PAD;
        (top, sheet)
    });
    Frame { x: 0.0, y: 0.0, width, height, label, below }
}

/// Places the steps of one section below what is there already.
fn place(
    sheet: &mut Sheet,
    by_rank: &[Vec<usize>],
    edges: &[(usize, Edge)],
    graph: &Graph,
    ways: &mut [Option<Vec<(f64, f64)>>],
) {
    let ordered = order(by_rank, edges, &graph.ranks);
    let wide: Vec<f64> = ordered
        .things
        .iter()
        .map(|thing| match thing {
            Thing::Step(step) => sheet.boxes[*step].width,
            Thing::Passes(_) => PASS,
        })
        .collect();
    let x = columns(&ordered.ranks, &ordered.above, &ordered.below, &wide);
    let (mut tops, mut bottoms) = (vec![0.0; wide.len()], vec![0.0; wide.len()]);
    for rank in &ordered.ranks {
        let tall = |at: &usize| match ordered.things[*at] {
            Thing::Step(step) => sheet.boxes[step].height,
            Thing::Passes(_) => 0.0,
        };
        let height = rank.iter().map(tall).fold(0.0, f64::max);
        for at in rank {
            (tops[*at], bottoms[*at]) = (sheet.height, sheet.height + height);
            if let Thing::Step(step) = ordered.things[*at] {
                let frame = &mut sheet.boxes[step];
                (frame.x, frame.y) = (x[*at], sheet.height);
                bottoms[*at] = sheet.height + frame.height;
            }
            sheet.width = sheet.width.max(x[*at] + wide[*at]);
        }
        sheet.height += height + GAP_Y;
    }
    sheet.height -= GAP_Y;
    let middle = |at: usize| x[at] + wide[at] / 2.0;
    for (number, way) in &ordered.ways {
        let (first, last) = (way[0], way[way.len() - 1]);
        let mut points = vec![(middle(first), bottoms[first])];
        for at in &way[1..way.len() - 1] {
            points.extend([(middle(*at), tops[*at]), (middle(*at), bottoms[*at])]);
        }
        points.push((middle(last), tops[last]));
        ways[*number] = Some(points);
    }
}

/// The left side of everything: side by side first, then a few times as near to the middle of its neighbours as its
/// rank has room.
fn columns(ranks: &[Vec<usize>], above: &[Vec<usize>], below: &[Vec<usize>], wide: &[f64]) -> Vec<f64> {
    const SWEEPS: usize = 6;
    let mut x = vec![0.0; wide.len()];
    for rank in ranks {
        let mut left = 0.0;
        for at in rank {
            x[*at] = left;
            left += wide[*at] + GAP_X;
        }
    }
    for sweep in 0..SWEEPS {
        let is_down = sweep % 2 == 0;
        let neighbours = if is_down { above } else { below };
        for i in 0..ranks.len() {
            let rank = &ranks[if is_down { i } else { ranks.len() - 1 - i }];
            let wanted: Vec<f64> = rank.iter().map(|at| wanted(*at, &neighbours[*at], &x, wide)).collect();
            let widths: Vec<f64> = rank.iter().map(|at| wide[*at]).collect();
            for (at, left) in rank.iter().zip(spread(&wanted, &widths)) {
                x[*at] = left;
            }
        }
    }
    let left = x.iter().copied().fold(f64::INFINITY, f64::min);
    if left.is_finite() {
        x.iter_mut().for_each(|x| *x -= left);
    }
    x
}

fn wanted(at: usize, neighbours: &[usize], x: &[f64], wide: &[f64]) -> f64 {
    if neighbours.is_empty() {
        return x[at];
    }
    let middles = neighbours.iter().map(|n| x[*n] + wide[*n] / 2.0).sum::<f64>();
    middles / neighbours.len() as f64 - wide[at] / 2.0
}

/// Places as near to the wanted ones as can be, in this order and with room between: the mean of pushing what is too
/// near to the right, and to the left.
fn spread(wanted: &[f64], widths: &[f64]) -> Vec<f64> {
    let mut right = wanted.to_vec();
    for i in 1..right.len() {
        right[i] = right[i].max(right[i - 1] + widths[i - 1] + GAP_X);
    }
    let mut left = wanted.to_vec();
    for i in (0..left.len().saturating_sub(1)).rev() {
        left[i] = left[i].min(left[i + 1] - widths[i] - GAP_X);
    }
    right.iter().zip(left).map(|(right, left)| (right + left) / 2.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spread_keeps_its_order_and_its_room() {
        let widths = [50.0, 60.0, 70.0];
        let x = spread(&[100.0, 90.0, 95.0], &widths);
        for i in 1..x.len() {
            assert!(x[i] >= x[i - 1] + widths[i - 1] + GAP_X - 1e-6, "{x:?}");
        }
    }
}
