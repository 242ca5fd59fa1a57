"""Data sets: where they live, whether they are what was published, and how they are read.

Owns the registry of data sets with their sources, licences and checksums. Knows no task and no
torch: files go in, numpy arrays come out. Nothing is read that was not verified first.

    registry    what is known of each data set
    folder      the folder of data sets
    trees       files by name, in a folder or in an archive
    verify      their checksums
    images      idx files of FashionMNIST
    speech      spoken digits, and mel bands of them
    retina      photographs of the retina; needs the extra `train`
    phantom     drawn ones
"""

from rramhil.datasets.folder import data_root
from rramhil.datasets.images import UInt8Array, read_fashion_mnist
from rramhil.datasets.phantom import draw_vessels
from rramhil.datasets.registry import DataSet, data_set, data_sets
from rramhil.datasets.speech import mel_bands, read_fsdd, read_fsdd_features
from rramhil.datasets.verify import verified

__all__ = [
    "DataSet",
    "UInt8Array",
    "data_root",
    "data_set",
    "data_sets",
    "draw_vessels",
    "mel_bands",
    "read_fashion_mnist",
    "read_fsdd",
    "read_fsdd_features",
    "verified",
]
