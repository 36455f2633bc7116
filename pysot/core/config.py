"""Configuration: one yacs tree with every key, its default and its reason.

`cfg` is the global tree of the original package; `load_config` returns a fresh, checked tree. Keys keep the spelling of
the original, mistakes included, so that old YAML files load unchanged. Keys that the original does not have are marked
(new); their defaults give the published recipe.
"""

from collections.abc import Sequence
from pathlib import Path

from pysot.core.config_node import ConfigNode as CN

__C = CN()
cfg = __C

__C.META_ARC = "siamrpn_r50_l234_dwxcorr"  # name of the architecture, for human readers
__C.CUDA = True  # False keeps `--device auto` on the CPU; named after the only accelerator that the original knew

# ---------------------------------------------------------------- training
__C.TRAIN = CN()
__C.TRAIN.THR_HIGH = 0.6  # anchors with a larger overlap with the target are positive
__C.TRAIN.THR_LOW = 0.3  # anchors with a smaller overlap are negative; those between the two are ignored
__C.TRAIN.NEG_NUM = 16  # negatives drawn for a pair of two different objects
__C.TRAIN.POS_NUM = 16  # positives kept per pair
__C.TRAIN.TOTAL_NUM = 64  # positives and negatives kept per pair
__C.TRAIN.EXEMPLAR_SIZE = 127  # side of the template crop, pixels
__C.TRAIN.SEARCH_SIZE = 255  # side of the search crop, pixels
# cells that the network adds to (SEARCH_SIZE - EXEMPLAR_SIZE) / STRIDE + 1: 8 with a 7x7 template centre, 0 for AlexNet
__C.TRAIN.BASE_SIZE = 8
__C.TRAIN.OUTPUT_SIZE = 25  # cells per side of the labels, from the same formula
# checkpoint to resume from (weights, optimizer and epoch); 'auto' takes the last one in SNAPSHOT_DIR, if any
__C.TRAIN.RESUME = ""
__C.TRAIN.PRETRAINED = ""  # weights of the complete network to start from
__C.TRAIN.LOG_DIR = "./logs"  # TensorBoard files and log text
__C.TRAIN.SNAPSHOT_DIR = "./snapshot"  # checkpoint_e{n}.pth
__C.TRAIN.EPOCH = 20  # total number of epochs, warm-up included
__C.TRAIN.START_EPOCH = 0  # first epoch of a training run that does not resume
__C.TRAIN.BATCH_SIZE = 32  # pairs per process and step
# loader processes per training process; -1: as many as its cores allow (original: 1, too slow for any card)
__C.TRAIN.NUM_WORKERS = -1
__C.TRAIN.MOMENTUM = 0.9  # of SGD
__C.TRAIN.WEIGHT_DECAY = 0.0001  # of SGD, applied to batch-norm as well, as published
__C.TRAIN.CLS_WEIGHT = 1.0  # factor of the classification loss
__C.TRAIN.LOC_WEIGHT = 1.2  # factor of the box loss
__C.TRAIN.MASK_WEIGHT = 1  # factor of SiamMask's mask loss
# (new) SiamMask: cells per pair whose masks are trained, on average over a batch; if more have positive anchors, they
# are drawn at random. POS_NUM or more takes all, as published
__C.TRAIN.MASK_CELLS = 16
__C.TRAIN.PRINT_FREQ = 20  # steps between two log lines
# (new) how often to write latest.pth inside an epoch: minutes such as '10m', a number of steps, or '' (never)
__C.TRAIN.CHECKPOINT_EVERY = "10m"
__C.TRAIN.KEEP = 0  # (new) number of latest checkpoint_e{n}.pth files to keep; 0: all
__C.TRAIN.LOG_GRADS = False  # write gradient norms per layer to TensorBoard with each log line
# (new) steps between two TensorBoard images of training pairs with targets, positives and predictions; 0: none
__C.TRAIN.LOG_PICTURES = 1000
__C.TRAIN.GRAD_CLIP = 10.0  # largest total gradient norm, after the reduction over processes
__C.TRAIN.BASE_LR = 0.005  # learning rate of neck and head while the schedule is at its start_lr
__C.TRAIN.GRAD_REDUCE = "sum"  # (new) 'sum' over processes (BASE_LR is tuned for it) or 'avg'
__C.TRAIN.PRECISION = "fp32"  # (new) 'fp32', 'fp16' (published Ascend training) or 'bf16'
__C.TRAIN.LOSS_SCALE = 32  # (new) static factor of the fp16 loss (published Ascend training), or 'dynamic'
# (new) store the channels of a pixel side by side: true, false, or 'auto' (only where it is faster; never on an NPU)
__C.TRAIN.CHANNELS_LAST = "auto"
# (new) use torch.compile: faster steps; costs a minute at the start, needs a compiler (C++ on a CPU); not on an NPU
__C.TRAIN.COMPILE = False
# (new) 'auto' times a step on a GPU or NPU operator by operator and as a graph, one call of the host, and keeps the
# faster way; or 'off'
__C.TRAIN.GRAPH = "auto"
# (new) steps to profile, such as '30-35', counted from 1 at the start of the process, also if it resumes; '': none. The
# trace and a table of the operators go to LOG_DIR/profile
__C.TRAIN.PROFILE = ""

