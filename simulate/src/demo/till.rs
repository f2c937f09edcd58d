//! A till: what it asks of its store's node, and the figures it gets back.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use serde_json::{Value, json};

use super::http::{Answer, Http, Refusal, number, text};
use super::receipts::SoldLine;

/// A till with its cashier.
#[derive(Debug)]
pub struct Till {
    /// Its node.
    pub http: Http,
    /// Who serves.
    pub cashier: String,
    receipts: AtomicU64,
}

/// How many points are to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// None.
    Nothing,
    /// As many as may.
    Most,
    /// So many minor units.
    Exactly(i64),
}

/// A member who showed a card.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Who.
    pub member: String,
    /// The card, as sales name it.
    pub card: Option<String>,
    /// What can be spent, less what is owed, minor units.
    pub balance: i64,
}

/// A confirmed sale, minor units.
#[derive(Debug, Clone)]
pub struct Sold {
    /// Its name at the node.
    pub purchase: String,
    /// Before points.
    pub total: i64,
    /// Points that paid.
    pub redeemed: i64,
    /// Left to pay.
    pub to_pay: i64,
    /// Points earned.
    pub earned: i64,
    /// The rung that the redemption stood on.
    pub rung: Option<String>,
}

/// Goods taken back, minor units.
#[derive(Debug, Clone, Copy)]
pub struct TakenBack {
    /// Spent points that the member has again.
    pub restored: i64,
    /// Earned points taken back.
    pub withdrawn: i64,
    /// Money handed back.
    pub refund: i64,
}

/// How the till's node stands with the hub.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whether the hub can be asked.
    pub connected: bool,
    /// Operations that the hub does not have yet.
    pub pending: i64,
    /// Verdicts of the hub other than *accepted*.
    pub verdicts: Vec<String>,
}

impl Till {
    /// A till.
    pub fn new(http: Http, cashier: String) -> Self {
        Self {
            http,
            cashier,
            receipts: AtomicU64::new(1),
        }
    }

    /// Whose card is it?
    pub async fn identify(&self, card_number: &str) -> anyhow::Result<Result<Shown, Refusal>> {
        let body = json!({ "kind": "card", "value": card_number });
        let answer = self.http.post("/v1/identify", &body).await?;
        let shown = |value: Value| -> anyhow::Result<Shown> {
            Ok(Shown {
                member: text(&value["member"], "member_id")?.to_owned(),
                card: value["card"].as_str().map(str::to_owned),
                balance: balance(&value["member"])?,
            })
        };
        read(answer, shown)
    }

    /// A person joins; gives the welcome points, minor units.
    pub async fn enrol(
        &self,
        card_number: &str,
        name: &str,
        phone: &str,
    ) -> anyhow::Result<Result<i64, Refusal>> {
        let body = json!({
            "cashier": self.cashier,
            "card_number": card_number,
            "questionnaire": { "given_name": name, "phone": phone },
            "consents": ["personal_data"],
        });
        let answer = self.http.post("/v1/members", &body).await?;
        read(answer, |value| balance(&value))
    }

    /// Sells in one step.
    pub async fn sell(
        &self,
        shown: &Shown,
        lines: &[SoldLine],
        points: Points,
    ) -> anyhow::Result<Result<Sold, Refusal>> {
        let receipt = self.receipts.fetch_add(1, Ordering::Relaxed);
        let lines: Vec<_> = lines.iter().map(line_json).collect();
        let mut body = json!({
            "cashier": self.cashier,
            "member_id": shown.member,
            "card": shown.card,
            "receipt": { "number": receipt },
            "lines": lines,
            "confirm": true,
        });
        match points {
            Points::Nothing => {}
            Points::Most => body["redeem_most"] = json!(true),
            Points::Exactly(amount) => body["redeem"] = json!(amount),
        }
        let answer = self.http.post("/v1/purchases", &body).await?;
        let sold = |value: Value| -> anyhow::Result<Sold> {
            Ok(Sold {
                purchase: text(&value, "purchase_id")?.to_owned(),
                total: number(&value, "total")?,
                redeemed: number(&value, "redeemed")?,
                to_pay: number(&value, "to_pay")?,
                earned: number(&value, "earned")?,
                rung: value["rung"].as_str().map(str::to_owned),
            })
        };
        read(answer, sold)
    }

    /// Takes goods back: 0-based lines and pieces.
    pub async fn take_back(
        &self,
        purchase: &str,
        lines: &[(usize, i64)],
    ) -> anyhow::Result<Result<TakenBack, Refusal>> {
        let lines: Vec<_> = lines
            .iter()
            .map(|(line, pieces)| json!({ "line": line, "quantity": pieces.to_string() }))
            .collect();
        let body = json!({ "cashier": self.cashier, "purchase_id": purchase, "lines": lines });
        let answer = self.http.post("/v1/returns", &body).await?;
        let taken = |value: Value| -> anyhow::Result<TakenBack> {
            Ok(TakenBack {
                restored: number(&value, "restored")?,
                withdrawn: number(&value, "withdrawn")?,
                refund: number(&value, "refund")?,
            })
        };
        read(answer, taken)
    }

    /// What a member can spend here, less what they owe, minor units; none when unknown.
    pub async fn balance(&self, member: &str) -> anyhow::Result<Option<i64>> {
        match self.http.get(&format!("/v1/members/{member}")).await? {
            Ok(value) => balance(&value).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// How the node stands with the hub.
    pub async fn standing(&self) -> anyhow::Result<Standing> {
        let answer = self.http.get("/v1/sync").await?;
        let value = answer.map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let verdicts = value["verdicts"].as_array().context("no verdicts")?;
        Ok(Standing {
            connected: value["connected"].as_bool().unwrap_or_default(),
            pending: number(&value, "pending_operations")?,
            verdicts: verdicts.iter().map(verdict_text).collect(),
        })
    }
}

fn verdict_text(verdict: &Value) -> String {
    let word = |field: &str| verdict[field].as_str().unwrap_or_default();
    format!(
        "{} {}: {}",
        word("operation_id"),
        word("verdict"),
        word("reason")
    )
}

fn line_json(line: &SoldLine) -> Value {
    json!({
        "sku": line.sku,
        "quantity": line.quantity.to_string(),
        "unit_price": line.unit_price,
    })
}

fn read<T>(
    answer: Answer,
    parse: impl FnOnce(Value) -> anyhow::Result<T>,
) -> anyhow::Result<Result<T, Refusal>> {
    answer
        .map(parse)
        .map_or_else(|refusal| Ok(Err(refusal)), |parsed| parsed.map(Ok))
}

/// Spendable and pending less debt, over the accounts of a node's answer.
fn balance(value: &Value) -> anyhow::Result<i64> {
    let accounts = value["balances"]
        .as_array()
        .with_context(|| format!("no balances in {value}"))?;
    accounts.iter().try_fold(0, |sum, account| {
        let part = |field| number(account, field);
        Ok(sum + part("spendable")? + part("pending")? - part("debt")?)
    })
}
