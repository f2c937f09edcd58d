//! The sample data as receipts: who bought what in which store, and what came back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use anyhow::Context;
use flate2::read::GzDecoder;
use serde::Deserialize;

/// Lines of one receipt that the node's limit admits.
const LINES_MAX: usize = 1_000;
/// One receipt in so many is not bought in the customer's home store.
const AWAY_ONE_IN: u64 = 8;
/// One receipt in so many pays with points.
const POINTS_ONE_IN: u64 = 4;

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "InvoiceNo")]
    invoice: String,
    #[serde(rename = "StockCode")]
    sku: String,
    #[serde(rename = "Quantity")]
    quantity: i64,
    #[serde(rename = "UnitPrice")]
    unit_price: String,
    #[serde(rename = "CustomerID")]
    customer: Option<u32>,
}

/// A line that was sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SoldLine {
    /// The article.
    pub sku: String,
    /// Whole pieces.
    pub quantity: i64,
    /// Minor units.
    pub unit_price: i64,
}

/// What happens at a till.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A receipt.
    Sale {
        /// What is bought.
        lines: Vec<SoldLine>,
        /// Whether points are to pay what they may.
        spends_points: bool,
    },
    /// Goods of an earlier receipt come back: line by line, how many pieces.
    Return {
        /// Place of the sale among all events.
        sale: usize,
        /// 0-based line and pieces.
        lines: Vec<(usize, i64)>,
    },
}

/// An event with its customer and store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The customer's number in the file.
    pub customer: u32,
    /// 0-based store.
    pub store: usize,
    /// What happens.
    pub event: Event,
}

/// Events in the order of the file, and what was passed over.
#[derive(Debug, Default)]
pub struct Sample {
    /// Sales and returns.
    pub visits: Vec<Visit>,
    /// Sales among them.
    pub sales: usize,
    /// Returns among them.
    pub returns: usize,
    /// Lines that are no sale and no return of a known one: no customer, no price, a correction.
    pub lines_passed_over: usize,
}

impl Sample {
    /// The customers, in order of number.
    pub fn customers(&self) -> Vec<u32> {
        let customers: BTreeSet<u32> = self.visits.iter().map(|visit| visit.customer).collect();
        customers.into_iter().collect()
    }
}

/// A spread-out number for a text, the same on every machine (FNV-1a, 64 bits).
pub fn spread(text: &str) -> u64 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The low bits follow the last letters too closely.
    hash >> 17
}

/// Whether a text is one of so many, drawn by lot but always the same.
pub fn one_in(many: u64, text: &str) -> bool {
    spread(text).is_multiple_of(many)
}

fn pick(text: &str, among: usize) -> usize {
    let among = u64::try_from(among.max(1)).expect("a handful of stores");
    usize::try_from(spread(text) % among).expect("less than a handful")
}

/// The store where a customer mostly buys.
pub fn home_store(customer: u32, stores: usize) -> usize {
    pick(&format!("home {customer}"), stores)
}

/// Reads the first `sales` receipts with a customer, and the returns among them.
pub fn read(path: &Path, sales: usize, stores: usize) -> anyhow::Result<Sample> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = csv::Reader::from_reader(GzDecoder::new(file));
    let mut sample = Sample::default();
    let mut left = Left::new();
    let mut invoice: Vec<Row> = Vec::new();
    for row in reader.deserialize() {
        let Ok(row): Result<Row, _> = row else {
            sample.lines_passed_over += 1;
            continue;
        };
        if invoice
            .first()
            .is_some_and(|first| first.invoice != row.invoice)
        {
            add(
                &mut sample,
                &mut left,
                &std::mem::take(&mut invoice),
                stores,
            );
            if sample.sales == sales {
                break;
            }
        }
        invoice.push(row);
    }
    if sample.sales < sales {
        add(&mut sample, &mut left, &invoice, stores);
    }
    Ok(sample)
}

/// What can still come back of each customer's articles: (event, line, pieces), latest last.
type Left = BTreeMap<(u32, String), Vec<(usize, usize, i64)>>;