__C.TRAIN.VAL = CN()  # (new) validate the checkpoint of each epoch by tracking and keep the best one as best.pth
__C.TRAIN.VAL.DATASET = ""  # VOT set, such as VOT2016; '': no validation
__C.TRAIN.VAL.ROOT = "testing_dataset"  # folder that holds it
__C.TRAIN.VAL.VIDEOS = []  # names of the videos to use; []: all. The videos are spread over the processes
__C.TRAIN.VAL.EVERY = 1  # epochs from one validation to the next; the last epoch is always validated

__C.TRAIN.LR = CN()
__C.TRAIN.LR.TYPE = "log"  # 'log', 'step', 'multi-step', 'linear' or 'cos'
__C.TRAIN.LR.KWARGS = CN(new_allowed=True)  # start_lr, end_lr, step, steps, mult: arguments of TYPE

__C.TRAIN.LR_WARMUP = CN()
__C.TRAIN.LR_WARMUP.WARMUP = True  # start with a separate schedule
__C.TRAIN.LR_WARMUP.TYPE = "step"  # same choices as LR.TYPE
__C.TRAIN.LR_WARMUP.EPOCH = 5  # epochs of the warm-up
__C.TRAIN.LR_WARMUP.KWARGS = CN(new_allowed=True)  # same arguments as LR.KWARGS

# ---------------------------------------------------------------- training data
__C.DATASET = CN(new_allowed=True)  # accepts new data sets as sections; every other unknown key is an error

__C.DATASET.TEMPLATE = CN()
__C.DATASET.TEMPLATE.SHIFT = 4  # largest shift of the crop, pixels
__C.DATASET.TEMPLATE.SCALE = 0.05  # largest relative change of each side
__C.DATASET.TEMPLATE.BLUR = 0.0  # probability of a cross-shaped blur
__C.DATASET.TEMPLATE.FLIP = 0.0  # probability of mirroring
__C.DATASET.TEMPLATE.COLOR = 1.0  # probability of a lighting shift

__C.DATASET.SEARCH = CN()
# largest shift, pixels; large, so that no position is favoured: the point of SiamRPN++ (section 3.1 of the paper)
__C.DATASET.SEARCH.SHIFT = 64
__C.DATASET.SEARCH.SCALE = 0.18  # larger than for the template: targets change between the two frames
__C.DATASET.SEARCH.BLUR = 0.0  # as TEMPLATE.BLUR; published training uses 0.2
__C.DATASET.SEARCH.FLIP = 0.0  # as TEMPLATE.FLIP, drawn independently
__C.DATASET.SEARCH.COLOR = 1.0  # as TEMPLATE.COLOR, drawn independently

__C.DATASET.NEG = 0.2  # probability that template and search show different objects
__C.DATASET.GRAY = 0.0  # probability of converting a pair to grey

__C.DATASET.NAMES = ("VID", "COCO", "DET", "YOUTUBEBB")  # data sets to train on: sections of DATASET


def dataset_node(root: str, anno: str, frame_range: int, num_use: int) -> CN:
    """Return the section of a data set.

    It holds the folder of crops, the annotation json, the largest distance in frames between template and search, and
    the number of videos per epoch (-1: all). MASKS (new) says whether every crop has a mask file, for SiamMask; in an
    empty one the object has no mask.
    """
    node = CN()
    node.ROOT = root
    node.ANNO = anno
    node.FRAME_RANGE = frame_range
    node.NUM_USE = num_use
    node.MASKS = False
    return node


__C.DATASET.VID = dataset_node("training_dataset/vid/crop511", "training_dataset/vid/train.json", 100, 100000)
__C.DATASET.YOUTUBEBB = dataset_node("training_dataset/yt_bb/crop511", "training_dataset/yt_bb/train.json", 3, -1)
__C.DATASET.COCO = dataset_node("training_dataset/coco/crop511", "training_dataset/coco/train2017.json", 1, -1)
__C.DATASET.DET = dataset_node("training_dataset/det/crop511", "training_dataset/det/train.json", 1, -1)

