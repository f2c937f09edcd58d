//! Decisions over tables of cases and over random histories.

mod given;
mod ladder;
mod placement;
mod pricing;
mod records;
mod replay;
mod reversal;
mod reversal_accounts;
mod shopper;
mod soundness;
mod tiers;
mod validation;
mod verdict;
mod world;
