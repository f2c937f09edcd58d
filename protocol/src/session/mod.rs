//! Sync sessions as state machines: what a node and the hub say to each other, without sockets or clocks.
