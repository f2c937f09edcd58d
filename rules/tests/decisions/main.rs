//! Decisions over tables of cases and over random histories.

mod accounts;
mod given;
mod ladder;
mod placement;
mod pricing;
mod records;
mod replay;
mod reversal;
mod reversal_accounts;
mod reversal_sums;
mod shopper;
mod soundness;
mod tiers;
mod validation;
mod verdict;
mod world;
