//! Which lines a filter picks.

use std::collections::BTreeMap;

use kopilka_crdt::rulebook::model::{Filter, GroupRules};

use super::cart::CartLine;

/// Deepest tree of product groups.
pub(crate) const GROUP_DEPTH_MAX: usize = 16;

/// A group and those above it, from the inside out.
pub(crate) fn lineage<'a>(groups: &'a BTreeMap<String, GroupRules>, code: &'a str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut next = Some(code).filter(|code| !code.is_empty());
    while let Some(code) = next
        && found.len() < GROUP_DEPTH_MAX
    {
        found.push(code);
        next = groups.get(code).and_then(|group| group.parent.as_deref());
    }
    found
}

/// Whether a filter picks a line.
pub(crate) fn picks(filter: &Filter, line: &CartLine<'_>) -> bool {
    let item = line.item;
    let one_of = |list: &[String], value: &str| list.iter().any(|one| one == value);
    let attributes = filter.attributes.iter().all(|(name, values)| {
        item.attributes
            .get(name)
            .is_some_and(|value| one_of(values, value))
    });
    (filter.skus.is_empty() || one_of(&filter.skus, &item.sku))
        && (filter.groups.is_empty()
            || line
                .lineage
                .iter()
                .any(|group| one_of(&filter.groups, group)))
        && attributes
        && filter
            .price_min
            .is_none_or(|least| item.unit_price >= least)
        && filter.price_max.is_none_or(|most| item.unit_price <= most)
        && filter
            .quantity_min
            .is_none_or(|least| item.quantity >= least)
        && filter
            .except
            .as_ref()
            .is_none_or(|except| !picks(except, line))
}
