//! Fuzzes every kind of frame.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kopilka_fuzz::frame_decode(data));
