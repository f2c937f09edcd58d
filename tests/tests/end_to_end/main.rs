//! Whole chains of real processes: what a store, its tills and head office live through.

mod backlog;
mod blocks;
mod bootstrap;
mod clocks;
mod crashes;
mod disks;
mod duplicates;
mod hostile;
mod hub_crashes;
mod load;
mod peer;
mod privacy;
mod processes;
mod promotions;
mod publications;
mod restores;
mod returns;
mod sales;
mod stops;
mod two_hubs;