__C.DATASET.VIDEOS_PER_EPOCH = 600000  # pairs per epoch, summed over all processes

# ---------------------------------------------------------------- network
__C.BACKBONE = CN()
# alexnetlegacy, alexnet, resnet18, resnet34, resnet50, mobilenetv2 or mobilenetv3_small (mobilenetv3_small_v3 is the
# same); every experiment sets it
__C.BACKBONE.TYPE = "res50"
__C.BACKBONE.KWARGS = CN(new_allowed=True)  # used_layers (ResNet, MobileNet), width_mult (AlexNet, MobileNetV2)
__C.BACKBONE.PRETRAINED = ""  # ImageNet weights in this repository's layout, see pretrained_models/README.md
__C.BACKBONE.TRAIN_LAYERS = ["layer2", "layer3", "layer4"]  # stages that are trained from TRAIN_EPOCH on
__C.BACKBONE.LAYERS_LR = 0.1  # their learning rate relative to BASE_LR
__C.BACKBONE.TRAIN_EPOCH = 10  # before this epoch the backbone is frozen, batch-norm included
__C.BACKBONE.CHANNELS = []  # only in the _lt experiment, which the original cannot load; must match ADJUST.KWARGS

__C.ADJUST = CN()
__C.ADJUST.ADJUST = True  # 1x1 convolutions between backbone and heads
__C.ADJUST.KWARGS = CN(new_allowed=True)  # in_channels, out_channels: one number per feature level
__C.ADJUST.TYPE = "AdjustAllLayer"  # AdjustLayer or AdjustAllLayer
__C.ADJUST.ADJUST_CHANNEL = []  # as BACKBONE.CHANNELS

__C.RPN = CN()
__C.RPN.TYPE = "MultiRPN"  # UPChannelRPN (SiamRPN), DepthwiseRPN, MultiRPN (one DepthwiseRPN per level)
__C.RPN.KWARGS = CN(new_allowed=True)  # anchor_num, in_channels, out_channels, weighted
__C.RPN.WEIGHTED = False  # as BACKBONE.CHANNELS

__C.BAN = CN()  # (new) a head without anchors, which replaces that of RPN; the keys are those of SiamBAN and NanoTrack
__C.BAN.BAN = False  # True uses it
# MultiBAN (SiamBAN, one DepthwiseBAN per level), DepthwiseBAN, NanoBAN (NanoTrack V3, called DepthwiseBAN there)
__C.BAN.TYPE = "MultiBAN"
__C.BAN.KWARGS = CN(new_allowed=True)  # in_channels, out_channels, cls_out_channels (2), weighted

__C.MASK = CN()
__C.MASK.MASK = False  # SiamMask's mask branch
__C.MASK.TYPE = "MaskCorr"  # the only choice: depth-wise correlation to a mask per cell
__C.MASK.KWARGS = CN(new_allowed=True)  # in_channels, hidden, out_channels (63 * 63)

__C.REFINE = CN()
__C.REFINE.REFINE = False  # SiamMask's refinement of masks; in training, nothing else is then trained
__C.REFINE.TYPE = "Refine"  # the only choice
# (new) in_channels: those of the backbone's levels before the last one; corr_channels: MASK.KWARGS.hidden. The defaults
# are those of ResNet-50
__C.REFINE.KWARGS = CN(new_allowed=True)

__C.ANCHOR = CN()
__C.ANCHOR.STRIDE = 8  # pixels of the crop per cell: the stride of the backbone
__C.ANCHOR.RATIOS = [0.33, 0.5, 1, 2, 3]  # height / width
__C.ANCHOR.SCALES = [8]  # side in units of STRIDE
__C.ANCHOR.ANCHOR_NUM = 5  # len(RATIOS) * len(SCALES)

__C.POINT = CN()  # (new) the points of a head without anchors
__C.POINT.STRIDE = 8  # pixels of the crop from one point to the next: the stride of the backbone

