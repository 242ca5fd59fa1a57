"""What is kept of chips: who they are, what was done to them, what was measured.

Owns the lab folder. Talks to no board; the layers above write down here what they do.
"""

from firmware_protocol.messages import Operation
from rramhil.lab._clock import utc_now
from rramhil.lab._lock import Holder
from rramhil.lab.chips import ChipRecord, ChipRegister
from rramhil.lab.compare import MapDifference, diff
from rramhil.lab.conductance_map import ConductanceMap, MapInfo, MapKind, software_version
from rramhil.lab.folder import Lab, default_root
from rramhil.lab.jobs import Job, JobState
from rramhil.lab.journal import Journal
from rramhil.lab.ledger import PulseLedger
from rramhil.lab.map_store import MapEntry, MapStore, load_map
from rramhil.lab.pulses import Conclusion, IntendedFrame, PulseFate, PulseRecord

__all__ = [
    "ChipRecord",
    "ChipRegister",
    "Conclusion",
    "ConductanceMap",
    "Holder",
    "IntendedFrame",
    "Job",
    "JobState",
    "Journal",
    "Lab",
    "MapDifference",
    "MapEntry",
    "MapInfo",
    "MapKind",
    "MapStore",
    "Operation",
    "PulseFate",
    "PulseLedger",
    "PulseRecord",
    "default_root",
    "diff",
    "load_map",
    "software_version",
    "utc_now",
]
