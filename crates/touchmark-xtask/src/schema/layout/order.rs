//! Who stands above whom in a layer, so that few lines cross.

use super::layers::Oriented;
use super::{GAP, Size};

/// The layers, with a place for each line that passes through one.
pub(super) struct Graph {
    pub layers: Vec<Vec<usize>>,
    /// Tables first, then the places of lines.
    pub heights: Vec<i32>,
    pub tables: usize,
    pub segments: Vec<Segment>,
    /// The segments of each edge, from left to right.
    pub paths: Vec<Vec<usize>>,
}

/// A line from one layer to the next. Lines that leave from one place are one net: they share
/// their way for as long as they can.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub layer: usize,
    pub left: usize,
    pub left_port: i32,
    pub right: usize,
    pub right_port: i32,
    pub net: usize,
}

impl Graph {
    pub(super) fn new(sizes: &[Size], layer: &[usize], edges: &[Oriented]) -> Graph {
        let count = layer.iter().max().map_or(0, |last| last + 1);
        let mut graph = Graph {
            layers: vec![Vec::new(); count],
            heights: sizes.iter().map(|size| size.height).collect(),
            tables: sizes.len(),
            segments: Vec::new(),
            paths: Vec::new(),
        };
        for (node, at) in layer.iter().enumerate() {
            graph.layers[*at].push(node);
        }
        let mut nets: Vec<(usize, i32, bool)> = Vec::new();
        // The place of a net in a layer that it passes.
        let mut passes: Vec<(usize, usize, usize)> = Vec::new();
        for edge in edges {
            let mut path = Vec::new();
            if edge.is_loop() {
                graph.paths.push(path);
                continue;
            }
            let key = (edge.left, edge.left_port, edge.is_reversed);
            let net = nets.iter().position(|n| *n == key).unwrap_or(nets.len());
            if net == nets.len() {
                nets.push(key);
            }
            let (mut left, mut left_port) = (edge.left, edge.left_port);
            for at in layer[edge.left]..layer[edge.right] {
                let (right, right_port) = if at + 1 == layer[edge.right] {
                    (edge.right, edge.right_port)
                } else {
                    let known = passes.iter().find(|p| (p.0, p.1) == (net, at + 1));
                    let place = known.map(|p| p.2).unwrap_or_else(|| {
                        let place = graph.heights.len();
                        graph.heights.push(0);
                        graph.layers[at + 1].push(place);
                        passes.push((net, at + 1, place));
                        place
                    });
                    (place, 0)
                };
                let segment = Segment {
                    layer: at,
                    left,
                    left_port,
                    right,
                    right_port,
                    net,
                };
                let known = graph.segments.iter().position(|s| *s == segment);
                path.push(known.unwrap_or(graph.segments.len()));
                if known.is_none() {
                    graph.segments.push(segment);
                }
                (left, left_port) = (right, right_port);
            }
            graph.paths.push(path);
        }
        graph
    }

    /// How far two neighbours in a layer are apart.
    pub(super) fn gap(&self, above: usize, below: usize) -> i32 {
        match (above < self.tables, below < self.tables) {
            (true, true) => GAP,
            (false, false) => 12,
            _ => 18,
        }
    }

    /// Sweeps over the layers, each by the middle of its neighbours, and keeps the best order.
    pub(super) fn sort(&mut self) {
        let mut best = (self.crossings(), self.layers.clone());
        for round in 0..24 {
            let to_right = round % 2 == 0;
            for step in 0..self.layers.len() {
                let at = match to_right {
                    true => step,
                    false => self.layers.len() - 1 - step,
                };
                self.sweep(at, to_right);
            }
            self.switch();
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
    }

    fn sweep(&mut self, at: usize, to_right: bool) {
        let places = self.places();
        let middle = |node: &usize| {
            let ends = self.segments.iter().filter_map(|s| match to_right {
                true => (s.right == *node).then(|| self.place(&places, s.left, s.left_port)),
                false => (s.left == *node).then(|| self.place(&places, s.right, s.right_port)),
            });
            let (sum, count) = ends.fold((0.0, 0), |(sum, count), end| (sum + end, count + 1));
            match count {
                0 => places[*node] as f64,
                count => sum / f64::from(count),
            }
        };
        let mut keyed: Vec<_> = self.layers[at].iter().map(|n| (middle(n), *n)).collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.layers[at] = keyed.into_iter().map(|(_, node)| node).collect();
    }

    /// Changes the places of neighbours while that takes crossings away. Not in large pictures,
    /// where it takes long.
    fn switch(&mut self) {
        if self.heights.len() > 150 {
            return;
        }
        let mut crossings = self.crossings();
        for at in 0..self.layers.len() {
            for place in 1..self.layers[at].len() {
                self.layers[at].swap(place - 1, place);
                let now = self.crossings();
                match now < crossings {
                    true => crossings = now,
                    false => self.layers[at].swap(place - 1, place),
                }
            }
        }
    }

    fn places(&self) -> Vec<usize> {
        let mut places = vec![0; self.heights.len()];
        for layer in &self.layers {
            for (place, node) in layer.iter().enumerate() {
                places[*node] = place;
            }
        }
        places
    }

    /// The place of a port: a line that ends further down in a box is further down.
    fn place(&self, places: &[usize], node: usize, port: i32) -> f64 {
        places[node] as f64 + f64::from(port) / f64::from(self.heights[node].max(1) + 1)
    }

    fn crossings(&self) -> usize {
        let places = self.places();
        let ends = self.segments.iter().map(|s| {
            let left = self.place(&places, s.left, s.left_port);
            (s.layer, left, self.place(&places, s.right, s.right_port))
        });
        let ends: Vec<_> = ends.collect();
        let mut count = 0;
        for (at, a) in ends.iter().enumerate() {
            for b in &ends[..at] {
                let crosses = (a.1 - b.1) * (a.2 - b.2) < 0.0;
                count += usize::from(a.0 == b.0 && crosses);
            }
        }
        count
    }
}
