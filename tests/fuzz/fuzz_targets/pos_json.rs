//! Fuzzes the bodies of tills' requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::pos_json(data));
