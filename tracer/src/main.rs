//! `rmapscope`: watches who owns a page and why.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
