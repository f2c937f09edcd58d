//! The hub process and its command line.

use clap::Parser;
use kopilka_hub::cli::{self, Cli};
use kopilka_shell::exit::Exit;

fn main() -> Exit {
    cli::main(Cli::parse())
}
