//! refinery's history is our own: only the ledger lacks its rows.

use touchmark::{Kind, RowState, Status};

use super::Applied;

/// All that refinery's history has.
pub(super) fn applied(status: &Status) -> Applied {
    let rows = status.rows.refinery.iter();
    rows.map(|row| (row.version, format!("V{}__{}", row.version, row.name)))
        .collect()
}

/// Whether it has rows that it has applied itself; what is ours stands there too.
pub(super) fn is_there(status: &Status) -> bool {
    status.rows.refinery.iter().any(|refinery| {
        let ledger = status.rows.ledger.iter();
        let mut same = ledger
            .filter(|row| row.id.kind != Kind::Repeatable && row.id.version == refinery.version);
        // refinery may apply again what was undone.
        same.next_back()
            .is_none_or(|row| matches!(row.state, RowState::Adopted | RowState::Undone))
    })
}
