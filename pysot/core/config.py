"""The configuration: one yacs tree with every key, its default and its reason.

`cfg` is the global tree of the original package; `load_config` returns a fresh, checked one. Keys keep the original's spelling, mistakes
included, so that old YAML files load unchanged. Keys that the original lacks are marked (new); their defaults give the published recipe.
"""

from pathlib import Path

from pysot.core.config_node import ConfigNode as CN

__C = CN()
cfg = __C

__C.META_ARC = "siamrpn_r50_l234_dwxcorr"  # name of the architecture, for people
__C.CUDA = True  # False keeps `--device auto` on the CPU; named after the only accelerator that the original knew

# ---------------------------------------------------------------- training
__C.TRAIN = CN()
__C.TRAIN.THR_HIGH = 0.6  # anchors that overlap the target by more are positive
__C.TRAIN.THR_LOW = 0.3  # ... by less are negative; between the two they are ignored
__C.TRAIN.NEG_NUM = 16  # negatives drawn for a pair that shows two different objects
__C.TRAIN.POS_NUM = 16  # positives kept per pair
__C.TRAIN.TOTAL_NUM = 64  # positives and negatives kept per pair
__C.TRAIN.EXEMPLAR_SIZE = 127  # side of the template crop, pixels
__C.TRAIN.SEARCH_SIZE = 255  # side of the search crop, pixels
__C.TRAIN.BASE_SIZE = 8  # cells that the network adds to (SEARCH_SIZE - EXEMPLAR_SIZE) / STRIDE + 1: 8 with a 7x7 template centre, 0 for AlexNet
__C.TRAIN.OUTPUT_SIZE = 25  # cells per side of the labels, by that formula
__C.TRAIN.RESUME = ""  # checkpoint to go on from: weights, optimizer and epoch; 'auto' takes the last one in SNAPSHOT_DIR, if there is one
__C.TRAIN.PRETRAINED = ""  # weights of the whole network to start from
__C.TRAIN.LOG_DIR = "./logs"  # TensorBoard files and log text
__C.TRAIN.SNAPSHOT_DIR = "./snapshot"  # checkpoint_e{n}.pth
__C.TRAIN.EPOCH = 20  # epochs in all; the warm-up is among them
__C.TRAIN.START_EPOCH = 0  # first epoch of a run that does not resume
__C.TRAIN.BATCH_SIZE = 32  # pairs per process and step
__C.TRAIN.NUM_WORKERS = -1  # loader processes per training process; -1: as many as this process has cores for (the original: 1, which feeds no card)
__C.TRAIN.MOMENTUM = 0.9  # of SGD
__C.TRAIN.WEIGHT_DECAY = 0.0001  # of SGD, batch-norm included as published
__C.TRAIN.CLS_WEIGHT = 1.0  # factor of the classification loss
__C.TRAIN.LOC_WEIGHT = 1.2  # factor of the box loss
__C.TRAIN.MASK_WEIGHT = 1  # factor of SiamMask's loss
__C.TRAIN.PRINT_FREQ = 20  # steps between two log lines
# (new) latest.pth inside epochs: minutes such as '10m', a number of steps, or '' (never)
__C.TRAIN.CHECKPOINT_EVERY = "10m"
__C.TRAIN.KEEP = 0  # (new) checkpoint_e{n}.pth of the last so many epochs stay; 0: all
__C.TRAIN.LOG_GRADS = False  # write gradient norms per layer to TensorBoard with each log line
__C.TRAIN.LOG_PICTURES = 1000  # (new) steps between two pictures of training pairs in TensorBoard, with targets, positives and predictions; 0: none
__C.TRAIN.GRAD_CLIP = 10.0  # largest total gradient norm, taken after the reduction over processes
__C.TRAIN.BASE_LR = 0.005  # learning rate of neck and head where the schedule stands at its start_lr
__C.TRAIN.GRAD_REDUCE = "sum"  # (new) 'sum' over processes, for which BASE_LR is tuned, or 'avg'
__C.TRAIN.PRECISION = "fp32"  # (new) 'fp32', 'fp16' (published Ascend runs) or 'bf16'
__C.TRAIN.LOSS_SCALE = 32  # (new) static factor of the fp16 loss (published Ascend runs), or 'dynamic'
__C.TRAIN.CHANNELS_LAST = "auto"  # (new) channels of a pixel side by side in memory: true, false, or 'auto' (where it is faster; never on an NPU)
__C.TRAIN.COMPILE = False  # (new) run the network through torch.compile: a minute's start and a compiler (C++ on a CPU) for faster steps; not on an NPU

__C.TRAIN.VAL = CN()  # (new) track with the checkpoint of each epoch and keep the best one as best.pth
__C.TRAIN.VAL.DATASET = ""  # VOT set, such as VOT2016; '': no validation
__C.TRAIN.VAL.ROOT = "testing_dataset"  # folder that it lies in
__C.TRAIN.VAL.VIDEOS = []  # only these of its videos; []: all. The videos are spread over the processes
__C.TRAIN.VAL.EVERY = 1  # epochs from one validation to the next; the last epoch always has one

