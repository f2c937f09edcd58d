//! Enrolment of nodes: a code works once, for one key, for one store.

use kopilka_crdt::ids::{Incarnation, NodeId};
use kopilka_protocol::key::PublicKey;
use kopilka_protocol::message::{EnrolRequest, Enrolled, Refusal};

use super::Hub;
use super::entities::{CodeEntity, Kept, NodeEntity, StoreEntity, hex, node_key};
use crate::store::{AuditRow, EntityChange, EntityKind, StoreError};

/// The entity key of a code: the BLAKE3 of its secret in hexadecimal.
pub fn code_key(secret: &[u8; 16]) -> String {
    hex(blake3::hash(secret).as_bytes())
}

impl Hub {
    /// Enrols the holder of a key with a code. `Err(Refusal)` inside: the code is wrong, used or out of date.
    pub async fn enrol_node(
        &self,
        key: PublicKey,
        request: &EnrolRequest,
    ) -> Result<Result<Enrolled, Refusal>, StoreError> {
        let Some(entity) = self
            .store
            .entity(CodeEntity::KIND, &code_key(&request.secret))
            .await?
        else {
            return Ok(Err(Refusal::Code));
        };
        let code = CodeEntity::from_body(&entity.body)?;
        let now_ms = (self.clock)();
        let store_key = format!("{}/{}", code.programme, code.store);
        let store = self.store.entity(StoreEntity::KIND, &store_key).await?;
        let Some(store) = store.filter(|_| now_ms <= code.expires_ms) else {
            return Ok(Err(Refusal::Code));
        };
        if self
            .store
            .entity(NodeEntity::KIND, &node_key(&key))
            .await?
            .is_some()
        {
            return Ok(Err(Refusal::Code));
        }
        let node = NodeEntity {
            id: NodeId(self.store.next_number(EntityKind::Node).await?),
            programme: code.programme,
            store: code.store,
            partner: StoreEntity::from_body(&store.body)?.partner,
            key,
            incarnation: Incarnation(1),
            enrolled_ms: now_ms,
            revoked: false,
        };
        let changes = [
            EntityChange {
                kind: CodeEntity::KIND,
                id: entity.id,
                body: None,
                expected: Some(entity.version),
            },
            EntityChange {
                kind: NodeEntity::KIND,
                id: node.key(),
                body: Some(node.to_body()),
                expected: Some(0),
            },
        ];
        let audit = AuditRow {
            at_ms: now_ms,
            actor: "enrolment code".to_owned(),
            action: "node.enrol".to_owned(),
            subject: node.id.to_string(),
            details: format!("{{\"store\":\"{}\"}}", node.store),
        };
        match self.store.change_entities(&changes, Some(&audit)).await {
            Err(StoreError::Exists(_)) => return Ok(Err(Refusal::Code)),
            result => result?,
        }
        Ok(Ok(Enrolled {
            node: node.id,
            incarnation: node.incarnation,
            programme: node.programme,
            store: node.store,
            hub: self.public_key(),
        }))
    }

    /// The node that a key belongs to.
    pub async fn node_of(
        &self,
        key: &PublicKey,
    ) -> Result<Result<NodeEntity, Refusal>, StoreError> {
        let Some(entity) = self.store.entity(NodeEntity::KIND, &node_key(key)).await? else {
            return Ok(Err(Refusal::UnknownKey));
        };
        let node = NodeEntity::from_body(&entity.body)?;
        Ok(if node.revoked {
            Err(Refusal::Revoked)
        } else {
            Ok(node)
        })
    }
}
