//! The lines: out of a box to the right, up or down in the channel between two layers, and into
//! the next box. Each net has a track of its own in a channel.

use super::Size;
use super::layers::Oriented;
use super::order::Graph;

/// What a line needs beside a box, for the mark at its end.
const ROOM: i32 = 26;
const TRACK: i32 = 10;

/// One group, drawn.
pub(super) struct Drawn {
    pub boxes: Vec<(i32, i32)>,
    pub lines: Vec<Vec<(i32, i32)>>,
    pub width: i32,
    pub height: i32,
}

/// What one net does in one channel.
struct Run {
    net: usize,
    from: i32,
    to: Vec<i32>,
}

pub(super) fn route(graph: &Graph, tops: &[i32], sizes: &[Size], edges: &[Oriented]) -> Drawn {
    let count = graph.layers.len();
    let tables = |at: usize| graph.layers[at].iter().filter(|n| **n < graph.tables);
    let loops_of = |node: usize| edges.iter().filter(move |e| e.is_loop() && e.left == node);
    let mut left = vec![0; count];
    let mut widths = vec![0; count];
    let mut tracks: Vec<Vec<Run>> = Vec::new();
    let mut reserved = vec![0; count];
    let mut x = 0;
    for at in 0..count {
        left[at] = x;
        widths[at] = tables(at)
            .map(|n| sizes[*n].width)
            .max()
            .unwrap_or_default();
        let loops = tables(at).map(|n| loops_of(*n).count()).max();
        let loops = loops.unwrap_or_default() as i32;
        reserved[at] = if loops > 0 { loops * TRACK + 8 } else { 0 };
        tracks.push(sorted(runs(graph, tops, at)));
        x += widths[at] + reserved[at];
        if at + 1 < count {
            x += 2 * ROOM + (tracks[at].len().max(1) as i32 - 1) * TRACK;
        } else if reserved[at] > 0 {
            x += 8;
        }
    }
    let mut boxes = vec![(0, 0); graph.tables];
    let mut layer_of = vec![0; graph.tables];
    for at in 0..count {
        for node in tables(at) {
            // A narrow box stands at the right: its children's lines are short.
            boxes[*node] = (left[at] + widths[at] - sizes[*node].width, tops[*node]);
            layer_of[*node] = at;
        }
    }
    let mut drawn_loops = vec![0; graph.tables];
    let mut lines = Vec::with_capacity(edges.len());
    for (edge, path) in edges.iter().zip(&graph.paths) {
        if edge.is_loop() {
            let at = layer_of[edge.left];
            let side = left[at] + widths[at];
            drawn_loops[edge.left] += 1;
            let out = side + 8 + drawn_loops[edge.left] * TRACK;
            let top = tops[edge.left];
            let (from, to) = (top + edge.left_port, top + edge.right_port);
            lines.push(vec![(side, from), (out, from), (out, to), (side, to)]);
            continue;
        }
        let start = boxes[edge.left].0 + sizes[edge.left].width;
        let mut line = vec![(start, tops[edge.left] + edge.left_port)];
        for segment in path.iter().map(|at| &graph.segments[*at]) {
            let from = tops[segment.left] + segment.left_port;
            let to = tops[segment.right] + segment.right_port;
            let track = tracks[segment.layer]
                .iter()
                .position(|r| r.net == segment.net);
            if let (Some(track), true) = (track, from != to) {
                let channel = left[segment.layer] + widths[segment.layer] + reserved[segment.layer];
                let x = channel + ROOM + track as i32 * TRACK;
                line.push((x, from));
                line.push((x, to));
            }
        }
        line.push((boxes[edge.right].0, tops[edge.right] + edge.right_port));
        // From the parent to the child.
        if edge.is_reversed {
            line.reverse();
        }
        lines.push(line);
    }
    let bottoms = (0..graph.heights.len()).map(|n| tops[n] + graph.heights[n]);
    Drawn {
        boxes,
        lines,
        width: x,
        height: bottoms.max().unwrap_or_default(),
    }
}

/// The nets of a channel that have to go up or down in it.
fn runs(graph: &Graph, tops: &[i32], layer: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for segment in graph.segments.iter().filter(|s| s.layer == layer) {
        let from = tops[segment.left] + segment.left_port;
        let to = tops[segment.right] + segment.right_port;
        match runs.iter_mut().find(|run| run.net == segment.net) {
            Some(run) => run.to.push(to),
            None => runs.push(Run {
                net: segment.net,
                from,
                to: vec![to],
            }),
        }
    }
    runs
}

/// The order of the tracks from left to right in which lines cross least and never lie upon each
/// other, as far as changing two of them can find it.
fn sorted(mut runs: Vec<Run>) -> Vec<Run> {
    let is_bent = |run: &Run| run.to.iter().any(|to| *to != run.from);
    runs.retain(is_bent);
    runs.sort_by_key(|run| (run.from, run.net));
    let total = |runs: &[Run]| -> u64 {
        let pairs = (0..runs.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        pairs.map(|(a, b)| cost(&runs[a], &runs[b])).sum()
    };
    let mut best = total(&runs);
    for _ in 0..runs.len().min(12) {
        let before = best;
        for a in 0..runs.len() {
            for b in 0..a {
                runs.swap(a, b);
                let now = total(&runs);
                match now < best {
                    true => best = now,
                    false => runs.swap(a, b),
                }
            }
        }
        if best == before {
            break;
        }
    }
    runs
}

/// What it costs that `a` is left of `b`.
fn cost(a: &Run, b: &Run) -> u64 {
    let span = |run: &Run| {
        let ends = run.to.iter().copied().chain([run.from]);
        (
            ends.clone().min().unwrap_or_default(),
            ends.max().unwrap_or_default(),
        )
    };
    let (low, high) = span(a);
    let mut cost = crossing(b.from, low, high);
    let (low, high) = span(b);
    for to in &a.to {
        cost += crossing(*to, low, high);
        if (to - b.from).abs() < 4 {
            cost += 1_000;
        }
    }
    cost
}

/// A level line against an upright one; one that touches its end looks as if they were joined.
fn crossing(level: i32, low: i32, high: i32) -> u64 {
    if (level - low).abs() < 4 || (level - high).abs() < 4 {
        20
    } else {
        u64::from((low..=high).contains(&level))
    }
}