__C.TRAIN.LR = CN()
__C.TRAIN.LR.TYPE = "log"  # 'log', 'step', 'multi-step', 'linear' or 'cos'
__C.TRAIN.LR.KWARGS = CN(new_allowed=True)  # start_lr, end_lr, step, steps, mult: what TYPE takes

__C.TRAIN.LR_WARMUP = CN()
__C.TRAIN.LR_WARMUP.WARMUP = True  # start with a schedule of its own
__C.TRAIN.LR_WARMUP.TYPE = "step"  # as LR.TYPE
__C.TRAIN.LR_WARMUP.EPOCH = 5  # its epochs
__C.TRAIN.LR_WARMUP.KWARGS = CN(new_allowed=True)  # as LR.KWARGS

# ---------------------------------------------------------------- training data
__C.DATASET = CN(new_allowed=True)  # takes whole new data sets; every other unknown key is an error

__C.DATASET.TEMPLATE = CN()
__C.DATASET.TEMPLATE.SHIFT = 4  # largest shift of the crop, pixels
__C.DATASET.TEMPLATE.SCALE = 0.05  # largest relative change of each side
__C.DATASET.TEMPLATE.BLUR = 0.0  # probability of a cross-shaped blur
__C.DATASET.TEMPLATE.FLIP = 0.0  # probability of mirroring
__C.DATASET.TEMPLATE.COLOR = 1.0  # probability of a lighting shift

__C.DATASET.SEARCH = CN()
# large, so that no position is favoured: the point of SiamRPN++ (section 3.1 of the paper)
__C.DATASET.SEARCH.SHIFT = 64
__C.DATASET.SEARCH.SCALE = 0.18  # larger than the template's: targets change between the two frames
__C.DATASET.SEARCH.BLUR = 0.0  # as TEMPLATE.BLUR; published runs use 0.2 here
__C.DATASET.SEARCH.FLIP = 0.0  # as TEMPLATE.FLIP, drawn on its own
__C.DATASET.SEARCH.COLOR = 1.0  # as TEMPLATE.COLOR, drawn on its own

__C.DATASET.NEG = 0.2  # probability that template and search show different objects
__C.DATASET.GRAY = 0.0  # probability that a pair is made grey

__C.DATASET.NAMES = ("VID", "COCO", "DET", "YOUTUBEBB")  # data sets to train on: nodes of this section


def dataset_node(root: str, anno: str, frame_range: int, num_use: int) -> CN:
    """A data set: folder of crops, annotation json, largest distance in frames between template and search, videos per epoch (-1: all)."""
    node = CN()
    node.ROOT, node.ANNO, node.FRAME_RANGE, node.NUM_USE = root, anno, frame_range, num_use
    return node


__C.DATASET.VID = dataset_node("training_dataset/vid/crop511", "training_dataset/vid/train.json", 100, 100000)
__C.DATASET.YOUTUBEBB = dataset_node("training_dataset/yt_bb/crop511", "training_dataset/yt_bb/train.json", 3, -1)
__C.DATASET.COCO = dataset_node("training_dataset/coco/crop511", "training_dataset/coco/train2017.json", 1, -1)
__C.DATASET.DET = dataset_node("training_dataset/det/crop511", "training_dataset/det/train.json", 1, -1)

__C.DATASET.VIDEOS_PER_EPOCH = 600000  # pairs per epoch, over all processes

# ---------------------------------------------------------------- network
__C.BACKBONE = CN()
# alexnetlegacy, alexnet, resnet18, resnet34, resnet50, mobilenetv2; every experiment sets it
__C.BACKBONE.TYPE = "res50"
__C.BACKBONE.KWARGS = CN(new_allowed=True)  # used_layers (ResNet, MobileNetV2), width_mult (AlexNet, MobileNetV2)
__C.BACKBONE.PRETRAINED = ""  # ImageNet weights in this repository's layout, see pretrained_models/README.md
__C.BACKBONE.TRAIN_LAYERS = ["layer2", "layer3", "layer4"]  # stages that train from TRAIN_EPOCH on
__C.BACKBONE.LAYERS_LR = 0.1  # their learning rate relative to BASE_LR
__C.BACKBONE.TRAIN_EPOCH = 10  # until then the backbone is frozen, batch-norm included
__C.BACKBONE.CHANNELS = []  # only in the _lt experiment, where the original cannot load it; must agree with ADJUST.KWARGS

__C.ADJUST = CN()
__C.ADJUST.ADJUST = True  # 1x1 convolutions between backbone and heads
__C.ADJUST.KWARGS = CN(new_allowed=True)  # in_channels, out_channels: a number per feature level
__C.ADJUST.TYPE = "AdjustAllLayer"  # AdjustLayer or AdjustAllLayer
__C.ADJUST.ADJUST_CHANNEL = []  # as BACKBONE.CHANNELS

