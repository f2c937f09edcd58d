//! Signing in, and what each role may do.

use axum::http::StatusCode;
use kopilka_hub::app::staff::Role;
use serde_json::json;

use super::house::{House, PASSWORD};

const SESSIONS: (&str, &str) = ("POST", "/v1/sessions");
const CURRENT: (&str, &str) = ("GET", "/v1/sessions/current");

#[tokio::test]
async fn a_session_begins_and_ends() {
    let house = House::new().await;
    house.sign_in(Role::Owner).await;
    let right = json!({ "login": "owner", "password": PASSWORD });
    let session = house.made("", SESSIONS.1, right).await;
    let token = session["token"].as_str().unwrap().to_owned();
    assert_eq!(house.got(&token, CURRENT.1).await["role"], "owner");

    let (status, _) = house.call(&token, "DELETE", CURRENT.1, None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    house
        .refused(&token, CURRENT, None, (401, "session_over"))
        .await;
    house
        .refused("", CURRENT, None, (401, "session_missing"))
        .await;
}

#[tokio::test]
async fn wrong_passwords_cost_time() {
    let house = House::new().await;
    let owner = house.sign_in(Role::Owner).await;
    let wrong = json!({ "login": "owner", "password": "wrong" });
    for _ in 0..5 {
        house
            .refused("", SESSIONS, Some(wrong.clone()), (401, "sign_in_refused"))
            .await;
    }
    let right = json!({ "login": "owner", "password": PASSWORD });
    house
        .refused("", SESSIONS, Some(right.clone()), (429, "sign_in_paused"))
        .await;
    let nobody = json!({ "login": "nobody", "password": "wrong" });
    house
        .refused("", SESSIONS, Some(nobody), (401, "sign_in_refused"))
        .await;

    let new_password = json!({ "password": PASSWORD });
    let (status, _) = house
        .call(&owner, "PATCH", "/v1/staff/owner", Some(new_password))
        .await;
    assert_eq!(status, StatusCode::OK);
    house.made("", SESSIONS.1, right).await;
}

#[tokio::test]
async fn a_disabled_login_is_out_at_once() {
    let house = House::new().await;
    let owner = house.sign_in(Role::Owner).await;
    let support = house.sign_in(Role::Support).await;
    house.got(&support, CURRENT.1).await;
    let disabled = json!({ "enabled": false });
    house
        .call(&owner, "PATCH", "/v1/staff/support", Some(disabled))
        .await;
    house
        .refused(&support, CURRENT, None, (401, "session_over"))
        .await;
    let body = json!({ "login": "support", "password": PASSWORD });
    house
        .refused("", SESSIONS, Some(body), (401, "sign_in_refused"))
        .await;
}

#[tokio::test]
async fn roles_decide_before_anything_else() {
    let (house, owner) = House::furnished().await;
    let marketer = house.sign_in(Role::Marketer).await;
    let auditor = house.sign_in(Role::Auditor).await;
    let support = house.sign_in(Role::Support).await;
    let unknown = "/v1/programmes/p1/members/m0000000000000";
    let profile = format!("{unknown}/profile");
    // The member does not exist: who is refused by role never learns that.
    let cases = [
        (&marketer, ("GET", "/v1/audit"), 403),
        (&auditor, ("GET", "/v1/audit"), 200),
        (&auditor, ("POST", "/v1/programmes"), 403),
        (&auditor, ("GET", profile.as_str()), 403),
        (&support, ("GET", profile.as_str()), 404),
        (&support, ("POST", "/v1/programmes/p1/publications"), 403),
        (&support, ("GET", "/v1/staff"), 403),
        (&owner, ("GET", "/v1/staff"), 200),
        (&marketer, ("GET", unknown), 403),
        (&auditor, ("GET", unknown), 404),
    ];
    for (token, (method, path), expected) in cases {
        let (status, answer) = house.call(token, method, path, None).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {answer}");
    }
    house
        .refused(
            &auditor,
            ("GET", "/v1/nowhere"),
            None,
            (404, "unknown_path"),
        )
        .await;
    house
        .refused(
            &owner,
            ("PATCH", "/v1/audit"),
            None,
            (405, "method_not_allowed"),
        )
        .await;
}
