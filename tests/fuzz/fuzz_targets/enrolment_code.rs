//! Fuzzes enrolment codes as people type them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::enrolment_code(data));
