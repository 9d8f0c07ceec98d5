//! Which layer a table stands in: right of all that it refers to.

use super::{Edge, GAP, Size};

/// An edge from left to right. Where references run in a circle, one of them leads back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oriented {
    pub left: usize,
    pub left_port: i32,
    pub right: usize,
    pub right_port: i32,
    /// The child is on the left.
    pub is_reversed: bool,
}

impl Oriented {
    pub(super) fn new(parent: usize, child: usize, edge: &Edge) -> Oriented {
        Oriented {
            left: parent,
            left_port: edge.parent_port,
            right: child,
            right_port: edge.child_port,
            is_reversed: false,
        }
    }

    pub(super) fn is_loop(&self) -> bool {
        self.left == self.right
    }

    fn reverse(&mut self) {
        std::mem::swap(&mut self.left, &mut self.right);
        std::mem::swap(&mut self.left_port, &mut self.right_port);
        self.is_reversed = !self.is_reversed;
    }
}

/// The layer of each node; turns edges around until there is no circle.
pub(super) fn layers(sizes: &[Size], edges: &mut [Oriented]) -> Vec<usize> {
    let order = acyclic(sizes.len(), edges);
    let limit = tallest_layer(sizes);
    let mut layer = vec![0; sizes.len()];
    let mut filled: Vec<i32> = Vec::new();
    for &node in &order {
        let parents = edges.iter().filter(|e| e.right == node && !e.is_loop());
        let mut at = parents.map(|e| layer[e.left] + 1).max().unwrap_or_default();
        let height = sizes[node].height + GAP;
        loop {
            filled.resize(filled.len().max(at + 1), 0);
            if filled[at] == 0 || filled[at] + height <= limit {
                break;
            }
            at += 1;
        }
        filled[at] += height;
        layer[node] = at;
    }
    // What is referred to from far away only moves there: its lines get short.
    for &node in order.iter().rev() {
        let out = edges.iter().filter(|e| e.left == node && !e.is_loop());
        let into = edges.iter().filter(|e| e.right == node && !e.is_loop());
        let Some(nearest) = out.clone().map(|e| layer[e.right]).min() else {
            continue;
        };
        let height = sizes[node].height + GAP;
        let wanted = nearest - 1;
        if out.count() > into.count() && wanted > layer[node] && filled[wanted] + height <= limit {
            filled[layer[node]] -= height;
            filled[wanted] += height;
            layer[node] = wanted;
        }
    }
    without_gaps(&mut layer);
    layer
}

/// A picture somewhat wider than high.
fn tallest_layer(sizes: &[Size]) -> i32 {
    let areas = sizes
        .iter()
        .map(|size| i64::from(size.width + 90) * i64::from(size.height + GAP));
    let height = (areas.sum::<i64>() as f64 / 1.4).sqrt() as i32;
    let highest = sizes.iter().map(|size| size.height + GAP).max();
    height.max(highest.unwrap_or_default()).max(420)
}

fn without_gaps(layer: &mut [usize]) {
    let mut used = layer.to_vec();
    used.sort_unstable();
    used.dedup();
    for at in layer.iter_mut() {
        *at = used.iter().position(|u| u == at).unwrap_or_default();
    }
}

/// Each node after all that lead to it. Where there is a circle, the node goes first that has
/// most more edges out of it than into it.
fn acyclic(count: usize, edges: &mut [Oriented]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(count);
    while order.len() < count {
        let open = |node: &usize| !order.contains(node);
        let waits = |node: usize| {
            let into = edges.iter().filter(|e| e.right == node && !e.is_loop());
            into.filter(|e| open(&e.left)).count()
        };
        let leads = |node: usize| {
            let out = edges.iter().filter(|e| e.left == node && !e.is_loop());
            out.filter(|e| open(&e.right)).count()
        };
        let nodes = (0..count).filter(open);
        let key = |node: &usize| {
            let (waits, leads) = (waits(*node), leads(*node));
            (waits > 0, waits as i64 - leads as i64, *node)
        };
        let Some(next) = nodes.min_by_key(key) else {
            break;
        };
        order.push(next);
    }
    let place = |node: usize| order.iter().position(|n| *n == node);
    for edge in edges {
        if place(edge.left) > place(edge.right) {
            edge.reverse();
        }
    }
    order
}
