//! The tables of PostgreSQL's grammar, as bison made them of `gram.y`.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What `scripts/grammar-tables` wrote, unpacked.
pub(super) struct Tables {
    /// The state in which everything was read.
    pub(super) accepting: i32,
    terminals: i32,
    no_lookahead: i32,
    is_error: i32,
    pact: Vec<i32>,
    defact: Vec<i32>,
    pgoto: Vec<i32>,
    defgoto: Vec<i32>,
    table: Vec<i32>,
    check: Vec<i32>,
    left: Vec<i32>,
    length: Vec<i32>,
    numbers: HashMap<&'static str, i32>,
    refused: HashMap<i32, Refused>,
}

/// What the action behind a rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Everything; this is the server's message.
    Always(&'static str),
    /// A name with a subscript or a star.
    Subscript,
}

/// What a parser does in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// The terminal belongs here; go to this state.
    Shift(i32),
    /// A rule is complete.
    Reduce(i32),
    /// The terminal can't stand here.
    Refuse,
}

pub(super) static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let mut numbers = numbers(include_bytes!("tables.bin"));
    let mut list = || {
        let length = numbers.next().unwrap_or_default();
        let length = usize::try_from(length).unwrap_or_default();
        numbers.by_ref().take(length).collect::<Vec<i32>>()
    };
    let constants = list();
    let constant = |at: usize| constants.get(at).copied().unwrap_or_default();
    Tables {
        accepting: constant(0),
        terminals: constant(1),
        no_lookahead: constant(2),
        is_error: constant(3),
        pact: list(),
        defact: list(),
        pgoto: list(),
        defgoto: list(),
        table: list(),
        check: list(),
        left: list(),
        length: list(),
        numbers: (0..)
            .zip(include_str!("terminals.txt").lines())
            .map(|(number, name)| (name, number))
            .collect(),
        refused: include_str!("refused.txt")
            .lines()
            .filter_map(refused)
            .collect(),
    }
});

fn refused(line: &'static str) -> Option<(i32, Refused)> {
    let (rule, message) = line.split_once(' ')?;
    let refused = match message {
        "a name has no subscript or star" => Refused::Subscript,
        message => Refused::Always(message),
    };
    Some((rule.parse().ok()?, refused))
}

/// Numbers in LEB128, with the sign in the lowest bit.
fn numbers(bytes: &[u8]) -> impl Iterator<Item = i32> {
    let mut bytes = bytes.iter();
    std::iter::from_fn(move || {
        let (mut number, mut shift) = (0_i32, 0);
        loop {
            let byte = *bytes.next()?;
            number |= i32::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return Some(if number & 1 == 0 {
                    number >> 1
                } else {
                    -(number >> 1) - 1
                });
            }
        }
    })
}

impl Tables {
    /// The number of the end of a text.
    pub(super) const END: i32 = 0;

    /// The number of a terminal by its spelling: a keyword in small letters, or the name of a class.
    pub(super) fn terminal(&self, spelling: &str) -> Option<i32> {
        self.numbers.get(spelling).copied()
    }

    /// What a state does without a look at the next terminal, where it can do without.
    pub(super) fn without_lookahead(&self, state: i32) -> Option<Action> {
        (at(&self.pact, state) == self.no_lookahead).then(|| self.default(state))
    }

    /// What a state does with the next terminal.
    pub(super) fn action(&self, state: i32, terminal: i32) -> Action {
        let index = at(&self.pact, state) + terminal;
        if self.entry(&self.check, index) != Some(terminal) {
            return self.default(state);
        }
        match at(&self.table, index) {
            next if next > 0 => Action::Shift(next),
            error if error == self.is_error => Action::Refuse,
            rule => Action::Reduce(-rule),
        }
    }

    fn default(&self, state: i32) -> Action {
        match at(&self.defact, state) {
            0 => Action::Refuse,
            rule => Action::Reduce(rule),
        }
    }

    /// How many symbols a rule is made of.
    pub(super) fn length(&self, rule: i32) -> usize {
        usize::try_from(at(&self.length, rule)).unwrap_or_default()
    }

    /// What the action behind a rule refuses.
    pub(super) fn refused(&self, rule: i32) -> Option<Refused> {
        self.refused.get(&rule).copied()
    }

    /// Where a complete rule leads from the state before it.
    pub(super) fn goto(&self, rule: i32, state: i32) -> i32 {
        let symbol = at(&self.left, rule) - self.terminals;
        let index = at(&self.pgoto, symbol) + state;
        if self.entry(&self.check, index) == Some(state) {
            at(&self.table, index)
        } else {
            at(&self.defgoto, symbol)
        }
    }

    fn entry(&self, list: &[i32], index: i32) -> Option<i32> {
        list.get(usize::try_from(index).ok()?).copied()
    }
}

fn at(list: &[i32], index: i32) -> i32 {
    usize::try_from(index)
        .ok()
        .and_then(|index| list.get(index))
        .copied()
        .unwrap_or_default()
}
