//! Fuzzes segments of a log.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::segment_verify(data));
