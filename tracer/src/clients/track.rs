//! Clients from one look to the next: how busy they were, which came, which went.

use std::collections::{BTreeMap, HashMap};

use super::busyness::{EngineHistory, EngineUse, Oddities};
use super::device::Device;
use super::look::{Client, Effort, Identity, Look};
use super::nodes::DeviceNumber;
use super::state::State;

/// A client, and what is known of it since the look before.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The client; one that is gone as it was.
    pub client: Client,
    /// What is known.
    pub state: State,
    /// Its engines that say how busy they are.
    pub engines: Vec<EngineUse>,
}

impl Seen {
    /// The part that its busiest engine was busy, from 0 to 1.
    pub fn busy(&self) -> Option<f64> {
        self.engines.iter().filter_map(|engine| engine.busy).reduce(f64::max)
    }
}

/// All that is known at a look.
#[derive(Clone, Debug)]
pub struct Sight {
    /// When the look began.
    pub time: u64,
    /// Nanoseconds since the look before began, if there was one.
    pub passed: Option<u64>,
    /// Clients that are there, by device and eldest holder; then those that are gone.
    pub clients: Vec<Seen>,
    /// Their devices.
    pub devices: BTreeMap<DeviceNumber, Device>,
    /// What the look took.
    pub effort: Effort,
    /// What was odd since the look before.
    pub oddities: Oddities,
}

impl Sight {
    /// How many clients are in each state.
    pub fn states(&self) -> BTreeMap<State, u64> {
        let mut states = BTreeMap::new();
        for seen in &self.clients {
            *states.entry(seen.state).or_default() += 1;
        }
        states
    }

    /// The device of a client.
    pub fn device(&self, client: &Client) -> Option<&Device> {
        self.devices.get(&client.number)
    }

    /// The driver of a client: what it says of itself, else what the bus or debugfs says.
    pub fn driver<'a>(&'a self, client: &'a Client) -> Option<&'a str> {
        let own = client.fdinfo.as_ref().ok().and_then(|fdinfo| fdinfo.driver.as_deref());
        own.or_else(|| self.device(client)?.driver.as_deref())
    }

    /// The name of the node that a client was opened by.
    pub fn node(&self, client: &Client) -> Option<&str> {
        self.device(client)?.node.as_deref()
    }
}

/// What was seen of a client.
#[derive(Debug)]
struct Known {
    client: Client,
    counted: EngineHistory,
}

/// Follows clients over looks. Its memory is that of one look.
#[derive(Debug, Default)]
pub struct Tracker {
    time: Option<u64>,
    known: Vec<Known>,
    devices: BTreeMap<DeviceNumber, Device>,
}

impl Tracker {
    /// What the next look shows.
    pub fn next(&mut self, look: Look) -> Sight {
        let passed = self.time.replace(look.time).map(|before| look.time.saturating_sub(before));
        let mut oddities = Oddities::default();
        let mut before = Before::new(std::mem::take(&mut self.known));
        let mut clients = Vec::new();
        for client in look.clients {
            let found = before.take(&client);
            let was_there = found.is_some();
            let mut counted = found.map(|known| known.counted).unwrap_or_default();
            let mut engines = match &client.fdinfo {
                Ok(fdinfo) => counted.next(fdinfo, client.time, &mut oddities),
                Err(_) => Vec::new(),
            };
            if let Some(device) = look.devices.get(&client.number) {
                let state = State::of(&client, device, &engines, was_there);
                if !state.is_measured() {
                    // A counter that nobody moves shows no rest.
                    engines.iter_mut().for_each(|engine| (engine.grew, engine.busy) = (None, None));
                }
                clients.push(Seen { client: client.clone(), state, engines });
            }
            self.known.push(Known { client, counted });
        }
        let gone = before.rest();
        let mut devices = look.devices;
        for known in &gone {
            if let Some(device) = self.devices.get(&known.client.number) {
                devices.entry(known.client.number).or_insert_with(|| device.clone());
            }
        }
        self.devices.clone_from(&devices);
        clients.extend(gone.into_iter().map(|known| Seen {
            client: known.client,
            state: State::Gone,
            engines: Vec::new(),
        }));
        Sight { time: look.time, passed, clients, devices, effort: look.effort, oddities }
    }
}

/// A descriptor of a device, of whichever process.
type Place = (DeviceNumber, u32, u64, u32);

/// The clients of the look before, to be found again.
struct Before {
    known: Vec<Option<Known>>,
    by_identity: HashMap<(DeviceNumber, Identity), usize>,
    /// An open file keeps its descriptors when its first holder ends.
    by_place: HashMap<Place, usize>,
}

impl Before {
    fn new(known: Vec<Known>) -> Self {
        let (mut by_identity, mut by_place) = (HashMap::new(), HashMap::new());
        for (index, Known { client, .. }) in known.iter().enumerate() {
            by_identity.insert((client.number, client.identity), index);
            if is_file(client) {
                by_place.extend(places(client).map(|place| (place, index)));
            }
        }
        Self { known: known.into_iter().map(Some).collect(), by_identity, by_place }
    }

    fn take(&mut self, client: &Client) -> Option<Known> {
        let by_place = || places(client).find_map(|place| self.by_place.get(&place).copied());
        let index = match is_file(client) {
            true => by_place(),
            false => self.by_identity.get(&(client.number, client.identity)).copied(),
        };
        self.known[index?].take()
    }

    fn rest(self) -> Vec<Known> {
        self.known.into_iter().flatten().collect()
    }
}

const fn is_file(client: &Client) -> bool {
    matches!(client.identity, Identity::File(..))
}

fn places(client: &Client) -> impl Iterator<Item = Place> {
    client.holders.iter().flat_map(|holder| {
        let of = (client.number, holder.pid, holder.start);
        holder.descriptors.iter().map(move |descriptor| (of.0, of.1, of.2, *descriptor))
    })
}
