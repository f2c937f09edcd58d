//! The figures as a table for the terminal and as `docs/performance.md`.

use std::fmt::Write as _;

use super::figures::{Figure, Table};

/// A mark for a target that is met, missed, or not asked for.
fn mark(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

/// For the terminal.
pub fn plain(table: &Table) -> String {
    let mut text = format!("\n{}\n", table.title);
    for figure in &table.figures {
        let _ = write!(text, "  {:<72} {}", figure.what, figure.measured);
        if !figure.limit.is_empty() {
            let _ = write!(text, "  | {} of {}", figure.ratio, figure.limit);
        }
        match figure.met {
            Some(true) => {
                let _ = write!(text, "  [{}: met]", figure.target);
            }
            Some(false) => {
                let _ = write!(text, "  [{}: MISSED]", figure.target);
            }
            None => {}
        }
        text.push('\n');
    }
    text
}

/// The document.
pub fn markdown(tables: &[Table], machine: &[(&str, String)], quick: bool) -> String {
    let mut text = String::from(
        "# Performance\n\n\
         Made by `cargo run --release -p simulate -- measure --write docs/performance.md`, which measures the real parts on the \
         machine that it runs on; run it again rather than edit this file. `--quick` takes under a minute and a tenth of the \
         members, `--only` takes single parts.\n\n\
         Each figure stands beside a limit of the same machine, found in the same run: what the disk, the wire or the \
         arithmetic would allow if nothing else cost anything. Figures are medians of several rounds. The load generator shares \
         the processors with what is measured. p99 is what one in a hundred exceeds.\n\n",
    );
    if quick {
        text.push_str("These figures are of a `--quick` run: targets that speak of 1,000,000 members are not judged.\n\n");
    }
    text.push_str("## Machine\n\n| what | |\n| --- | --- |\n");
    for (name, value) in machine {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    for table in tables {
        let _ = write!(text, "\n## {}\n\n{}\n\n", table.title, table.method);
        text.push_str("| what | target | measured | met | limit beside it | measured ÷ limit |\n");
        text.push_str("| --- | --- | --- | --- | --- | --- |\n");
        for figure in &table.figures {
            text.push_str(&row(figure));
        }
    }
    text.push_str("\n## What stands in the way\n\n");
    let missed: Vec<_> = tables
        .iter()
        .flat_map(|table| &table.figures)
        .filter(|figure| figure.met == Some(false))
        .collect();
    for figure in &missed {
        let _ = writeln!(
            text,
            "- {}: {}, target {}. {}",
            figure.what, figure.measured, figure.target, figure.obstacle
        );
    }
    if missed.is_empty() {
        text.push_str("Every target that was judged is met.\n");
    }
    text
}

fn row(figure: &Figure) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} |\n",
        figure.what,
        figure.target,
        figure.measured,
        mark(figure.met),
        figure.limit,
        figure.ratio
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_target_says_what_stands_in_the_way() {
        let figure = |met| {
            Figure::new("confirm", "2.00 ms")
                .target("≤ 1 ms", met)
                .limit("sync: 1.00 ms", "2.00 ×")
                .obstacle("The disk.")
        };
        let table = |met| Table {
            title: "A durable answer",
            method: "Once.".to_owned(),
            figures: vec![figure(met)],
        };
        let missed = markdown(&[table(false)], &[], false);
        assert!(
            missed.contains("| confirm | ≤ 1 ms | 2.00 ms | **no** | sync: 1.00 ms | 2.00 × |")
        );
        assert!(missed.contains("- confirm: 2.00 ms, target ≤ 1 ms. The disk."));
        let met = markdown(&[table(true)], &[], false);
        assert!(met.contains("| yes |") && met.contains("Every target that was judged is met."));
        assert!(plain(&table(false)).contains("MISSED"));
    }
}
