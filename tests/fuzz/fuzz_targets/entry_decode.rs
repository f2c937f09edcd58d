//! Fuzzes log entries, and the fold of what they say.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::entry_decode(data));
