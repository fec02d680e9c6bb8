"""The rules: the one table of what is known of Core ML's choice of compute units.

Nothing here was run on Core ML by this project. Of the rules that hold for an operation the first
decides, except that ``unlikely`` needs a later one that says the Neural Engine can. Where a compute
plan of Core ML and a measurement below it disagree, the plan wins: the engine can do more than
Core ML lets it.
"""

from __future__ import annotations

from types import MappingProxyType

from etcoreml.placement import conditions as c
from etcoreml.placement.rule import Rule

SEEN: MappingProxyType[str, frozenset[str]] = MappingProxyType(
    {
        op: frozenset(plans.split())
        for op, plans in {
            "add": "distilbert mobilenetv2 resnet50 siglip whisper",
            "clip": "mobilenetv2",
            "conv": "mobilenetv2 resnet50 siglip whisper",
            "gelu": "distilbert siglip whisper",
            "layer_norm": "distilbert siglip whisper",
            "linear": "distilbert siglip whisper",
            "matmul": "distilbert siglip whisper",
            "max_pool": "resnet50",
            "mul": "distilbert siglip whisper",
            "pad": "mobilenetv2",
            "reduce_mean": "distilbert mobilenetv2 resnet50 siglip whisper",
            "relu": "resnet50",
            "reshape": "distilbert mobilenetv2 resnet50 siglip whisper",
            "softmax": "distilbert siglip whisper",
            "transpose": "distilbert siglip whisper",
        }.items()
    }
)
"""Ops that a validation plan has on the Neural Engine, and the plans that do."""


def _ops(names: str) -> frozenset[str]:
    return frozenset(names.split())


_ELEMENTWISE = (
    "abs add atan ceil clamped_relu clip elu erf exp exp2 floor floor_div gelu inverse leaky_relu "
    "linear_activation log maximum minimum mul pow prelu real_div relu relu6 round rsqrt "
    "scaled_tanh sigmoid sigmoid_hard sign silu softplus softplus_parametric softsign sqrt square "
    "sub tanh threshold thresholded_relu"
)
_MOVES = (
    "batch_to_space concat crop depth_to_space expand_dims fill fill_like flatten2d identity pad "
    "pixel_shuffle pixel_unshuffle reshape reshape_like reverse slice_by_size space_to_batch "
    "space_to_depth split squeeze stack tile transpose"
)
_REDUCTIONS = (
    "reduce_l1_norm reduce_l2_norm reduce_log_sum reduce_log_sum_exp reduce_max reduce_mean "
    "reduce_min reduce_sum reduce_sum_square"
)
_HEAVY = (
    "avg_pool batch_norm conv conv_transpose dequantize einsum instance_norm l2_norm l2_pool "
    "layer_norm linear local_response_norm matmul max_pool quantize softmax"
)
_TEXTURES = (
    "affine crop_resize resample resize resize_bilinear resize_nearest_neighbor upsample_bilinear "
    "upsample_nearest_neighbor"
)

_WHOLE_NUMBERS = "Compute it outside the model, or keep it to the first and last few ops."
_FIXED_SHAPES = "Give the model fixed shapes, one function or one model for each size."

