"""Table of the raw data sets that can be prepared, by name.

To add one, write a module with its record and list it here.
"""

from pysot.datasets.raw.coco import COCO
from pysot.datasets.raw.csv_json import COCO_VIDEO, CSV
from pysot.datasets.raw.cvat import CVAT
from pysot.datasets.raw.davis import DAVIS
from pysot.datasets.raw.got10k import GOT10K
from pysot.datasets.raw.imagenet import DET, VID
from pysot.datasets.raw.lasot import LASOT
from pysot.datasets.raw.mot import MOT
from pysot.datasets.raw.otb import OTB
from pysot.datasets.raw.sequences import SequenceSet
from pysot.datasets.raw.trackingnet import TRACKINGNET
from pysot.datasets.raw.video import RawSet
from pysot.datasets.raw.voc_yolo import VOC, YOLO
from pysot.datasets.raw.vot import VOT
from pysot.datasets.raw.youtube_bb import YT_BB
from pysot.datasets.raw.youtube_vos import YOUTUBE_VOS

RAW_SETS: dict[str, RawSet | SequenceSet] = {
    raw.name: raw
    for raw in (
        COCO,
        DET,
        VID,
        YT_BB,
        OTB,
        VOT,
        DAVIS,
        YOUTUBE_VOS,
        GOT10K,
        LASOT,
        TRACKINGNET,
        MOT,
        YOLO,
        VOC,
        COCO_VIDEO,
        CVAT,
        CSV,
    )
}
