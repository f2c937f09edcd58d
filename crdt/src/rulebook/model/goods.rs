//! Goods as rules speak of them: groups in a tree, and filters that pick lines of a receipt.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{Milli, Minor};

/// A product group: its place in the tree and its exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRules {
    /// The group that it is part of; filters on that one pick its goods too. Exceptions are not inherited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Whether its goods earn.
    pub earns: bool,
    /// Whether points may pay for its goods.
    pub redeems: bool,
    /// Whether promotions may lower its prices.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub discounts: bool,
}

/// Which lines of a receipt are meant: every field that is given must match, and an empty filter picks all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// One of these articles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skus: Vec<String>,
    /// In one of these groups, or below it in the tree.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// With each of these attributes, such as `brand`, at one of the values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Unit price from here on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_min: Option<Minor>,
    /// Unit price up to here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_max: Option<Minor>,
    /// Quantity of the line from here on, in thousandths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity_min: Option<Milli>,
    /// But none that this one picks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub except: Option<Box<Filter>>,
}

pub(super) fn yes() -> bool {
    true
}

pub(super) fn is_yes(value: &bool) -> bool {
    *value
}

pub(super) fn is_no(value: &bool) -> bool {
    !*value
}
