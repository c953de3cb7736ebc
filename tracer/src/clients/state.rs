//! What is known of how busy a client is. Where that is nothing, the state says why: a bare 0 would look like rest.

use serde::{Serialize, Serializer};

use super::busyness::EngineUse;
use super::device::Device;
use super::look::{Client, Unread};
use super::nodes::NodeKind;

/// What is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// An engine worked for it since the look before.
    Busy,
    /// All its engines are measured, and none worked for it.
    Idle,
    /// It was not there at the look before.
    FirstLook,
    /// Its driver began to show an engine, so that there is no earlier value.
    Unmeasured,
    /// Its driver prints nothing of engines.
    NoUtilisationKeys,
    /// Its driver could measure, and is told not to.
    ProfilingOff,
    /// The kernel does not let us read what its driver says.
    NoPermission,
    /// What its driver says cannot be read.
    Unreadable,
    /// Compute of amdgpu, which is not in fdinfo.
    Kfd,
    /// A client of NVIDIA's driver, which only NVIDIA's library could ask.
    NoNvml,
    /// It was there at the look before.
    Gone,
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl State {
    /// All of them, in the order of [`Ord`].
    pub const ALL: [Self; 11] = [
        Self::Busy,
        Self::Idle,
        Self::FirstLook,
        Self::Unmeasured,
        Self::NoUtilisationKeys,
        Self::ProfilingOff,
        Self::NoPermission,
        Self::Unreadable,
        Self::Kfd,
        Self::NoNvml,
        Self::Gone,
    ];

    /// As it is printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Idle => "idle",
            Self::FirstLook => "first-look",
            Self::Unmeasured => "unmeasured",
            Self::NoUtilisationKeys => "no-utilisation-keys",
            Self::ProfilingOff => "profiling-off",
            Self::NoPermission => "no-permission",
            Self::Unreadable => "unreadable",
            Self::Kfd => "kfd",
            Self::NoNvml => "no-nvml",
            Self::Gone => "gone",
        }
    }

    /// Whether how busy its engines are is known, of one at least.
    pub const fn is_measured(self) -> bool {
        matches!(self, Self::Busy | Self::Idle | Self::Unmeasured)
    }

    /// Of a client that is there; `was_there` at the look before.
    pub fn of(client: &Client, device: &Device, engines: &[EngineUse], was_there: bool) -> Self {
        match device.kind {
            NodeKind::Kfd => return Self::Kfd,
            NodeKind::Nvidia | NodeKind::NvidiaUvm => return Self::NoNvml,
            NodeKind::Drm | NodeKind::Accel => {}
        }
        match &client.fdinfo {
            Err(Unread::Denied) => Self::NoPermission,
            Err(Unread::Failed | Unread::NotLookedFor) => Self::Unreadable,
            Ok(_) if device.profiling_is_off => Self::ProfilingOff,
            Ok(fdinfo) if !fdinfo.has_utilisation() => Self::NoUtilisationKeys,
            Ok(_) if !was_there => Self::FirstLook,
            Ok(_) if engines.iter().any(|engine| engine.grew.is_some_and(|grew| grew > 0)) => Self::Busy,
            Ok(_) if engines.iter().any(|engine| engine.busy.is_none()) => Self::Unmeasured,
            Ok(_) => Self::Idle,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fdinfo::Fdinfo;
    use super::super::look::Identity;
    use super::super::nodes::DeviceNumber;
    use super::*;

    #[test]
    fn what_cannot_be_known_has_its_reason() {
        let number = DeviceNumber { major: 226, minor: 128 };
        let device = |kind, profiling_is_off| Device {
            number,
            kind,
            node: None,
            pci_device: None,
            driver: None,
            profiling_is_off,
        };
        let client = |fdinfo| Client {
            number,
            identity: Identity::Process(1, 1),
            holders: Vec::new(),
            fdinfo,
            time: 0,
        };
        let measured = || Ok(Fdinfo::parse(b"drm-engine-x: 1 ns"));
        let known = |busy| EngineUse { grew: busy, busy: busy.map(|_| 0.0), ..EngineUse::default() };
        let state = |kind, off, fdinfo, engines: &[EngineUse], was_there| {
            State::of(&client(fdinfo), &device(kind, off), engines, was_there)
        };
        let drm = |fdinfo| state(NodeKind::Drm, false, fdinfo, &[], true);
        assert_eq!(drm(Err(Unread::Denied)), State::NoPermission);
        assert_eq!(drm(Err(Unread::Failed)), State::Unreadable);
        assert_eq!(drm(Ok(Fdinfo::default())), State::NoUtilisationKeys);
        assert_eq!(state(NodeKind::Drm, true, measured(), &[known(Some(0))], true), State::ProfilingOff);
        assert_eq!(state(NodeKind::Accel, false, measured(), &[known(None)], false), State::FirstLook);
        assert_eq!(
            state(NodeKind::Accel, false, measured(), &[known(None), known(Some(0))], true),
            State::Unmeasured
        );
        assert_eq!(
            state(NodeKind::Accel, false, measured(), &[known(None), known(Some(1))], true),
            State::Busy
        );
        assert_eq!(state(NodeKind::Drm, false, measured(), &[known(Some(0))], true), State::Idle);
        for (kind, expected) in [
            (NodeKind::Kfd, State::Kfd),
            (NodeKind::Nvidia, State::NoNvml),
            (NodeKind::NvidiaUvm, State::NoNvml),
        ] {
            assert_eq!(state(kind, false, Err(Unread::NotLookedFor), &[], true), expected);
        }
        assert!(State::ALL.is_sorted());
    }
}