fn add(sample: &mut Sample, left: &mut Left, invoice: &[Row], stores: usize) {
    let Some((first, customer)) = invoice
        .first()
        .and_then(|first| Some((first, first.customer?)))
    else {
        sample.lines_passed_over += invoice.len();
        return;
    };
    if first.invoice.starts_with('C') {
        take_back(sample, left, invoice, customer);
        return;
    }
    let mut lines = Vec::new();
    for row in invoice {
        match minor_units(&row.unit_price) {
            Some(unit_price) if unit_price > 0 && row.quantity > 0 && lines.len() < LINES_MAX => {
                lines.push(SoldLine {
                    sku: row.sku.clone(),
                    quantity: row.quantity,
                    unit_price,
                });
            }
            Some(_) | None => sample.lines_passed_over += 1,
        }
    }
    if lines.is_empty() {
        return;
    }
    for (place, line) in lines.iter().enumerate() {
        let key = (customer, line.sku.clone());
        left.entry(key)
            .or_default()
            .push((sample.visits.len(), place, line.quantity));
    }
    let away = one_in(AWAY_ONE_IN, &first.invoice);
    let store = if away {
        pick(&first.invoice, stores)
    } else {
        home_store(customer, stores)
    };
    let spends_points = one_in(POINTS_ONE_IN, &format!("points {}", first.invoice));
    sample.sales += 1;
    sample.visits.push(Visit {
        customer,
        store,
        event: Event::Sale {
            lines,
            spends_points,
        },
    });
}

/// Finds the sales that cancelled lines belong to; one return for each sale.
fn take_back(sample: &mut Sample, left: &mut Left, invoice: &[Row], customer: u32) {
    let mut by_sale = BTreeMap::<usize, Vec<(usize, i64)>>::new();
    for row in invoice {
        let pieces = -row.quantity;
        let sold = left.get_mut(&(customer, row.sku.clone()));
        let found = sold.and_then(|sold| {
            let fits = |(_, _, left): &&mut (usize, usize, i64)| pieces > 0 && *left >= pieces;
            sold.iter_mut().rev().find(fits)
        });
        match found {
            Some((sale, line, left)) => {
                *left -= pieces;
                by_sale.entry(*sale).or_default().push((*line, pieces));
            }
            None => sample.lines_passed_over += 1,
        }
    }
    for (sale, lines) in by_sale {
        let store = sample.visits[sale].store;
        sample.returns += 1;
        sample.visits.push(Visit {
            customer,
            store,
            event: Event::Return { sale, lines },
        });
    }
}

/// `2.55` as 255; a third decimal is rounded half up.
fn minor_units(text: &str) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = decimals
        .bytes()
        .chain(*b"000")
        .map(|byte| i64::from(byte) - 48);
    let mut next = || digits.next().filter(|digit| (0..=9).contains(digit));
    let (tenths, hundredths, thousandths) = (next()?, next()?, next()?);
    let whole: i64 = whole.parse().ok().filter(|whole| *whole >= 0)?;
    let minor = whole
        .checked_mul(100)?
        .checked_add(tenths * 10 + hundredths)?;
    Some(minor + i64::from(thousandths >= 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_become_minor_units() {
        for (text, expected) in [
            ("2.55", Some(255)),
            ("0.4", Some(40)),
            ("7", Some(700)),
            ("0.085", Some(9)),
            ("-1.5", None),
            ("x", None),
            ("1.x", None),
        ] {
            assert_eq!(minor_units(text), expected, "{text}");
        }
    }

    fn rows(text: &str) -> Vec<Row> {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(Result::unwrap).collect()
    }

    #[test]
    fn a_cancelled_line_finds_its_sale() {
        let header = "InvoiceNo,StockCode,Quantity,UnitPrice,CustomerID\n";
        let (mut sample, mut left) = (Sample::default(), Left::new());
        for invoice in [
            "1,A,5,1.00,7\n1,B,1,0.00,7\n",
            "2,A,5,1.00,8\n",
            "C3,A,-2,1.00,7\n",
            "C4,A,-4,1.00,7\n",
            "5,A,5,1.00,\n",
        ] {
            add(
                &mut sample,
                &mut left,
                &rows(&format!("{header}{invoice}")),
                4,
            );
        }
        assert_eq!((sample.sales, sample.returns), (2, 1));
        // The line without a price, the four pieces of three, the line without a customer.
        assert_eq!(sample.lines_passed_over, 3);
        assert_eq!(sample.visits[2].store, sample.visits[0].store);
        let event = Event::Return {
            sale: 0,
            lines: vec![(0, 2)],
        };
        assert_eq!(sample.visits[2].event, event);
    }
}
