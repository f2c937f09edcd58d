//! A peer made by hand: it has a key and speaks the protocol, as well or as badly as a test wants.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use ed25519_dalek::SigningKey;
use kopilka_crdt::clock::Stamp;
use kopilka_crdt::ids::Incarnation;
use kopilka_crdt::log::{Log, Tip};
use kopilka_crdt::operation::Body;
use kopilka_protocol::codec::{decode, encode};
use kopilka_protocol::enrolment::EnrolmentCode;
use kopilka_protocol::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
use kopilka_protocol::message::{
    Channel, EnrolRequest, Enrolled, Hello, HubMessage, NodeMessage, Opening, Refusal, Reply, Seen,
    Standing,
};
use kopilka_protocol::segment::{Seal, Segment};
use kopilka_shell::clock::now_ms;
use kopilka_shell::frame_io::{FrameReader, read_frame, write_frame};
use kopilka_shell::quic::{ClientEndpoint, ExpectedKey, PeerKey};
use quinn::{Connection, RecvStream, SendStream};

/// How long the hub may take to say something.
const ANSWER: Duration = Duration::from_secs(10);

/// A key and the place that the hub gave it.
pub struct Peer {
    pub key: SigningKey,
    pub place: Enrolled,
    hub: SocketAddr,
    log: Log,
}

/// A session, or what passes for one.
pub struct Talk {
    pub send: SendStream,
    frames: FrameReader<RecvStream>,
    connection: Connection,
    // Kept for as long as the talk lasts.
    _endpoint: ClientEndpoint,
}

impl Peer {
    /// Enrols with a code, as a node would.
    pub async fn enrol(code: &str, seed: u8) -> anyhow::Result<Self> {
        let code: EnrolmentCode = code.parse()?;
        let hub: SocketAddr = code.hub_address.parse()?;
        let key = SigningKey::from_bytes(&[seed; 32]);
        let endpoint = ClientEndpoint::new(any_port(), &key)?;
        let expected = ExpectedKey::Fingerprint(code.fingerprint);
        let connection = endpoint.connect(hub, expected).await?;
        let (mut send, mut receive) = connection.open_bi().await?;
        let request = Opening::Enrol(EnrolRequest {
            secret: code.secret,
            program: "by hand".to_owned(),
        });
        write_frame(&mut send, &encode(&request)?, FRAME_BYTES_MAX).await?;
        let frame = read_frame(&mut receive, FRAME_BYTES_MAX).await?;
        let Reply::Enrolled(place) = decode(&frame.context("an answer")?)? else {
            bail!("not enrolled");
        };
        let genesis = Tip::genesis(place.node, place.incarnation);
        Ok(Self {
            key,
            hub,
            log: Log::resume(place.node, place.incarnation, genesis, Stamp::default()),
            place,
        })
    }

    /// What an honest node of this key would say first.
    pub fn hello(&self) -> Hello {
        Hello {
            protocol: PROTOCOL_VERSION,
            program: "by hand".to_owned(),
            node: self.place.node,
            incarnation: self.place.incarnation,
            tip: self.log.tip(),
            seen: Seen::default(),
        }
    }

    /// Appends to the log and signs the run.
    pub fn write(&mut self, bodies: &[Body]) -> anyhow::Result<Segment> {
        let base = self.log.tip();
        let mut entries = Vec::new();
        for body in bodies {
            entries.push(self.log.append(now_ms(), body)?.bytes);
        }
        let (node, incarnation) = (self.log.node(), self.log.incarnation());
        Ok(Segment {
            node,
            incarnation,
            base,
            entries,
            signature: Seal::sign(&self.key, node, incarnation, self.log.tip()).signature,
        })
    }

    /// Where the log stands.
    pub fn tip(&self) -> Tip {
        self.log.tip()
    }

