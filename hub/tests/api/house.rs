//! A hub over SQLite in a temporary folder, and calls to its interface.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use kopilka_hub::api::{ApiState, router};
use kopilka_hub::app::Hub;
use kopilka_hub::app::action::Actor;
use kopilka_hub::app::staff::{self, NewStaff, Role, session};
use kopilka_hub::store::{self, StoreSettings};
use kopilka_shell::{clock, key_file};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// What everybody signs in with.
pub const PASSWORD: &str = "correct horse battery";
/// Card numbers with right check digits.
pub const CARDS: [&str; 3] = ["7700000000000016", "7700000000000024", "7700000000000032"];

pub struct House {
    pub hub: Hub,
    router: Router,
    _folder: TempDir,
}

impl House {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = StoreSettings::Sqlite {
            path: folder.path().join("hub.sqlite"),
        };
        let store = store::open(&settings).await.unwrap();
        let key = key_file::load_or_create(&folder.path().join("hub.key")).unwrap();
        let hub = Hub::new(store, key, clock::now_ms);
        let state = ApiState {
            hub: hub.clone(),
            public_address: "hub.example:7443".into(),
        };
        Self {
            hub,
            router: router(state),
            _folder: folder,
        }
    }

    /// A house with programme p1, partner r1 and store s1, and an owner's token.
    pub async fn furnished() -> (Self, String) {
        let house = Self::new().await;
        let owner = house.sign_in(Role::Owner).await;
        let programme = json!({ "name_ru": "Копилка", "name_en": "Kopilka" });
        house.made(&owner, "/v1/programmes", programme).await;
        house
            .made(
                &owner,
                "/v1/programmes/p1/partners",
                json!({ "name": "Ромашка" }),
            )
            .await;
        let store = json!({ "partner": "r1", "name": "London", "time_zone": "Europe/London" });
        house.made(&owner, "/v1/programmes/p1/stores", store).await;
        (house, owner)
    }

    /// The token of a new member of staff.
    pub async fn sign_in(&self, role: Role) -> String {
        let login = format!("{role:?}").to_lowercase();
        let new = NewStaff {
            login: login.clone(),
            name: login.clone(),
            role,
            password: PASSWORD.to_owned(),
        };
        staff::add(&self.hub, &Actor::command_line(), new)
            .await
            .unwrap();
        session::sign_in(&self.hub, &login, PASSWORD.to_owned())
            .await
            .unwrap()
            .token
    }

    pub async fn call(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.call_with_key(token, method, path, body, None).await
    }

    pub async fn call_with_key(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
        key: Option<&str>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.answer(request.body(body).unwrap()).await
    }

    /// Posts a text of some type.
    pub async fn post_text(
        &self,
        token: &str,
        path: &str,
        content_type: &str,
        text: &str,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method("POST")
            .uri(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", content_type)
            .body(Body::from(text.to_owned()));
        self.answer(request.unwrap()).await
    }

    async fn answer(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// The answer to a GET that succeeds.
    pub async fn got(&self, token: &str, path: &str) -> Value {
        let (status, answer) = self.call(token, "GET", path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// The answer to a POST that creates.
    pub async fn made(&self, token: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(token, "POST", path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {answer}");
        answer
    }

    /// Asserts that a call is refused with a status and a code.
    pub async fn refused(
        &self,
        token: &str,
        (method, path): (&str, &str),
        body: Option<Value>,
        expected: (u16, &str),
    ) -> Value {
        let (status, problem) = self.call(token, method, path, body).await;
        let found = (
            status.as_u16(),
            problem["code"].as_str().unwrap_or_default(),
        );
        assert_eq!(found, expected, "{method} {path}: {problem}");
        problem
    }
}
