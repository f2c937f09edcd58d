//! Fuzzes pages of a snapshot.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::page_unpack(data));
