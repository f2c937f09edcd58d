//! The tables of a node's store, and the batches of writes that change them.

/// A named table. The numbers are on disk: they are never changed or used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Facts about the node itself.
    Meta = 1,
    /// Members' state.
    Members = 2,
    /// From a keyed hash of an identifier to its member.
    Identifiers = 3,
    /// Signatures over the node's own log, by the last sequence that each covers.
    Seals = 4,
    /// The node's own operations, by sequence.
    Log = 5,
    /// What waits for the hub.
    Pending = 6,
    /// From a receipt to its purchase, for the return period.
    Receipts = 7,
    /// What sales between authorise and confirm bind.
    Holds = 8,
    /// Answers kept for retried requests.
    Idempotency = 9,
    /// Sales from their authorisation to the end of the return period.
    Purchases = 10,
    /// Block orders.
    Blocks = 11,
    /// Signed versions of the rule book.
    Publications = 12,
    /// Keys of members whose personal data the hub does not have yet.
    Keys = 13,
    /// Stores, tills and cashiers.
    Directory = 14,
    /// Members' past operations, for display.
    History = 15,
    /// What the hub found about own operations.
    Verdicts = 16,
    /// Rows that are to go, by the time at which they do.
    Expiry = 17,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 17] = [
        Self::Meta,
        Self::Members,
        Self::Identifiers,
        Self::Seals,
        Self::Log,
        Self::Pending,
        Self::Receipts,
        Self::Holds,
        Self::Idempotency,
        Self::Purchases,
        Self::Blocks,
        Self::Publications,
        Self::Keys,
        Self::Directory,
        Self::History,
        Self::Verdicts,
        Self::Expiry,
    ];

    /// The table's name, as engines with named tables store it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Members => "members",
            Self::Identifiers => "identifiers",
            Self::Seals => "seals",
            Self::Log => "log",
            Self::Pending => "pending",
            Self::Receipts => "receipts",
            Self::Holds => "holds",
            Self::Idempotency => "idempotency",
            Self::Purchases => "purchases",
            Self::Blocks => "blocks",
            Self::Publications => "publications",
            Self::Keys => "keys",
            Self::Directory => "directory",
            Self::History => "history",
            Self::Verdicts => "verdicts",
            Self::Expiry => "expiry",
        }
    }

    /// The table's number, which engines without named tables put before each key.
    #[must_use]
    pub const fn tag(self) -> u8 {
        self as u8
    }

    /// The table with a number, if there is one.
    #[must_use]
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.tag() == tag)
    }
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets the value of a key.
    Put {
        /// The table.
        table: Table,
        /// The key.
        key: Vec<u8>,
        /// The new value.
        value: Vec<u8>,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The table.
        table: Table,
        /// The key.
        key: Vec<u8>,
    },
}

impl Write {
    /// The table that it changes.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Put { table, .. } | Self::Delete { table, .. } => *table,
        }
    }
}

/// Writes that take effect together, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    writes: Vec<Write>,
    bytes: u64,
}

impl Batch {
    /// A batch without writes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let (key, value) = (key.into(), value.into());
        self.account(key.len());
        self.account(value.len());
        self.writes.push(Write::Put { table, key, value });
    }

    /// Removes a key.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        let key = key.into();
        self.account(key.len());
        self.writes.push(Write::Delete { table, key });
    }

    /// The writes, oldest first.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Bytes of all keys and values.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many writes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Forgets all writes and keeps the memory for the next ones.
    pub fn clear(&mut self) {
        self.writes.clear();
        self.bytes = 0;
    }

    fn account(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
    }
}
