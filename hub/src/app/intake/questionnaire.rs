//! Questionnaires that come with operations: kept sealed under the member's one key, shown to tills masked.

use std::collections::BTreeMap;

use kopilka_crdt::calendar::MonthDay;
use kopilka_crdt::identifier::{masked_name, masked_phone};
use kopilka_crdt::ids::{MemberId, ProgrammeId};
use kopilka_crdt::member::Shown;
use kopilka_crdt::operation::{Body, Enrolment, ProfileChange, ProfileField};
use kopilka_crdt::sealed::{MemberKey, Sealed};
use kopilka_protocol::segment::{Received, Verified};

use super::ledger::Ledger;
use crate::app::Hub;
use crate::store::{KeyState, MemberRow, ProfileRow, StoreError};

impl Ledger<'_> {
    pub(super) fn keep_profile(
        &mut self,
        member: MemberId,
        row: &mut MemberRow,
        operation: &Received,
        keys: &[(MemberId, MemberKey)],
    ) {
        let (Body::Enrol(Enrolment {
            profile: fields, ..
        })
        | Body::Profile(ProfileChange { fields, .. })) = &operation.body
        else {
            return;
        };
        // Written before its store knew of the erasure; there is no key to seal it with.
        if row.key == KeyState::Destroyed {
            return;
        }
        let written = (operation.stamp, operation.id);
        let brought = keys
            .iter()
            .find(|(owner, _)| *owner == member)
            .map(|(_, key)| key);
        let stored = self.rules.member_keys.get(&member);
        for (field, sealed) in fields {
            // A store that does not hold the member's key sealed the change under a new one.
            let sealed = match (brought, stored) {
                (Some(brought), Some(stored)) if brought != stored => {
                    let nonce = reseal_nonce(operation, field);
                    sealed
                        .open(brought, member)
                        .and_then(|plain| Sealed::seal(stored, member, nonce, &plain))
                        .unwrap_or_else(|_| sealed.clone())
                }
                (Some(_) | None, Some(_) | None) => sealed.clone(),
            };
            self.changes.profiles.push(ProfileRow {
                member,
                field: field.clone(),
                written,
                sealed,
            });
        }
        if let Some(key) = brought.or(stored) {
            show(&mut row.member.shown, member, key, fields);
        }
    }
}

/// One nonce for each field of each operation: sealed again, it gives the same bytes.
fn reseal_nonce(operation: &Received, field: &ProfileField) -> [u8; 24] {
    let name = postcard::to_stdvec(field).unwrap_or_default();
    let mut hasher =
        blake3::Hasher::new_derive_key("kopilka 2026 questionnaire field sealed again");
    hasher.update(&operation.head.0);
    hasher.update(&name);
    let mut nonce = [0; 24];
    nonce.copy_from_slice(&hasher.finalize().as_bytes()[..24]);
    nonce
}

/// Keys that the store has of members whose questionnaires change in these runs.
pub(super) async fn keys_of(
    hub: &Hub,
    programme: ProgrammeId,
    runs: impl Iterator<Item = &Verified>,
) -> Result<BTreeMap<MemberId, MemberKey>, StoreError> {
    let mut found = BTreeMap::new();
    for operation in runs.flat_map(|run| &run.operations) {
        if let Body::Profile(change) = &operation.body
            && let (Some(key), _) = hub.store.profile(programme, change.member).await?
        {
            found.insert(change.member, key);
        }
    }
    Ok(found)
}

/// Fills in what tills may show, from the fields that open.
pub(crate) fn show(
    shown: &mut Shown,
    member: MemberId,
    key: &MemberKey,
    fields: &[(ProfileField, Sealed)],
) {
    let open = |wanted: &ProfileField| -> Option<String> {
        let (_, sealed) = fields.iter().find(|(field, _)| field == wanted)?;
        String::from_utf8(sealed.open(key, member).ok()?).ok()
    };
    if let Some(given) = open(&ProfileField::GivenName) {
        shown.name = masked_name(&given, &open(&ProfileField::FamilyName).unwrap_or_default());
    }
    if let Some(phone) = open(&ProfileField::Phone) {
        shown.phone = masked_phone(&phone);
    }
    if let Some(birth_date) = open(&ProfileField::BirthDate) {
        shown.birthday = MonthDay::of_birth_date(&birth_date);
    }
}
