//! Publications on their way in: checked and compiled beside the writer, so that tills do not wait for it.

use std::fmt;

use kopilka_protocol::publication::{PublicationDelta, TransferError};
use kopilka_protocol::signed::SignedPublication;

use crate::identity::Identity;
use crate::store::Table;
use crate::store::writer::WriterError;

use super::core::{Core, PUBLICATIONS_KEPT};
use super::error::AppError;
use super::records::{decode, encode};
use super::request::Request;
use super::rules::Rules;
use super::{App, rows::Rows};

/// A publication that the hub signed for this programme, compiled, and as it will be stored.
pub struct Checked {
    number: u32,
    rules: Rules,
    record: Vec<u8>,
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checked({})", self.number)
    }
}

impl Checked {
    fn check(signed: &SignedPublication, identity: &Identity) -> Result<Self, AppError> {
        signed.verify(&identity.hub)?;
        if signed.publication.programme != identity.programme {
            return Err(AppError::Foreign);
        }
        Ok(Self {
            number: signed.publication.number,
            rules: Rules::compile(&signed.publication)?,
            record: encode(signed),
        })
    }
}

impl App {
    /// Takes in a version of the rules; returns when it is on the disk, and in force if its time has come.
    ///
    /// # Errors
    /// When it is not the hub's, cannot be run, is older than what is here, or cannot be written.
    pub async fn take_publication(&self, signed: SignedPublication) -> Result<(), AppError> {
        let identity = self.identity();
        self.take_checked(move || Checked::check(&signed, &identity))
            .await
    }

    /// The same for a version that came as what differs from the newest that is here.
    ///
    /// # Errors
    /// [`AppError::Transfer`] when it does not make of that what the hub signed: ask for the whole then.
    pub async fn take_delta(&self, delta: PublicationDelta) -> Result<(), AppError> {
        let (identity, rows) = (self.identity(), self.rows());
        self.take_checked(move || {
            let base = newest(&rows)?.ok_or(TransferError::Base)?;
            let signed = delta.rebuild(&base.publication, &identity.hub)?;
            Checked::check(&signed, &identity)
        })
        .await
    }

    async fn take_checked(
        &self,
        check: impl FnOnce() -> Result<Checked, AppError> + Send + 'static,
    ) -> Result<(), AppError> {
        let checked = tokio::task::spawn_blocking(check).await;
        // Fails only when the process ends meanwhile.
        let checked = checked.map_err(|_| WriterError::Stopped)??;
        self.submit(Request::Rules(Box::new(checked)))
            .await
            .map(|_| ())
    }
}

/// The newest version of the rules on the disk.
fn newest(rows: &Rows) -> Result<Option<SignedPublication>, AppError> {
    let stored = rows.last_stored(Table::Publications)?;
    Ok(stored.map(|(_, bytes)| decode(&bytes)).transpose()?)
}

impl Core {
    pub(super) fn publication(&mut self, checked: Checked, at_ms: u64) -> Result<(), AppError> {
        let present = self.in_force.newest().map(|rules| rules.programme.number());
        match present {
            Some(number) if checked.number < number => return Err(AppError::OutOfOrder),
            Some(number) if checked.number == number => return Ok(()),
            Some(_) | None => {}
        }
        let key = checked.number.to_be_bytes().to_vec();
        self.rows
            .put_bytes(Table::Publications, key, checked.record);
        let kept = self.rows.scan(Table::Publications, &[], None, usize::MAX)?;
        let surplus = kept.len().saturating_sub(PUBLICATIONS_KEPT);
        for (key, _) in kept.into_iter().take(surplus) {
            self.rows.delete(Table::Publications, key);
        }
        self.in_force.take_rules(checked.rules, at_ms);
        Ok(())
    }
}