    /// Connects with a key and opens a stream.
    pub async fn connect(&self, key: &SigningKey) -> anyhow::Result<Talk> {
        let endpoint = ClientEndpoint::new(any_port(), key)?;
        let expected = ExpectedKey::Exact(PeerKey(self.place.hub.0));
        let connection = endpoint.connect(self.hub, expected).await?;
        let (send, receive) = connection.open_bi().await?;
        Ok(Talk {
            send,
            frames: FrameReader::new(receive, FRAME_BYTES_MAX),
            connection,
            _endpoint: endpoint,
        })
    }

    /// Says hello with the own key; gives the talk and the hub's answer.
    pub async fn greet(&self, hello: Hello) -> anyhow::Result<(Talk, HubMessage)> {
        let mut talk = self.connect(&self.key).await?;
        talk.frame(&encode(&Opening::Session(hello))?).await?;
        let answer = talk.heard().await?.context("the hub says something")?;
        Ok((talk, answer))
    }

    /// Begins a session as an honest node would; gives what is durable at the hub.
    pub async fn session(&self) -> anyhow::Result<(Talk, Tip)> {
        match self.greet(self.hello()).await? {
            (talk, HubMessage::Welcome(welcome)) => match welcome.standing {
                Standing::Continue(tip) => Ok((talk, tip)),
                Standing::Diverged | Standing::Behind(_) => bail!("not welcome: {welcome:?}"),
            },
            (_, other) => bail!("not welcome: {other:?}"),
        }
    }
}

impl Talk {
    /// Sends a frame.
    pub async fn frame(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        Ok(write_frame(&mut self.send, frame, FRAME_BYTES_MAX).await?)
    }

    /// The stream on which the hub pushes something.
    pub async fn pushed(&self, wanted: Channel) -> anyhow::Result<FrameReader<RecvStream>> {
        loop {
            let stream = tokio::time::timeout(ANSWER, self.connection.accept_uni()).await;
            let mut frames = FrameReader::new(stream.context("the hub pushes")??, FRAME_BYTES_MAX);
            let first = frames
                .next()
                .await?
                .context("a stream says what it carries")?;
            if decode::<Channel>(&first)? == wanted {
                return Ok(frames);
            }
        }
    }

    /// Opens a stream of its own for a question; gives the stream of answers.
    pub async fn asked(&self, opening: &Opening) -> anyhow::Result<FrameReader<RecvStream>> {
        let (mut send, receive) = self.connection.open_bi().await?;
        write_frame(&mut send, &encode(opening)?, FRAME_BYTES_MAX).await?;
        send.finish()?;
        Ok(FrameReader::new(receive, FRAME_BYTES_MAX))
    }

    /// Sends a run of a log.
    pub async fn segment(&mut self, segment: Segment) -> anyhow::Result<()> {
        let keys = Vec::new();
        self.frame(&encode(&NodeMessage::Segment { segment, keys })?)
            .await
    }

    /// What the hub says next; none when it has closed the stream or the connection.
    pub async fn heard(&mut self) -> anyhow::Result<Option<HubMessage>> {
        let frame = tokio::time::timeout(ANSWER, self.frames.next()).await;
        match frame.context("the hub neither answers nor closes")? {
            Ok(Some(frame)) => Ok(Some(decode(&frame)?)),
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// The refusal with which the hub ends the talk; none when it closes without a word.
    pub async fn refusal(&mut self) -> anyhow::Result<Option<Refusal>> {
        loop {
            match self.heard().await? {
                Some(HubMessage::Refused(refusal)) => return Ok(Some(refusal)),
                Some(HubMessage::SendBranch) | None => return Ok(None),
                Some(
                    HubMessage::Welcome(_) | HubMessage::Durable { .. } | HubMessage::Renew(_),
                ) => {}
            }
        }
    }

    /// Waits until the hub has so much on its disk.
    pub async fn durable(&mut self, wanted: Tip) -> anyhow::Result<()> {
        loop {
            match self.heard().await? {
                Some(HubMessage::Durable { tip, .. }) if tip == wanted => return Ok(()),
                Some(HubMessage::Durable { .. }) => {}
                other => bail!("the hub says {other:?}"),
            }
        }
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The incarnation after another.
pub fn next(incarnation: Incarnation) -> Incarnation {
    Incarnation(incarnation.0 + 1)
}
