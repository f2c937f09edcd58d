//! The laws of the fold, tried on random histories and on references that are simpler than the code.

mod accounts;
mod action;
mod facts;
mod forgetting;
mod history;
mod laws;
mod parking;
mod records;
mod reference;
mod sale;