__C.RPN = CN()
__C.RPN.TYPE = "MultiRPN"  # UPChannelRPN (SiamRPN), DepthwiseRPN, MultiRPN (one DepthwiseRPN per level)
__C.RPN.KWARGS = CN(new_allowed=True)  # anchor_num, in_channels, out_channels, weighted
__C.RPN.WEIGHTED = False  # as BACKBONE.CHANNELS

__C.MASK = CN()
__C.MASK.MASK = False  # SiamMask's mask branch
__C.MASK.TYPE = "MaskCorr"  # the only one: depth-wise correlation to a mask per cell
__C.MASK.KWARGS = CN(new_allowed=True)  # in_channels, hidden, out_channels

__C.REFINE = CN()
__C.REFINE.REFINE = False  # SiamMask's refinement of masks
__C.REFINE.TYPE = "Refine"  # the only one

__C.ANCHOR = CN()
__C.ANCHOR.STRIDE = 8  # pixels of the crop per cell: the stride of every backbone here
__C.ANCHOR.RATIOS = [0.33, 0.5, 1, 2, 3]  # height / width
__C.ANCHOR.SCALES = [8]  # side in units of STRIDE
__C.ANCHOR.ANCHOR_NUM = 5  # len(RATIOS) * len(SCALES)

# ---------------------------------------------------------------- tracker
__C.TRACK = CN()
__C.TRACK.TYPE = "SiamRPNTracker"  # SiamRPNTracker, SiamRPNLTTracker (long-term), SiamMaskTracker
__C.TRACK.PENALTY_K = 0.04  # punishes change of scale and aspect
__C.TRACK.WINDOW_INFLUENCE = 0.44  # share of the cosine window in the score
__C.TRACK.LR = 0.4  # smoothing of the size, times score and penalty
__C.TRACK.EXEMPLAR_SIZE = 127  # side of the template crop, pixels
__C.TRACK.INSTANCE_SIZE = 255  # side of the search crop, pixels
__C.TRACK.BASE_SIZE = 8  # as TRAIN.BASE_SIZE
__C.TRACK.CONTEXT_AMOUNT = 0.5  # margin around the target, share of width + height
__C.TRACK.LOST_INSTANCE_SIZE = 831  # long-term: search crop while the target is lost
__C.TRACK.CONFIDENCE_LOW = 0.85  # long-term: below this score the target is lost
__C.TRACK.CONFIDENCE_HIGH = 0.998  # long-term: above this score it is found again
__C.TRACK.MASK_THERSHOLD = 0.3  # SiamMask: mask probability that counts as object
__C.TRACK.MASK_OUTPUT_SIZE = 127  # SiamMask: side of the mask

# ---------------------------------------------------------------- Ascend
__C.NPU = CN()  # (new) for Ascend NPUs; other devices ignore it
__C.NPU.JIT_COMPILE = False  # set before the network is built, as all here: True compiles operators for each new shape; False takes the kernels that CANN ships
__C.NPU.CONV_HF32 = False  # True lets convolutions round float32 inputs to 19 bits: faster, and no longer equal to a CPU (torch_npu's default)
__C.NPU.MATMUL_HF32 = False  # the same for matrix products
__C.NPU.PRECISION_MODE = ""  # of float32 convolutions and products: 'allow_fp32_to_fp16', 'must_keep_origin_dtype', or '' (CANN's: fp16 on 910A, else float32)
__C.NPU.APEX = False  # mixed precision by Ascend's apex (O1, TRAIN.LOSS_SCALE, combined gradients), as published, instead of torch.amp
__C.NPU.FUSED_SGD = True  # torch_npu's NpuFusedSGD, over all parameters laid end to end: 910A, A2 and A3; false: torch's SGD, operator by operator
# True lets operators keep data in private layouts, converted wherever an operator wants another
__C.NPU.INTERNAL_FORMAT = False

# ---------------------------------------------------------------- GPU
__C.GPU = CN()  # (new) for NVIDIA GPUs; other devices ignore it
__C.GPU.TF32 = False  # True lets convolutions and matrix products round float32 inputs to 19 bits: faster, and no longer equal to a CPU
# True tries the algorithms of each convolution at the start: faster, and no longer the same from run to run
__C.GPU.CUDNN_BENCHMARK = False

_DEFAULTS = __C.clone()


def default_config() -> CN:
    """A fresh tree of the defaults."""
    return _DEFAULTS.clone()


def load_config(path: str | Path | None, opts=(), for_training: bool = False) -> CN:
    """The defaults, overridden by a YAML file and then by `opts` (KEY VALUE KEY VALUE ...), checked.

    `for_training` also checks what only training uses. Raises FileNotFoundError for a missing file, ValueError for one that is not YAML, for an
    unknown key (near matches are named), for a value of the wrong type, and for values that do not fit together.
    """
    from pysot.core.config_check import check_config

    config = default_config()
    if path is not None:
        config.merge_from_file(str(path))
    config.merge_from_list(list(opts))
    check_config(config, for_training=for_training)
    config.freeze()
    return config
