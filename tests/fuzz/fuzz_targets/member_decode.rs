//! Fuzzes stored member records, and the questions asked of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::member_decode(data));
