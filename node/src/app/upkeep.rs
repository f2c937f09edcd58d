//! What time alone does: lapsed holds, rows kept long enough, what former incarnations left, proof of life in an idle log.

use kopilka_crdt::operation::{Body, ClockMark};

use crate::store::Table;

use super::core::Core;
use super::error::AppError;
use super::keys;

/// Rows that one tick lets go at most.
const EXPIRED_MAX: usize = 1_024;
/// Silence after which an idle log says that it lives, so that the hub can tell which allowances lapsed: an hour.
const IDLE_MS: u64 = 3_600_000;

impl Core {
    pub(super) fn tick(&mut self, now_ms: u64, at_ms: u64) -> Result<(), AppError> {
        self.lapse_holds(at_ms)?;
        self.sweep()?;
        if self.writing.clock.marked_trusted {
            // A clock that leapt would let go of what must be kept.
            self.let_go(now_ms)?;
        }
        let tip = self.writing.log.tip();
        if at_ms.saturating_sub(tip.stamp.ms()) >= IDLE_MS {
            let mark = ClockMark {
                trusted: self.writing.clock.marked_trusted,
                behind_ms: 0,
            };
            self.append(at_ms, &Body::ClockMark(mark))?;
        }
        Ok(())
    }

    fn let_go(&mut self, now_ms: u64) -> Result<(), AppError> {
        let end = now_ms.to_be_bytes();
        for (expiry, _) in self
            .rows
            .scan(Table::Expiry, &[], Some(&end), EXPIRED_MAX)?
        {
            if let Some((table, row)) = keys::expired_row(&expiry) {
                self.rows.delete(table, row.to_vec());
            }
            self.rows.delete(Table::Expiry, expiry);
        }
        Ok(())
    }
}