RULES: tuple[Rule, ...] = (
    Rule(
        "constant expression",
        "no_device",
        "weights are expanded when the model is loaded",
        "P",
        ("plans",),
        ops=_ops(
            "constexpr_affine_dequantize constexpr_blockwise_shift_scale constexpr_cast "
            "constexpr_lut_to_dense constexpr_lut_to_sparse constexpr_sparse_blockwise_shift_scale "
            "constexpr_sparse_to_dense"
        ),
    ),
    Rule(
        "body of control flow",
        "not_capable",
        "the engine has no control flow",
        "R",
        ("matrix",),
        when=c.NESTED,
        change="Unroll the loop, or choose the branch, before exporting.",
    ),
    Rule(
        "control flow",
        "not_capable",
        "the engine has no control flow",
        "R",
        ("matrix",),
        ops=_ops("cond while_loop"),
        change="Unroll the loop, or choose the branch, before exporting.",
    ),
    Rule(
        "strings",
        "cpu_only",
        "the other units compute on tensors (our own inference)",
        "-",
        (),
        when=c.NOT_A_TENSOR,
        change="Return the scores, and look the label up in the app.",
    ),
    Rule(
        "recurrent layer",
        "not_capable",
        "recurrent layers are not supported on the Neural Engine",
        "A",
        ("issue-1780", "matrix"),
        ops=_ops("gru lstm rnn"),
        change="Unroll it, or use convolutions or attention instead.",
    ),
    Rule(
        "gather",
        "not_capable",
        "lookups by index run on CPU or GPU in every plan",
        "P",
        ("plans", "whisperkit", "coremlinspect", "iphone13", "rf-detr"),
        ops=_ops("gather gather_along_axis"),
        change="Look embeddings up in the app and pass the rows; cut fixed parts by slicing.",
        disagreement="ane-guide: native; a comment in coremltools: gather stays.",
    ),
    Rule(
        "scatter",
        "not_capable",
        "coremltools' own comments say that it leaves the Neural Engine",
        "A",
        ("torch-ops", "matrix"),
        ops=_ops("scatter scatter_along_axis scatter_nd"),
        change="Write with concat and slices, or multiply with a mask and add.",
    ),
    Rule(
        "sorting",
        "not_capable",
        "topk is on the CPU in the plan of an M3 Pro",
        "P",
        ("rf-detr",),
        ops=_ops("topk argsort"),
        change="Return the scores, and sort in the app.",
        disagreement="ane-guide: native from the M2 and A14.",
    ),
    Rule(
        "argmax",
        "not_capable",
        "it forces the CPU",
        "P",
        ("lessons",),
        ops=_ops("reduce_argmax reduce_argmin"),
        change="Return the scores, and choose in the app.",
        disagreement="ane-guide: native along one axis.",
    ),
    Rule(
        "cumulative sum",
        "not_capable",
        "it is the one op on the CPU in these plans",
        "P",
        ("roadmap",),
        ops=_ops("cumsum"),
        change="Multiply with a triangular matrix.",
        disagreement="ane-guide: native, by a route of its own.",
    ),
    Rule(
        "no path to the engine",
        "not_capable",
        "the engine has no such operation",
        "R",
        ("matrix",),
        ops=_ops(
            "acos acosh asin asinh atanh band_part cosh list_gather list_length list_read "
            "list_scatter list_write logical_and logical_or logical_xor make_list mod "
            "non_maximum_suppression non_zero one_hot random_bernoulli random_categorical "
            "random_normal range_1d reduce_prod reverse_sequence shape sinh sliding_windows tan"
        ),
        change="Compute it outside the model, or write it with products, sums and slices.",
    ),
    Rule(
        "cast of integers",
        "not_capable",
        "casts from and to integers run on CPU or GPU",
        "P",
        ("plans", "iphone13"),
        ops=_ops("cast"),
        when=c.INTEGER_CAST,
        change=_WHOLE_NUMBERS,
    ),
    Rule(
        "int32",
        "not_capable",
        "the engine computes on fp16, int8 and int16",
        "A",
        ("apple-rules", "plans"),
        when=c.WIDE_INTEGERS,
        change=_WHOLE_NUMBERS,
    ),
    Rule(
        "fp32",
        "not_capable",
        "the engine computes in fp16",
        "A",
        ("typed", "apple-rules", "iphone13"),
        when=c.FP32,
        change="Export with compute precision float16.",
    ),
    Rule(
        "bool",
        "uncertain",
        "plans have it on the CPU, on integers; of fp16 none is published with its dtypes",
        "R",
        ("matrix", "iphone13"),
        when=c.BOOLEANS,
        change="Write masks as fp16 numbers, to multiply with or to add.",
        disagreement="ane-guide: comparisons and select are native.",
    ),
    Rule(
        "rank 6",
        "not_capable",
        "tensors have at most rank 5",
        "A",
        ("apple-rules", "guide"),
        when=c.RANK_ABOVE_5,
        change="Merge dimensions before it, and split them after.",
    ),
    Rule(
        "linear of rank 5",
        "not_capable",
        "linear takes inputs of at most rank 4",
        "R",
        ("guide",),
        ops=_ops("linear"),
        when=c.INPUT_RANK_5,
        change="Merge the batch dimensions before it.",
    ),
    Rule(
        "matmul of rank 5",
        "unlikely",
        "products of rank 5 tend to the CPU, those of rank 3 stay",
        "P",
        ("roadmap",),
        ops=_ops("matmul"),
        when=c.INPUT_RANK_5,
        change="Merge the batch dimensions before it.",
    ),
    Rule(
        "convolution in 3-D",
        "not_capable",
        "it fails in the engine's compiler on every device",
        "R",
        ("guide",),
        ops=_ops("conv conv_transpose"),
        when=c.CONVOLUTION_3D,
        change="Write it as 2-D convolutions over slices.",
    ),
    Rule(
        "size above 65536",
        "not_capable",
        "no engine takes a size above 65536",
        "P",
        ("mobius", "matrix"),
        when=c.BEYOND_65536,
        change="Split it, or fold it into two dimensions.",
    ),
    Rule(
        "size above 16384",
        "uncertain",
        "up to the A15 and M3, widths, heights and depths end at 16384; later chips at 65536",
        "P",
        ("mobius", "matrix"),
        when=c.BEYOND_16384,
        change="Split it, or fold it into two dimensions.",
        disagreement="An iPhone 13 has the additions of a vocoder on the Neural Engine and "
        "most of its convolutions on the CPU; sizes are not published.",
    ),
    Rule(
        "STFT",
        "cpu_only",
        "WhisperKit's plan has it on the CPU alone",
        "P",
        ("whisperkit",),
        ops=_ops("conv"),
        when=c.WAVEFORM_CONVOLUTION,
        change="Compute spectra outside the model.",
    ),
    Rule(
        "kernel above 32",
        "not_capable",
        "kernels end at 32",
        "R",
        ("matrix",),
        ops=_ops("conv conv_transpose"),
        when=c.LARGE_KERNEL,
        change="Split the kernel, or reshape the input into blocks first.",
    ),
    Rule(
        "kernel wider than 16",
        "uncertain",
        "fp16 kernels end at a width of 16 (13 on the A13 and M1), others at 32",
        "R",
        ("matrix",),
        ops=_ops("conv conv_transpose"),
        when=c.WIDE_KERNEL,
        change="Split the kernel, or reshape the input into blocks first.",
        disagreement="ANEForge, of the same author: 15 on an M5.",
    ),
    Rule(
        "convolution with computed weights, batch above 1",
        "not_capable",
        "the compiler takes a batch of 1 only",
        "R",
        ("guide",),
        ops=_ops("conv conv_transpose"),
        when=c.RUN_TIME_WEIGHT_BATCH,
        change="Write it as a matrix product.",
    ),
    Rule(
        "convolution with computed weights",
        "uncertain",
        "one source has it run, another has the weights ignored",
        "R",
        ("guide",),
        ops=_ops("conv conv_transpose"),
        when=c.RUN_TIME_WEIGHT,
        change="Write it as a matrix product.",
    ),
    Rule(
        "mirrored waveform",
        "cpu_only",
        "WhisperKit's plan has it on the CPU alone",
        "P",
        ("whisperkit",),
        ops=_ops("pad"),
        when=c.PADS_WAVEFORM,
        change="Pad outside the model, or with a constant.",
    ),
    Rule(
        "mirrored border",
        "uncertain",
        "it needs the texture engine, of the M2 and A14 and later",
        "R",
        ("guide", "matrix"),
        ops=_ops("pad"),
        when=c.PADS_BY_MIRROR,
        change="Pad with a constant.",
    ),
    Rule(
        "padded channels",
        "not_capable",
        "the engine's compiler refuses to pad channels",
        "R",
        ("guide",),
        ops=_ops("pad"),
        when=c.PADS_CHANNELS,
        change="Concatenate zeros, or widen the convolution before it.",
    ),
    Rule(
        "fused attention",
        "uncertain",
        "Apple's rules deny it, one plan has it",
        "P",
        ("vx-437", "apple-rules", "matrix"),
        ops=_ops("scaled_dot_product_attention"),
        change="Lower for iOS17 or earlier, or write attention with matmul and softmax.",
        disagreement='Apple: "there is no fused SDPA path". ane-guide: native.',
    ),
    Rule(
        "state",
        "uncertain",
        "stateful attention is reported not to run there; the cause is not established",
        "R",
        ("issue-2553", "matrix", "apple-rules"),
        ops=_ops("read_state write_state slice_update"),
        change="Pass caches as inputs and outputs.",
        disagreement="ane-guide: native.",
    ),
    Rule(
        "by chip",
        "uncertain",
        "native from the A15 and M3 only",
        "R",
        ("matrix",),
        ops=_ops("cos random_uniform sin"),
        change="Pass tables of it as inputs, or store them as constants.",
    ),
    Rule(
        "enumerated shapes",
        "uncertain",
        "only the default shape may stay on the Neural Engine",
        "A",
        ("faq", "issue-2370"),
        when=c.VARIES_BY_LIST,
        change=_FIXED_SHAPES,
        disagreement="Users measured both: all shapes, and the default one alone.",
    ),
    Rule(
        "range of shapes",
        "unlikely",
        "shapes in a range usually keep a model off the Neural Engine",
        "A",
        ("flexible", "issue-1029"),
        when=c.VARIES,
        change=_FIXED_SHAPES,
        disagreement="From iOS 17.4, infrequent reshaping can allow it.",
    ),
    Rule(
        "large program",
        "unlikely",
        "programs of more than some 1.4 to 2 GB go elsewhere as a whole",
        "F",
        ("lessons",),
        when=c.LARGE_PROGRAM,
        change="Split the model, or compress its weights.",
    ),
    Rule(
        "linear of one row",
        "unlikely",
        "a single row is faster on the CPU below a depth of some 4992 in fp16",
        "P",
        ("larql",),
        ops=_ops("linear"),
        when=c.SINGLE_ROW,
        change="Process several rows at once, or write it as a 1x1 convolution.",
        disagreement="Seen on one machine; within a network it may stay with its neighbours.",
    ),
    Rule(
        "tiny product",
        "unlikely",
        "handing it over costs more than the work",
        "P",
        ("vx-436",),
        ops=_ops("matmul"),
        when=c.TINY_PRODUCT,
    ),
    Rule(
        "cast of floats",
        "capable",
        "casts between fp32 and fp16 are on the Neural Engine",
        "P",
        ("plans", "matrix"),
        ops=_ops("cast"),
    ),
    Rule(
        "seen in the five plans",
        "capable",
        "seen on the Neural Engine in other models' plans",
        "P",
        ("plans",),
        ops=frozenset(SEEN),
        rests_on=SEEN,
    ),
    Rule(
        "seen in other plans",
        "capable",
        "seen on the Neural Engine in other models' plans",
        "P",
        ("iphone13", "whisperkit", "roadmap"),
        ops=_ops(
            "batch_norm concat conv_transpose exp expand_dims leaky_relu pow reduce_sum rsqrt "
            "sigmoid silu slice_by_index softplus split square squeeze sub tanh"
        ),
    ),
    Rule(
        "native from the A14 and M2",
        "capable",
        "the engine has it; an M1 does it in software",
        "R",
        ("matrix",),
        ops=_ops(_TEXTURES),
    ),
    Rule(
        "native",
        "capable",
        "the engine has it; no plan that shows it is known",
        "R",
        ("matrix",),
        ops=_ops(f"{_ELEMENTWISE} {_MOVES} {_REDUCTIONS} {_HEAVY}"),
    ),
    Rule("unknown", "uncertain", "no source speaks of it", "-", ()),
)
"""In the order in which they are asked."""
