//! How high each box of a layer stands, so that lines are straight where they can be.

use super::order::Graph;

/// The upper edge of every table, and the height of every passing line.
pub(super) fn tops(graph: &Graph) -> Vec<i32> {
    let mut tops = vec![0.0; graph.heights.len()];
    for layer in &graph.layers {
        let mut y = 0.0;
        for (at, node) in layer.iter().enumerate() {
            if at > 0 {
                y += f64::from(graph.gap(layer[at - 1], *node));
            }
            tops[*node] = y;
            y += f64::from(graph.heights[*node]);
        }
    }
    let count = graph.layers.len();
    for round in 0..16 {
        for step in 0..count {
            let at = match round % 2 == 0 {
                true => step,
                false => count - 1 - step,
            };
            settle(graph, &graph.layers[at], &mut tops);
        }
    }
    let least = tops.iter().copied().fold(f64::INFINITY, f64::min);
    tops.iter()
        .map(|top| (top - least).round() as i32)
        .collect()
}

/// Moves a layer to where its neighbours want it, in its order and with its gaps: the nearest
/// such places in the sense of least squares, by pooling those that are in each other's way.
fn settle(graph: &Graph, layer: &[usize], tops: &mut [f64]) {
    /// What moves together.
    struct Block {
        sum: f64,
        weight: f64,
        members: usize,
    }
    let mut offsets = Vec::new();
    let mut offset = 0.0;
    let mut blocks: Vec<Block> = Vec::new();
    for (at, &node) in layer.iter().enumerate() {
        if at > 0 {
            let above = layer[at - 1];
            offset += f64::from(graph.heights[above] + graph.gap(above, node));
        }
        offsets.push(offset);
        let (wanted, weight) = wanted(graph, node, tops);
        let mut block = Block {
            sum: (wanted - offset) * weight,
            weight,
            members: 1,
        };
        while let Some(last) = blocks.pop_if(|b| b.sum / b.weight > block.sum / block.weight) {
            block.sum += last.sum;
            block.weight += last.weight;
            block.members += last.members;
        }
        blocks.push(block);
    }
    let mut at = 0;
    for block in blocks {
        for _ in 0..block.members {
            tops[layer[at]] = block.sum / block.weight + offsets[at];
            at += 1;
        }
    }
}

/// The middle one of the places at which a line of it would be straight, and how much that counts.
fn wanted(graph: &Graph, node: usize, tops: &[f64]) -> (f64, f64) {
    let ends = graph.segments.iter().filter_map(|s| {
        let (own, other, port) = if s.left == node {
            (s.left_port, s.right, s.right_port)
        } else if s.right == node {
            (s.right_port, s.left, s.left_port)
        } else {
            return None;
        };
        Some((tops[other] + f64::from(port - own), other))
    });
    let mut places: Vec<_> = ends.collect();
    if places.is_empty() {
        return (tops[node], 0.05);
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let middle = (places[(places.len() - 1) / 2].0 + places[places.len() / 2].0) / 2.0;
    // A long line that is straight is worth more than a short one.
    let weight = match node < graph.tables {
        true => places.len() as f64,
        false => 4.0,
    };
    (middle, weight)
}
