//! Where boxes and lines go. Tables stand in layers along their references, what is referred to
//! on the left; each group of connected tables is laid out by itself, and what is connected to
//! nothing stands in a grid at the end. Whole pixels, and the same input gives the same output.

mod layers;
mod order;
mod place;
mod route;

use layers::{Oriented, layers};

/// Between two boxes.
pub(super) const GAP: i32 = 28;

/// A table, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub width: i32,
    pub height: i32,
}

/// A reference. The ports are heights within the boxes, where the line ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub parent: usize,
    pub parent_port: i32,
    pub child: usize,
    pub child_port: i32,
}

/// Where everything is.
#[derive(Debug, Default)]
pub(super) struct Placed {
    /// The top left corner of each box.
    pub boxes: Vec<(i32, i32)>,
    /// The corners of each line, from the parent to the child.
    pub lines: Vec<Vec<(i32, i32)>>,
    pub width: i32,
    pub height: i32,
}

/// Some of the tables, around their own origin.
struct Group {
    nodes: Vec<usize>,
    boxes: Vec<(i32, i32)>,
    edges: Vec<usize>,
    lines: Vec<Vec<(i32, i32)>>,
    width: i32,
    height: i32,
}

/// Lays out everything.
pub(super) fn layout(sizes: &[Size], edges: &[Edge]) -> Placed {
    let mut placed = Placed {
        boxes: vec![(0, 0); sizes.len()],
        lines: vec![Vec::new(); edges.len()],
        ..Placed::default()
    };
    let groups = groups(sizes.len(), edges);
    let (connected, alone): (Vec<_>, Vec<_>) = groups.into_iter().partition(|g| g.len() > 1);
    let mut connected: Vec<_> = connected
        .into_iter()
        .map(|nodes| group(nodes, sizes, edges))
        .collect();
    // Stable: groups of one height stay in the order of their names.
    connected.sort_by_key(|group| std::cmp::Reverse(group.height));
    let widest = connected.iter().map(|group| group.width).max();
    let area: i64 = sizes
        .iter()
        .map(|size| i64::from(size.width + GAP) * i64::from(size.height + GAP))
        .sum();
    let line = (area as f64 * 1.6).sqrt() as i32;
    let limit = widest.unwrap_or_default().max(line);

    let (mut x, mut y, mut shelf) = (0, 0, 0);
    for group in connected {
        if x > 0 && x + group.width > limit {
            (x, y, shelf) = (0, y + shelf + 2 * GAP, 0);
        }
        put(&mut placed, &group, x, y);
        shelf = shelf.max(group.height);
        x += group.width + 2 * GAP;
    }
    if shelf > 0 {
        y += shelf + 2 * GAP;
    }
    let alone = alone.into_iter().map(|nodes| group(nodes, sizes, edges));
    grid(&mut placed, alone.collect(), limit, y);
    placed
}

/// Columns of one width, each table in the one that is shortest so far.
fn grid(placed: &mut Placed, groups: Vec<Group>, limit: i32, top: i32) {
    let Some(width) = groups.iter().map(|group| group.width).max() else {
        return;
    };
    let count = ((limit + GAP) / (width + GAP)).max(1) as usize;
    let mut bottoms = vec![top; count];
    for group in groups {
        let at = (0..count).min_by_key(|at| bottoms[*at]).unwrap_or_default();
        put(placed, &group, at as i32 * (width + GAP), bottoms[at]);
        bottoms[at] += group.height + GAP;
    }
}

fn put(placed: &mut Placed, group: &Group, x: i32, y: i32) {
    for (node, (left, top)) in group.nodes.iter().zip(&group.boxes) {
        placed.boxes[*node] = (left + x, top + y);
    }
    for (edge, line) in group.edges.iter().zip(&group.lines) {
        placed.lines[*edge] = line.iter().map(|(a, b)| (a + x, b + y)).collect();
    }
    placed.width = placed.width.max(x + group.width);
    placed.height = placed.height.max(y + group.height);
}

