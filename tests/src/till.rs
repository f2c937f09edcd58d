//! A till: what a cash register asks of its store's node.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use serde_json::{Value, json};

use crate::http::{Answer, Http};

/// Above the receipt numbers that tests choose themselves.
static NEXT: AtomicU64 = AtomicU64::new(1_000_000);

/// A number that no other request of this test program has.
fn fresh() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The card number with 15 given digits and its Luhn check digit.
pub fn card_number(serial: u64) -> String {
    let body = format!("{:015}", 770_000_000_000_000 + serial);
    let sum: u32 = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            match place % 2 {
                0 if digit > 4 => digit * 2 - 9,
                0 => digit * 2,
                _ => digit,
            }
        })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// A member as their card showed them to a till.
#[derive(Debug, Clone)]
pub struct Customer {
    /// The member.
    pub member: String,
    /// Their card's number.
    pub number: String,
    /// The card as `identify` names it.
    pub card: String,
}

/// What is bought: one article, and what is done with points.
#[derive(Debug, Clone, Copy, Default)]
pub struct Basket {
    /// Price, minor units.
    pub price: i64,
    /// Points to redeem, minor units.
    pub redeem: Option<i64>,
    /// Two-phase: wait for a confirmation.
    pub hold: bool,
}

impl Basket {
    /// One article, sold at once.
    pub fn of(price: i64) -> Self {
        Self {
            price,
            ..Self::default()
        }
    }

    /// The same, paid partly with points.
    pub fn redeeming(self, points: i64) -> Self {
        Self {
            redeem: Some(points),
            ..self
        }
    }
}

/// A till with its token.
#[derive(Debug, Clone)]
pub struct Till {
    /// Its identifier.
    pub id: String,
    /// Who serves.
    pub cashier: String,
    /// Its node.
    pub http: Http,
}

impl Till {
    /// Enrols a person with a card; the starter rules give 250 points.
    pub async fn enrol(&self, serial: u64) -> anyhow::Result<Customer> {
        let number = card_number(serial);
        let body = json!({ "cashier": self.cashier, "card_number": number });
        let key = format!("enrol-{}", fresh());
        self.http.post("/v1/members", &key, &body).await?.ok()?;
        self.identify(&number).await
    }

    /// Who shows this card?
    pub async fn identify(&self, number: &str) -> anyhow::Result<Customer> {
        let found = self.show_card(number).await?.ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
        Ok(Customer {
            member: text(&found["member"]["member_id"])?,
            card: text(&found["card"])?,
            number: number.to_owned(),
        })
    }

    /// The answer to a card that is shown.
    pub async fn show_card(&self, number: &str) -> anyhow::Result<Answer> {
        let body = json!({ "kind": "card", "value": number });
        self.http.post("/v1/identify", "", &body).await
    }

    /// A sale's body under a receipt number.
    pub fn sale(&self, customer: &Customer, receipt: u64, basket: Basket) -> Value {
        let mut body = json!({
            "cashier": self.cashier,
            "member_id": customer.member,
            "card": customer.card,
            "receipt": { "number": receipt },
            "lines": [{ "sku": "4601234567890", "quantity": "1", "unit_price": basket.price }],
            "tenders": [{ "kind": "cash", "amount": basket.price - basket.redeem.unwrap_or_default() }],
            "confirm": !basket.hold,
        });
        if let Some(points) = basket.redeem {
            body["redeem"] = json!(points);
        }
        body
    }

    /// Posts a sale's body under a key.
    pub async fn post_sale(&self, key: &str, body: &Value) -> anyhow::Result<Answer> {
        self.http.post("/v1/purchases", key, body).await
    }

    /// Asks for a sale under a receipt and a key of its own.
    pub async fn ask(&self, customer: &Customer, basket: Basket) -> anyhow::Result<Answer> {
        let number = fresh();
        let body = self.sale(customer, number, basket);
        self.post_sale(&format!("sale-{number}"), &body).await
    }

    /// Sells.
    pub async fn sell(&self, customer: &Customer, basket: Basket) -> anyhow::Result<Value> {
        self.ask(customer, basket).await?.ok()
    }

    /// Writes something about a purchase: `confirm`, `void` or `cancel`.
    pub async fn decide(&self, purchase: &Value, verb: &str) -> anyhow::Result<Answer> {
        let id = purchase["purchase_id"].as_str().context("a purchase")?;
        let path = format!("/v1/purchases/{id}/{verb}");
        let body = json!({ "cashier": self.cashier });
        self.http
            .post(&path, &format!("decide-{}", fresh()), &body)
            .await
    }

    /// Takes all goods of a purchase back.
    pub async fn take_back(&self, purchase: &Value) -> anyhow::Result<Answer> {
        let body = json!({ "cashier": self.cashier, "purchase_id": purchase["purchase_id"] });
        self.http
            .post("/v1/returns", &format!("return-{}", fresh()), &body)
            .await
    }

    /// The member as the node has them.
    pub async fn member(&self, customer: &Customer) -> anyhow::Result<Value> {
        let path = format!("/v1/members/{}", customer.member);
        self.http.get(&path).await?.ok()
    }

    /// Points that may be spent today, minor units.
    pub async fn balance(&self, customer: &Customer) -> anyhow::Result<i64> {
        let member = self.member(customer).await?;
        let spendable = &member["balances"][0]["spendable"];
        spendable
            .as_i64()
            .with_context(|| format!("a balance: {member}"))
    }

    /// How the node stands with the hub.
    pub async fn sync(&self) -> anyhow::Result<Value> {
        self.http.get("/v1/sync").await?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_have_the_check_digit_of_the_sample() {
        assert_eq!(card_number(1), "7700000000000016");
        assert_eq!(card_number(2), "7700000000000024");
        assert_eq!(card_number(3), "7700000000000032");
    }
}
