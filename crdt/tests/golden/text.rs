//! Text files of golden values, a line `name = value` each; the protocol's golden tests read theirs with it too.

use std::fmt::Write;
use std::path::Path;

/// Bytes as a line has them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes any text");
        text
    })
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .expect("golden bytes are hexadecimal")
    };
    let byte = |pair: &[u8]| {
        u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).expect("two digits are a byte")
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

/// The text of a file.
pub fn lines<'a>(values: impl Iterator<Item = (&'a str, String)>) -> String {
    values.fold(String::new(), |mut text, (name, value)| {
        writeln!(text, "{name} = {value}").expect("a string takes any text");
        text
    })
}

/// What a file of bytes says.
pub fn stored(text: &str) -> Vec<(&str, Vec<u8>)> {
    text.lines()
        .map(|line| line.split_once(" = ").expect("a line is `name = hex`"))
        .map(|(name, bytes)| (name, unhex(bytes)))
        .collect()
}

/// Compares what a file says with what is found.
pub fn check(file: &str, stored: &str, found: &str) {
    assert!(
        stored == found || refreshed(file, found),
        "{file} says something else; the text is now:\n{found}"
    );
}

/// Writes a file anew where `KOPILKA_REFRESH` asks for it, for the next run to read.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests of a pure crate keep files; the crate does not"
)]
pub fn refreshed(file: &str, found: &str) -> bool {
    let asked = std::env::var_os("KOPILKA_REFRESH").is_some();
    if asked {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
        std::fs::write(folder.join(file), found).expect("the golden files are writable");
    }
    asked
}