/// The tables that are connected, each list in order, and the lists by their first.
fn groups(count: usize, edges: &[Edge]) -> Vec<Vec<usize>> {
    let mut of: Vec<usize> = (0..count).collect();
    loop {
        let mut changed = false;
        for edge in edges {
            let least = of[edge.parent].min(of[edge.child]);
            for node in [edge.parent, edge.child] {
                changed |= of[node] != least;
                of[node] = least;
            }
        }
        if !changed {
            break;
        }
    }
    let lists = (0..count).map(|first| (0..count).filter(|n| of[*n] == first).collect::<Vec<_>>());
    lists.filter(|list| !list.is_empty()).collect()
}

/// Lays out one group.
fn group(nodes: Vec<usize>, all: &[Size], edges: &[Edge]) -> Group {
    let index = |node: usize| nodes.iter().position(|n| *n == node);
    let sizes: Vec<_> = nodes.iter().map(|node| all[*node]).collect();
    let mut own = Vec::new();
    let mut oriented = Vec::new();
    for (at, edge) in edges.iter().enumerate() {
        if let (Some(parent), Some(child)) = (index(edge.parent), index(edge.child)) {
            own.push(at);
            oriented.push(Oriented::new(parent, child, edge));
        }
    }
    let layer = layers(&sizes, &mut oriented);
    let mut graph = order::Graph::new(&sizes, &layer, &oriented);
    graph.sort();
    let tops = place::tops(&graph);
    let drawn = route::route(&graph, &tops, &sizes, &oriented);
    Group {
        nodes,
        boxes: drawn.boxes,
        edges: own,
        lines: drawn.lines,
        width: drawn.width,
        height: drawn.height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(parent: usize, child: usize) -> Edge {
        Edge {
            parent,
            parent_port: 20,
            child,
            child_port: 40,
        }
    }

    #[track_caller]
    fn check(count: usize, edges: &[(usize, usize)]) -> Placed {
        let sizes: Vec<_> = (0..count)
            .map(|at| Size {
                width: 100 + (at as i32 * 37) % 90,
                height: 60 + (at as i32 * 53) % 140,
            })
            .collect();
        let edges: Vec<_> = edges.iter().map(|(a, b)| edge(*a, *b)).collect();
        let placed = layout(&sizes, &edges);
        let rectangle = |at: usize| {
            let (x, y) = placed.boxes[at];
            (x, y, x + sizes[at].width, y + sizes[at].height)
        };
        for a in 0..count {
            for b in 0..a {
                let (a, b) = (rectangle(a), rectangle(b));
                let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
                assert!(apart, "{a:?} and {b:?} overlap");
            }
        }
        for (line, edge) in placed.lines.iter().zip(&edges) {
            assert!(line.len() >= 2);
            let ends = [line[0], line[line.len() - 1]];
            for (end, node) in ends.into_iter().zip([edge.parent, edge.child]) {
                let (left, top, right, bottom) = rectangle(node);
                assert!(end.0 == left || end.0 == right, "{end:?} is not at a side");
                assert!((top..=bottom).contains(&end.1));
            }
            for pair in line.windows(2) {
                let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
                assert!(ax == bx || ay == by, "{pair:?} is not straight");
                for at in 0..count {
                    let (left, top, right, bottom) = rectangle(at);
                    let is_inside = ax.max(bx) > left
                        && ax.min(bx) < right
                        && ay.max(by) > top
                        && ay.min(by) < bottom;
                    assert!(!is_inside, "{pair:?} runs through {:?}", rectangle(at));
                }
            }
        }
        placed
    }

    #[test]
    fn nothing_overlaps_and_no_line_runs_through_a_box() {
        check(0, &[]);
        check(1, &[(0, 0)]);
        check(7, &[]);
        check(2, &[(0, 1), (1, 0)]);
        check(3, &[(0, 1), (1, 2), (2, 0), (1, 1)]);
        check(4, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 3)]);
        check(6, &[(0, 5), (1, 5), (2, 5), (3, 4), (3, 3), (3, 3)]);
    }

    #[test]
    fn any_graph_can_be_drawn() {
        let mut state = 1_u32;
        let mut next = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % below
        };
        for round in 0..60 {
            let count = 2 + round % 24;
            let edges: Vec<_> = (0..count + round % 9)
                .map(|_| (next(count), next(count)))
                .collect();
            check(count, &edges);
        }
    }
}