# ---------------------------------------------------------------- tracker
__C.TRACK = CN()
# SiamRPNTracker, SiamMaskTracker, without anchors SiamBANTracker; long-term SiamRPNLTTracker, SiamBANLTTracker
__C.TRACK.TYPE = "SiamRPNTracker"
__C.TRACK.PENALTY_K = 0.04  # strength of the penalty on changes of scale and aspect ratio
__C.TRACK.WINDOW_INFLUENCE = 0.44  # share of the cosine window in the ranking of anchors
__C.TRACK.LR = 0.4  # smoothing of the size, multiplied by confidence and penalty
__C.TRACK.EXEMPLAR_SIZE = 127  # side of the template crop, pixels
__C.TRACK.INSTANCE_SIZE = 255  # side of the search crop, pixels
__C.TRACK.BASE_SIZE = 8  # as TRAIN.BASE_SIZE
__C.TRACK.OUTPUT_SIZE = 25  # (new) without anchors: points per side of INSTANCE_SIZE, as the network has them
__C.TRACK.CONTEXT_AMOUNT = 0.5  # margin around the target, share of width + height
__C.TRACK.LOST_INSTANCE_SIZE = 831  # long-term: search crop while the target is lost
__C.TRACK.CONFIDENCE_LOW = 0.85  # long-term: below this confidence the target counts as lost
__C.TRACK.CONFIDENCE_HIGH = 0.998  # long-term: above this confidence it counts as found again
# (new) 'fp32', 'bf16' (faster where the processor has instructions for it) or 'fp16' (for GPUs and NPUs); in the last
# two, boxes differ by fractions of a pixel, on some frames by a few pixels
__C.TRACK.PRECISION = "fp32"
# (new) where search crops are cut: 'host' (by OpenCV), 'device', or 'auto' (on the device, except on a CPU)
__C.TRACK.CROPS = "auto"
# (new) 'auto' captures a step with crops on a GPU or NPU as a graph: one call of the host, not hundreds; or 'off'
__C.TRACK.GRAPH = "auto"
# (new) use torch.compile where it is faster: costs seconds to a minute at the start, needs a compiler (C++ on a CPU);
# not on an NPU
__C.TRACK.COMPILE = False
__C.TRACK.MASK_THERSHOLD = 0.3  # SiamMask: mask probability above which a pixel is object
__C.TRACK.MASK_OUTPUT_SIZE = 127  # SiamMask: side of the mask, pixels
# (new) SiamMask: lay each mask back into its frame as the output "mask" (more work than the network on large frames),
# and let tools/test.py write masks beside its results
__C.TRACK.MASK_OUTPUT = False

# ---------------------------------------------------------------- Ascend
__C.NPU = CN()  # (new) for Ascend NPUs; other devices ignore these keys. All are applied before the network is built
__C.NPU.JIT_COMPILE = False  # True compiles operators for each new shape; False uses the kernels that CANN ships
# True lets convolutions round float32 inputs to 19 bits (torch_npu's default): faster, but results differ from a CPU
__C.NPU.CONV_HF32 = False
__C.NPU.MATMUL_HF32 = False  # the same for matrix products
# precision of float32 convolutions and matrix products: 'allow_fp32_to_fp16', 'must_keep_origin_dtype', or '' (CANN's
# default: fp16 on 910A, else float32)
__C.NPU.PRECISION_MODE = ""
# mixed precision by Ascend's apex (O1, TRAIN.LOSS_SCALE, combined gradients), as published, instead of torch.amp
__C.NPU.APEX = False
# True uses torch_npu's NpuFusedSGD on one flat buffer of all parameters (910A, A2 and A3); False uses torch's SGD
__C.NPU.FUSED_SGD = True
# True lets operators keep data in private layouts, which are converted where an operator needs another one
__C.NPU.INTERNAL_FORMAT = False

# ---------------------------------------------------------------- GPU
__C.GPU = CN()  # (new) for NVIDIA GPUs; other devices ignore these keys
# True lets convolutions and matrix products round float32 inputs to 19 bits: faster, but results differ from a CPU
__C.GPU.TF32 = False
# True tries the algorithms of each convolution at the start: faster, but results differ between repetitions
__C.GPU.CUDNN_BENCHMARK = False

_DEFAULTS = __C.clone()


def default_config() -> CN:
    """Return a new tree of the defaults."""
    return _DEFAULTS.clone()


def load_config(path: str | Path | None, opts: Sequence = (), for_training: bool = False) -> CN:
    """Return the defaults, overridden by a YAML file and then by `opts` (KEY VALUE KEY VALUE ...), checked and frozen.

    `for_training` also checks the values that only training uses. Raises FileNotFoundError for a missing file.
    Raises ValueError for a file that is not YAML, for an unknown key (near matches are named), for a value of the wrong
    type, and for values that are inconsistent.
    """
    from pysot.core.config_check import check_config

    config = default_config()
    if path is not None:
        config.merge_from_file(str(path))
    config.merge_from_list(list(opts))
    check_config(config, for_training=for_training)
    config.freeze()
    return config
