//! Records beside the member's that a sale draws on or counts at: bearers' coupons, limits of promotions.

use std::collections::BTreeMap;

use kopilka_crdt::ids::{MemberId, StoreId};
use kopilka_crdt::member::Member;
use kopilka_crdt::money::AmountError;

use super::error::AppError;
use super::ladder::Bound;
use super::request::Basket;
use super::rows::Rows;
use super::rules::Rules;

/// A record, and what waiting sales bind of it.
#[derive(Debug)]
pub(super) struct Resource {
    pub state: Member,
    pub bound: Bound,
}

/// The records that a basket concerns, as far as they are known here.
#[derive(Debug, Default)]
pub(super) struct Resources(BTreeMap<MemberId, Resource>);

impl Resources {
    /// Reads the records of coupons shown, and those of limits in a store. `state` gives one; none when it is not known.
    pub(super) fn read(
        rows: &Rows,
        rules: &Rules,
        store: StoreId,
        basket: &Basket,
        state: impl Fn(MemberId) -> Result<Option<Member>, AppError>,
    ) -> Result<Self, AppError> {
        let limits = rules.programme.limit_records(store).into_iter();
        let coupons = basket.coupons.iter().filter_map(|shown| shown.record());
        let mut found = BTreeMap::new();
        for id in coupons.chain(limits.map(|limit| limit.record)) {
            if found.contains_key(&id) {
                continue;
            }
            if let Some(state) = state(id)? {
                let bound = Bound::read(rows, id)?;
                found.insert(id, Resource { state, bound });
            }
        }
        Ok(Self(found))
    }

    pub(super) fn of(&self, id: MemberId) -> Option<&Resource> {
        self.0.get(&id)
    }

    /// A record as if all waiting sales were confirmed; one that is not known has nothing and counted nothing.
    pub(super) fn spent(&self, id: MemberId) -> Result<Member, AmountError> {
        self.of(id).map_or_else(
            || Ok(Member::default()),
            |resource| resource.bound.spent(&resource.state),
        )
    }
}
